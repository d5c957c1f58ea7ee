"""Redraws pictures in the trained styles. Pictures are `uint8 [H, W, 3]` sRGB of any size."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.batches import in_batches
from models.nets.style import STRIDE, StyleNet, StyleNetConfig
from models.pictures import Mask, Picture
from models.registry.checkpoint import Weights, fitted, load_weights
from models.registry.sources import Place, Source
from models.styles.blend import Where, laid
from models.styles.textures import sheet, textures

Window = tuple[slice, slice]

_WHITE = 255
ARCHITECTURE = "pu2-style"
#: Pixels that go through the net together on a GPU.
_PIXELS_AT_ONCE = 64_000_000
#: What lies further from the nearest pixel that is not pure white comes out white, and sees none of it: the net's guard
#: of white reaches 18 px, its field of view about 60 px.
_MARGIN = 96
#: The net's own padding needs a few pixels to reflect.
_SMALLEST = 4 * STRIDE


class StyleTransfer:
    """A style net with its weights on a device. Holds no state between calls; safe to share between threads.

    On the CPU a picture comes out the same, bit by bit, in whatever company; on a GPU within 1/255, or bit by bit too
    with `fixed_batch`.
    """

    def __init__(
        self,
        net: StyleNet,
        *,
        name: str,
        version: str,
        styles: Sequence[str],
        device: torch.device,
        fixed_batch: int | None = None,
    ) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self.styles = tuple(styles)
        self._device = device
        self._fixed_batch = fixed_batch
        self._net: StyleNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(
        cls, device: str = "cpu", weights: Source | Place | None = None, fixed_batch: int | None = None
    ) -> "StyleTransfer":
        """Load weights onto a torch device; the bundled ones where `weights` is None.

        `weights` is a folder with a `weights.json`, or a safetensors file listed in the one beside it.
        With `fixed_batch` every batch of a size goes through the net of a GPU with the same number of pictures (at most
        so many), filled up with copies: kernels are chosen by shape.
        Raise `models.registry.manifest.WeightsError` where they are missing, altered or do not fit.
        """
        loaded = load_weights("style", ARCHITECTURE, weights)
        styles = loaded.entry.config.get("styles", ())
        net = _restore(loaded, styles)
        return cls(
            net,
            name=loaded.name,
            version=loaded.entry.version,
            styles=styles,
            device=torch.device(device),
            fixed_batch=fixed_batch,
        )

    def apply(
        self,
        pictures: Sequence[Picture],
        styles: Sequence[str],
        strength: float | Sequence[float] = 1.0,
        masks: Sequence[Mask | None] | None = None,
        where: Where | Sequence[Where] = "all",
    ) -> list[Picture]:
        """Redraw each picture in the style of the same position; the results have the pictures' own sizes, in order.

        `strength`, `masks` (float32 [H, W] in 0..1, 1 on the product) and `where` say how much of the drawing is laid
        over the picture and on which part, see `models.styles.blend.laid`; the first and the last are for all pictures
        or one for each.
        Only the part around what is not pure white goes through the net; the rest cannot change. Parts of equal size go
        together. Raise `ValueError` for an unknown style, for lists of different length, for anything that is not uint8
        [H, W, 3], and for what `laid` refuses.
        """
        self._check(pictures, styles)
        count = len(pictures)
        strengths = [float(strength)] * count if isinstance(strength, int | float) else list(strength)
        parts: list[Where] = [where] * count if isinstance(where, str) else list(where)
        found = [None] * count if masks is None else list(masks)
        drawn = self._drawn(pictures, styles)
        return [laid(*each) for each in zip(pictures, drawn, strengths, parts, found, strict=True)]

    def _drawn(self, pictures: Sequence[Picture], styles: Sequence[str]) -> list[Picture]:
        """The pictures fully redrawn."""
        windows = [_window(picture) for picture in pictures]
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for position, (picture, window) in enumerate(zip(pictures, windows, strict=True)):
            groups[picture[window].shape].append(position)
        redrawn = [np.full_like(picture, _WHITE) for picture in pictures]
        for (height, width, _), positions in groups.items():
            if height == 0:
                continue

            def redraw(part: Sequence[int]) -> list[Picture]:
                chosen = [self.styles.index(styles[i]) for i in part]
                return self._redraw([pictures[i] for i in part], [windows[i] for i in part], chosen)

            most = _PIXELS_AT_ONCE // (height * width)
            batch = in_batches(positions, redraw, device=self._device, most=most, fixed=self._fixed_batch)
            for i, drawn in zip(positions, batch, strict=True):
                redrawn[i][windows[i]] = drawn
        return redrawn

    def _check(self, pictures: Sequence[Picture], styles: Sequence[str]) -> None:
        if len(pictures) != len(styles):
            raise ValueError(f"{len(pictures)} pictures but {len(styles)} styles")
        for style in styles:
            if style not in self.styles:
                raise ValueError(f"unknown style {style!r}; known: {', '.join(self.styles)}")
        for picture in pictures:
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
                raise ValueError(f"a picture must be uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}")

    @torch.inference_mode()
    def _redraw(self, pictures: Sequence[Picture], windows: Sequence[Window], styles: Sequence[int]) -> list[Picture]:
        """The pictures' windows, which are of one size, redrawn with the textures that belong to their places."""
        parts = [picture[window] for picture, window in zip(pictures, windows, strict=True)]
        height, width = parts[0].shape[:2]
        below, beside = _missing(height), _missing(width)
        padded = np.stack([np.pad(part, ((0, below), (0, beside), (0, 0)), mode="reflect") for part in parts])
        origins = [(rows.start, columns.start) for rows, columns in windows]
        sheets = [sheet(self.styles[style]) for style in styles]
        fields = np.stack(
            [
                textures(height + below, width + beside, origin, names)
                for origin, names in zip(origins, sheets, strict=True)
            ]
        )
        inputs = (
            self._channels_first(torch.from_numpy(padded)).float() / 255,
            self._channels_first(torch.from_numpy(fields)),
        )
        # Only the convolutions run in bfloat16: the picture that they are added to keeps its 8 bits.
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            drawn: Tensor = self._net(*inputs, torch.tensor(styles, device=self._device))
        levels = (drawn.float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [picture[:height, :width] for picture in levels]

    def _channels_first(self, batch: Tensor) -> Tensor:
        """[B, H, W, C] on the CPU -> [B, C, H, W] on the device, channels last in memory."""
        if self._device.type == "cuda":
            # Page-locked memory is copied while the device computes.
            batch = batch.pin_memory()
        return batch.to(self._device, non_blocking=True).permute(0, 3, 1, 2)


def _restore(weights: Weights, styles: Sequence[str]) -> StyleNet:
    config = {key: value for key, value in weights.entry.config.items() if key != "styles"}
    return fitted(weights, lambda: StyleNet(StyleNetConfig(styles=len(styles), **config)))


def _window(picture: Picture) -> Window:
    """Rows and columns that the net may change: all that is not pure white with a margin, empty for a white picture.

    It starts on the net's own grid and ends there or with the picture, so that the part is redrawn as the whole is.
    """
    inked = (picture != _WHITE).any(axis=2)
    return _span(inked.any(axis=1)), _span(inked.any(axis=0))


def _span(inked: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(inked)
    if not places.size:
        return slice(0, 0)
    start, end = max(int(places[0]) - _MARGIN, 0), int(places[-1]) + 1 + _MARGIN
    return slice(start - start % STRIDE, min(end + -end % STRIDE, len(inked)))


def _missing(side: int) -> int:
    """Pixels to add so that the net takes the side."""
    return max(_SMALLEST, side + -side % STRIDE) - side
