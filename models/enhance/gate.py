"""Do no harm: what a correction did to the product, and whether that is still the same product."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import delta_e_2000, to_lab
from models.matting import window_of
from models.pictures import Floats, Mask, Picture
from models.quality.artefacts import noise_of

#: Structure and colour are compared at this long side.
_SIDE = 256
#: Noise is measured on so much of the product that one does not wait for it.
_PATCH = 512
#: A colour has a hue from this chroma on.
_SATURATED = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Before against after, inside the product."""

    #: Growth of the share of pixels with a channel at 1 or less, or at 254 or more.
    clipped: float
    #: Median CIEDE2000.
    colour: float
    #: Mean of the structure term of SSIM over L*: 1 means that light and dark lie where they lay, however strong.
    structure: float
    #: Noise after (sigma in sRGB levels), and its growth.
    noise: float
    noise_growth: float
    #: 90th percentile of the turn of saturated hues, degrees.
    hue: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a correction may do at most; see `Change`."""

    colour: float
    hue: float
    clipped: float = 0.02
    structure: float = 0.9
    #: Noise may grow by this much, or to this level, whichever is more.
    noise_growth: float = 0.5
    noise: float = 5.0

    def hold(self, change: Change) -> bool:
        """Whether the change keeps within all of them."""
        return (
            change.clipped <= self.clipped
            and change.colour <= self.colour
            and change.structure >= self.structure
            and change.hue <= self.hue
            and (change.noise_growth <= self.noise_growth or change.noise <= self.noise)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A picture's measure."""

    #: Pixels of the reduced product, `uint8 [n, 3]`.
    product: Picture
    #: LAB of the reduced picture.
    lab: Floats
    noise: float


class Gate:
    """Compares pictures of one size inside one mask `[H, W]`."""

    def __init__(self, alpha: Mask) -> None:
        scale = min(1.0, _SIDE / max(alpha.shape))
        self._size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        small = np.asarray(cv2.resize(alpha, self._size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        inside: NDArray[np.bool_] = small > 0.9
        self._inside = inside if inside.any() else np.ones_like(inside)
        self._patch = _middle(alpha)
        self._alpha = alpha[self._patch]

    def look(self, picture: Picture) -> Look:
        """Take the picture's measure; one look serves as before and as after."""
        small = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        return Look(small[self._inside], to_lab(small), noise_of(picture[self._patch], self._alpha))

    def change(self, before: Look, after: Look) -> Change:
        """What a correction did."""
        old, new = before.lab[self._inside], after.lab[self._inside]
        return Change(
            clipped=_clipped(after.product) - _clipped(before.product),
            colour=float(np.median(delta_e_2000(new[::3], old[::3]))),
            structure=float(_structure(before.lab[..., 0], after.lab[..., 0])[self._inside].mean()),
            noise=after.noise,
            noise_growth=after.noise - before.noise,
            hue=_turn(old, new),
        )


def _middle(alpha: Mask) -> tuple[slice, slice]:
    """The middle of the product's window, where noise is measured: `_PATCH` px on a side at most."""

    def cut(place: slice) -> slice:
        start = place.start + max(0, place.stop - place.start - _PATCH) // 2
        return slice(start, min(place.stop, start + _PATCH))

    rows, columns = window_of(alpha)
    return cut(rows), cut(columns)


def _clipped(pixels: NDArray[Any]) -> float:
    return float(((pixels.max(-1) >= 254) | (pixels.min(-1) <= 1)).mean())


def _turn(before: Floats, after: Floats) -> float:
    """90th percentile of the turn of hue in degrees, of pixels that are saturated before and after."""
    first, second = (np.hypot(lab[:, 1], lab[:, 2]) for lab in (before, after))
    both = (first > _SATURATED) & (second > _SATURATED)
    if both.sum() < 20:
        return 0.0
    turn = np.arctan2(after[both, 2], after[both, 1]) - np.arctan2(before[both, 2], before[both, 1])
    return float(np.percentile(np.abs(np.degrees((turn + np.pi) % (2 * np.pi) - np.pi)), 90))


def _structure(first: Floats, second: Floats) -> Floats:
    """The structure term of SSIM (Wang et al., IEEE TIP 2004): local correlation of two L* planes."""

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values, (7, 7), 1.5), dtype=np.float32)

    m1, m2 = mean(first), mean(second)
    v1 = np.maximum(mean(first * first) - m1 * m1, 0)
    v2 = np.maximum(mean(second * second) - m2 * m2, 0)
    joint = mean(first * second) - m1 * m2
    return np.asarray((joint + 1) / (np.sqrt(v1 * v2) + 1), dtype=np.float32)
