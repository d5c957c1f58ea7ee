"""Fills marked places of a photo, such as stains and scratches, with what may have been there.

Only marked pixels change. Each place is worked on in a window of its own, so a large photo costs no more than its
holes; a hole too large for the net is filled at reduced size.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.nets.inpainting import INPAINTING_NET, InpaintingNet, InpaintingNetConfig
from models.pictures import Floats, Mask, Picture
from models.registry.checkpoint import fitted, load_weights
from models.registry.sources import Place, Source

Window = tuple[slice, slice]
Hole = NDArray[np.bool_]

#: Pixels around a hole that the net sees, and how near two holes share a window.
_AROUND, _NEAR = 64, 24
#: Windows with a longer side are worked on at this one.
_LONGEST = 640
#: Reach, in px, of the filling that carries edges on.
_REACH = 3


class Inpainter:
    """An inpainting net with its weights on a device. Holds no state between calls; safe to share between threads."""

    def __init__(self, net: InpaintingNet, *, name: str, version: str, device: torch.device) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self._device = device
        self._net: InpaintingNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, device: str = "cpu", source: Source | Place | None = None) -> "Inpainter":
        """Load weights onto a torch device; the bundled ones where `source` is None.

        Raise `models.registry.sources.WeightsError` where they are missing, altered or do not fit.
        """
        loaded = load_weights("inpainting", INPAINTING_NET, source)
        sizes = loaded.entry.config.items()
        net = fitted(loaded, lambda: InpaintingNet(InpaintingNetConfig(**{key: tuple(value) for key, value in sizes})))
        return cls(net, name=loaded.name, version=loaded.entry.version, device=torch.device(device))

    def fill(self, pictures: Sequence[Picture], masks: Sequence[Mask]) -> list[Picture]:
        """Each picture `[H, W, 3]` with the places filled that its mask `[H, W]` marks; sizes and order stay.

        1 in the mask is filled, 0 stays as it is bit by bit; between, the filling fades in. Without a mark, or
        without a pixel to go by, the result is the picture itself. Raise `ValueError` where shapes or types do not fit.
        """
        if len(pictures) != len(masks):
            raise ValueError(f"{len(pictures)} pictures but {len(masks)} masks")
        return [self._fill(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]

    def _fill(self, picture: Picture, mask: Mask) -> Picture:
        if picture.dtype != np.uint8 or picture.shape != (*mask.shape, 3) or picture.size == 0:
            raise ValueError(f"picture {picture.dtype} {list(picture.shape)} and mask {list(mask.shape)} do not fit")
        hole = mask > 0
        if not hole.any() or hole.all():
            return picture
        result = picture.copy()
        for window, own in _windows(hole):
            part = picture[window]
            change = (self._filled(part, hole[window]) - part) * mask[window][..., None]
            mixed = np.clip(part + change + np.float32(0.5), 0, 255).astype(np.uint8)
            result[window][own] = mixed[own]
        return result

    def _filled(self, part: Picture, hole: Hole) -> Floats:
        """A window with its hole filled, `float32 [h, w, 3]`, 0..255."""
        height, width = hole.shape
        scale = min(1.0, _LONGEST / max(height, width))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            marked = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
            filled = self._through_net(small, marked)
            return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        return self._through_net(part, hole)

    @torch.inference_mode()
    def _through_net(self, part: Picture, hole: Hole) -> Floats:
        height, width = hole.shape
        sides = [(0, -side % self._net.stride) for side in (height, width)]
        padded, marked = np.pad(part, [*sides, (0, 0)], mode="symmetric"), np.pad(hole, sides, mode="symmetric")
        carried, smooth = (self._tensor(one) for one in fillings(padded, marked))
        holes = torch.from_numpy(marked.astype(np.float32)).to(self._device)[None, None]
        filled = self._net(carried, smooth, holes)[0].permute(1, 2, 0).cpu().numpy() * 255
        return np.asarray(filled[:height, :width].clip(0, 255), np.float32)

    def _tensor(self, picture: Floats) -> Tensor:
        """[H, W, 3], 0..255 -> [1, 3, H, W], 0..1, on the device."""
        return torch.from_numpy(picture).to(self._device).permute(2, 0, 1)[None] / 255


def fillings(picture: Picture, hole: Hole) -> tuple[Floats, Floats]:
    """What the net starts from: edges carried on into the hole, and a smooth filling; `float32 [H, W, 3]`, 0..255."""
    marked = hole.astype(np.uint8)
    carried = cv2.inpaint(np.ascontiguousarray(picture), marked, _REACH, cv2.INPAINT_NS)
    known = (marked == 0).astype(np.float32)
    smooth = _spread(np.asarray(picture * known[..., None], np.float32), known)
    return np.asarray(carried, np.float32), smooth


def _spread(picture: Floats, known: Floats) -> Floats:
    """Fill what is not known from ever coarser copies (Gortler et al., "The lumigraph", SIGGRAPH 1996: pull, push).

    `picture` is 0 where `known` is; the result lies everywhere.
    """
    height, width = known.shape
    if min(height, width) < 4 or known.min() >= 1:
        total = known.sum()
        rest = picture.sum((0, 1)) / np.maximum(total, 1e-6)
        return np.asarray(picture + (1 - known)[..., None] * rest, np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    weight = np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float32)
    share = np.minimum(1, 4 * weight)
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    pulled = small * (share / np.maximum(weight, np.float32(1e-6)))[..., None]
    coarse = _spread(np.asarray(pulled, np.float32), np.asarray(share, np.float32))
    double = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture + (1 - known)[..., None] * double, np.float32)


def _windows(hole: Hole) -> Iterator[tuple[Window, Hole]]:
    """Holes with what lies around them, and which marked pixels of the window are its own; near ones go together."""
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.asarray(near, np.uint8), connectivity=8)
    more = _AROUND - _NEAR
    for label in range(1, count):
        left, top, width, height, _ = (int(value) for value in stats[label])
        rows = slice(max(0, top - more), min(hole.shape[0], top + height + more))
        columns = slice(max(0, left - more), min(hole.shape[1], left + width + more))
        yield (rows, columns), hole[rows, columns] & (labels[rows, columns] == label)
