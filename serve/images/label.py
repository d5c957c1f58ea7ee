"""The visible label: words on a dark plate in the lower right corner, drawn on the pixels before anything else.

GB 45438-2025 asks for letters of at least 5 % of the picture's shortest side. The plate lets too little of the picture
through to ever cost contrast: on pure white the words still stand out 7 : 1 (WCAG 2 counts 4.5 : 1 as readable).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve.errors import StageFailed
from serve.images.glyphs import text_mask
from serve.interfaces import Picture

#: Least height of the letters, as a share of the shortest side.
LEAST_SHARE = 0.05
#: Smaller letters are no letters; where the picture has no room for these, `LEAST_SHARE` alone counts.
_READABLE_PIXELS = 12
#: Share of the picture that the plate hides.
_PLATE = 0.65
#: Least contrast ratio that a finished file must show.
LEAST_CONTRAST = 4.5


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a label lies: its plate, and how much each of the plate's pixels belongs to the letters, 0..1."""

    left: int
    top: int
    letters: NDArray[np.float32]
    #: Height of a capital in pixels.
    height: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The plate in a picture."""
        height, width = self.letters.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def place(size: tuple[int, int], text: str, face: Path | None = None) -> Placed:
    """Where the label of a picture of `size` (width, height) lies; raise `StageFailed` if there is no room for it."""
    shortest = min(size)
    least = math.ceil(LEAST_SHARE * shortest)
    for height in sorted({max(least, _READABLE_PIXELS), least}, reverse=True):
        mask = np.asarray(text_mask(text, height, face), np.float32) / 255
        pad = max(1, math.ceil(height * 0.4))
        letters = np.pad(mask, pad).astype(np.float32)
        margin = round(0.02 * shortest)
        left, top = size[0] - margin - letters.shape[1], size[1] - margin - letters.shape[0]
        if left >= 0 and top >= 0:
            return Placed(left, top, letters, height)
    raise StageFailed(f"no room for the label {text!r} on {size[0]} x {size[1]} pixels")


def draw_label(pixels: Picture, text: str, face: Path | None = None) -> Picture:
    """A copy of the picture with the label; raise `StageFailed` if there is no room for it."""
    placed = place((pixels.shape[1], pixels.shape[0]), text, face)
    drawn = pixels.copy()
    plate = drawn[placed.window].astype(np.float32) * (1 - _PLATE)
    letters = placed.letters[..., None]
    drawn[placed.window] = np.rint(plate * (1 - letters) + 255 * letters).astype(np.uint8)
    return drawn


def label_contrast(pixels: Picture, text: str, face: Path | None = None) -> float:
    """The contrast ratio, 1..21, of a label that should be on the picture; 1 where its letters cannot be found.

    Letters are found if the plate's brightness follows them (correlation 0.7).
    """
    placed = place((pixels.shape[1], pixels.shape[0]), text, face)
    light = _luminance(pixels[placed.window])
    ink, ground = placed.letters > 0.9, placed.letters < 0.1
    if not ink.any() or float(np.ptp(light)) == 0 or np.corrcoef(light.ravel(), placed.letters.ravel())[0, 1] < 0.7:
        return 1.0
    # The 90th percentile of the ground: the words must stand out from its light parts, too.
    return float((np.median(light[ink]) + 0.05) / (np.percentile(light[ground], 90) + 0.05))


def _luminance(pixels: Picture) -> NDArray[np.float32]:
    """Relative luminance as WCAG 2 defines it, 0..1."""
    value = pixels.astype(np.float32) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)
