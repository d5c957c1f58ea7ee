"""The studio: a cut-out product on a backdrop, scaled to a fill ratio, with its shadow."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backdrops import Backdrop, Box
from models.matting import decontaminate, window_of
from models.pictures import Floats, Mask, Picture
from models.shadows import foot_of


@dataclass(frozen=True, slots=True, eq=False)
class StudioShot:
    """A product on its new background."""

    #: `uint8 [height, width, 3]`, sRGB.
    pixels: Picture
    #: Product alpha in the new frame, `float32 [height, width]`.
    mask: Mask
    #: The source product laid out the same way, unsharpened: what fidelity is measured against.
    reference: Picture


def compose(
    picture: Picture,
    alpha: Mask,
    *,
    size: tuple[int, int],
    backdrop: Backdrop,
    fill: float,
    shadow: bool,
    seed: int,
    reference: Picture | None = None,
) -> StudioShot:
    """Set the product on `backdrop` in a frame of `size` (width, height) pixels.

    The backdrop says where; the limiting side of the product's box takes `fill` (0..1) of the frame, or less where the
    backdrop leaves less room. On a plain one, pixels that neither product nor shadow reach are exactly its colour, and
    so is the frame's border wherever the product leaves it free. An alpha without product counts as full. `reference`
    (default: `picture`) is what the product looked like before, same size as `picture`. `seed` sets grain and figure.
    """
    if not (alpha > 0.5).any():
        alpha = np.ones_like(alpha)
    window = window_of(alpha)
    alpha = alpha[window]
    transform = _placement(alpha, size, fill, backdrop)
    mask = _place_alpha(alpha, transform, size)
    product = _place(decontaminate(picture[window], alpha), transform, size)
    before = product if reference is None else _place(decontaminate(reference[window], alpha), transform, size)
    ground = backdrop.ground(mask, shadow=shadow, seed=seed)
    lit = backdrop.lit(_sharpen(product, _zoom(transform)), ground, mask)
    return StudioShot(_over(lit, ground.shaded, mask), mask, _over(before.astype(np.float32), ground.bare, mask))


def _zoom(transform: Floats) -> float:
    return float(transform[0, 0])


def _placement(alpha: Mask, size: tuple[int, int], fill: float, backdrop: Backdrop) -> Floats:
    """Affine map `[2, 3]` from source to frame."""
    solid = alpha > 0.5
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    left, right = float(columns[0]), float(columns[-1] + 1)
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    box = Box(right - left, bottom - top, foot_of(solid) - top)
    zoom, x, y = backdrop.target(size, box, fill)
    shift_x = x - zoom * (left + right) / 2
    shift_y = y - zoom * (top + bottom) / 2
    return np.array([[zoom, 0, shift_x], [0, zoom, shift_y]], dtype=np.float32)


def _warp(values: Picture | Mask, transform: Floats, size: tuple[int, int], border: int) -> NDArray[Any]:
    zoom = _zoom(transform)
    centre = np.array(transform, dtype=np.float64)
    if zoom < 0.75:
        # Cubic weights alone would alias: shrink by area first, then place.
        small = (max(1, round(values.shape[1] * zoom)), max(1, round(values.shape[0] * zoom)))
        fx, fy = small[0] / values.shape[1], small[1] / values.shape[0]
        shrunk: NDArray[Any] = np.asarray(cv2.resize(values, small, interpolation=cv2.INTER_AREA))
        values = shrunk
        centre[0, 0], centre[1, 1] = zoom / fx, zoom / fy
    # Pixel centres lie at half-integers in `transform`, at integers in OpenCV.
    centre[:, 2] += 0.5 * np.array([centre[0, 0], centre[1, 1]]) - 0.5
    return np.asarray(cv2.warpAffine(values, centre, size, flags=cv2.INTER_CUBIC, borderMode=border))


def _place(picture: Picture, transform: Floats, size: tuple[int, int]) -> Picture:
    return np.asarray(_warp(picture, transform, size, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _place_alpha(alpha: Mask, transform: Floats, size: tuple[int, int]) -> Mask:
    warped = _warp(alpha, transform, size, cv2.BORDER_CONSTANT)
    # Enlarging widens the soft edge: bring it back to about a pixel and a half.
    steep = float(np.clip(_zoom(transform), 1.0, 2.5))
    edge = np.clip((warped - 0.5) * steep + 0.5 - 0.04, 0, 1)
    return np.where(edge < 0.02, 0, edge).astype(np.float32)


def _sharpen(product: Picture, zoom: float) -> Floats:
    """Unsharp mask on lightness alone, gentle and only after enlarging; flat cloth is left alone."""
    values = product.astype(np.float32)
    amount = float(np.clip((zoom - 1) * 0.5, 0, 0.6))
    if amount == 0:
        return values
    grey = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    detail = grey - np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.6 * zoom), dtype=np.float32)
    gate = np.abs(detail) / (np.abs(detail) + 2)
    limited = np.clip(detail * gate * amount, -12, 12)
    return np.asarray(np.clip(values + limited[..., None], 0, 255), dtype=np.float32)


def _over(product: Floats, ground: Floats, mask: Mask) -> Picture:
    mixed = ground + (product - ground) * mask[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
