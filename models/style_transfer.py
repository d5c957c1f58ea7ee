"""Redraws pictures in the trained styles. Pictures are `uint8 [H, W, 3]` sRGB of any size."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.checkpoint import Weights, WeightsError, load_weights
from models.nets.style import STRIDE, StyleNet, StyleNetConfig
from models.textures import textures

Picture = NDArray[np.uint8]

ARCHITECTURE = "pu2-style"
#: Pixels that go through the net at once; each takes about 600 bytes on a CPU.
_PIXELS_AT_ONCE = {"cpu": 2_000_000, "cuda": 64_000_000}
#: The net's own padding needs a few pixels to reflect.
_SMALLEST = 4 * STRIDE


class StyleTransfer:
    """A style net with its weights on a device. Holds no state between calls; safe to share between threads.

    Batches give the same pictures as single calls within 1/255 on one device.
    """

    def __init__(self, net: StyleNet, *, name: str, version: str, styles: Sequence[str], device: torch.device) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self.styles = tuple(styles)
        self._device = device
        self._net: StyleNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, device: str = "cpu", weights: str | Path | None = None) -> "StyleTransfer":
        """Load weights onto a torch device; the bundled ones where `weights` is None.

        `weights` is a folder with a `weights.json`, or a safetensors file listed in the one beside it.
        Raise `models.checkpoint.WeightsError` where they are missing, altered or do not fit.
        """
        loaded = load_weights("style", ARCHITECTURE, weights)
        styles = loaded.entry.config.get("styles", ())
        net = _restore(loaded, styles)
        return cls(net, name=loaded.name, version=loaded.entry.version, styles=styles, device=torch.device(device))

    def apply(self, pictures: Sequence[Picture], styles: Sequence[str]) -> list[Picture]:
        """Redraw each picture in the style of the same position; the results have the pictures' own sizes, in order.

        Pictures of equal size go through the net together. Raise `ValueError` for an unknown style, for lists of
        different length, and for anything that is not uint8 [H, W, 3].
        """
        self._check(pictures, styles)
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for position, picture in enumerate(pictures):
            groups[picture.shape].append(position)
        redrawn: dict[int, Picture] = {}
        for (height, width, _), positions in groups.items():
            at_once = max(1, _PIXELS_AT_ONCE.get(self._device.type, 2_000_000) // (height * width))
            for first in range(0, len(positions), at_once):
                part = positions[first : first + at_once]
                batch = self._redraw([pictures[i] for i in part], [self.styles.index(styles[i]) for i in part])
                redrawn.update(zip(part, batch, strict=True))
        return [redrawn[position] for position in range(len(pictures))]

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
    def _redraw(self, pictures: Sequence[Picture], styles: Sequence[int]) -> list[Picture]:
        height, width = pictures[0].shape[:2]
        below, beside = _missing(height), _missing(width)
        padded = np.stack([np.pad(p, ((0, below), (0, beside), (0, 0)), mode="reflect") for p in pictures])
        fields = torch.from_numpy(textures(height + below, width + beside))[None].expand(len(pictures), -1, -1, -1)
        inputs = self._channels_first(torch.from_numpy(padded)).float() / 255, self._channels_first(fields)
        # Only the convolutions run in bfloat16: the picture that they are added to keeps its 8 bits.
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            drawn: Tensor = self._net(*inputs, torch.tensor(styles, device=self._device))
        levels = (drawn.float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [np.ascontiguousarray(picture[:height, :width]) for picture in levels]

    def _channels_first(self, batch: Tensor) -> Tensor:
        """[B, H, W, C] on the CPU -> [B, C, H, W] on the device, channels last in memory."""
        return batch.to(self._device).permute(0, 3, 1, 2)


def _restore(weights: Weights, styles: Sequence[str]) -> StyleNet:
    config = {key: value for key, value in weights.entry.config.items() if key != "styles"}
    try:
        net = StyleNet(StyleNetConfig(styles=len(styles), **config))
        net.load_state_dict(weights.tensors)
    except (TypeError, RuntimeError) as error:
        raise WeightsError(f"{weights.entry.file} does not fit its architecture: {error}") from error
    return net


def _missing(side: int) -> int:
    """Pixels to add so that the net takes the side."""
    return max(_SMALLEST, side + -side % STRIDE) - side
