"""The small view of a photo by which its light is judged."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import srgb_to_linear
from models.pictures import Floats, Mask, Picture

#: Long side of the view. Light is a matter of large areas; at this size noise and JPEG blocks have averaged out.
SIDE = 160
#: Parts of the photo with fewer pixels than this say nothing.
_FEW = 100
#: Linear light of the 256 sRGB levels.
LINEAR: Floats = srgb_to_linear(np.arange(256, dtype=np.float32) / np.float32(255))
#: Luminance of linear sRGB (Rec. 709).
LUMA: Floats = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)

Region = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A photo at a long side of `SIDE` px at most, and what the mask says about it."""

    #: `uint8 [h, w, 3]`, sRGB.
    picture: Picture
    #: `bool [h, w]`: well inside the product; everything where there is hardly any.
    product: Region
    #: `bool [h, w]`: well outside the product; everything where there is hardly any.
    ground: Region

    @property
    def linear(self) -> Floats:
        """Linear light 0..1, `[h, w, 3]`."""
        return np.asarray(LINEAR[self.picture], dtype=np.float32)


def view_of(picture: Picture, alpha: Mask) -> View:
    """Reduce a picture `[H, W, 3]` and its mask `[H, W]`."""
    scale = min(1.0, SIDE / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    mask = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return View(small, enough(mask > 0.9), enough(mask < 0.1))


def enough(region: Region) -> Region:
    """The region, or everything where it is too small to say anything."""
    return region if region.sum() >= _FEW else np.ones_like(region)


def through(picture: Picture, curves: NDArray[Any]) -> Picture:
    """Send each channel of a picture through its curve: `curves` is `uint8 [256, 3]`."""
    return np.asarray(cv2.LUT(picture, np.ascontiguousarray(curves[None])), dtype=np.uint8)
