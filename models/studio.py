"""The studio: a cut-out product on a seamless background, centred, scaled to a fill ratio, with a soft shadow."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.matting import decontaminate
from models.pictures import Floats, Mask, Picture

#: Share of the frame, at its edge, over which a shadow has faded to nothing.
_CLEAR_EDGE = 0.012


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
    background: tuple[int, int, int],
    fill: float,
    shadow: bool,
    seed: int,
    reference: Picture | None = None,
) -> StudioShot:
    """Set the product on `background` (sRGB) in a frame of `size` (width, height) pixels.

    The product's box is centred and its limiting side takes `fill` (0..1) of the frame. Pixels that neither product
    nor shadow reach are exactly the background, and so is the frame's border wherever the product leaves it free.
    An alpha without product counts as full. `reference` (default: `picture`) is what the product looked like before,
    same size as `picture`. `seed` sets the shadow's dither.
    """
    if not (alpha > 0.5).any():
        alpha = np.ones_like(alpha)
    window = _window_of(alpha)
    alpha = alpha[window]
    transform = _placement(alpha, size, fill)
    mask = _place_alpha(alpha, transform, size)
    product = _place(decontaminate(picture[window], alpha), transform, size)
    before = product if reference is None else _place(decontaminate(reference[window], alpha), transform, size)
    ground = _ground(mask, background, shadow, seed)
    return StudioShot(
        _over(_sharpen(product, _zoom(transform)), ground, mask),
        mask,
        _over(before.astype(np.float32), np.full_like(ground, background), mask),
    )


def _window_of(alpha: Mask) -> tuple[slice, slice]:
    """The product's part of the photo, with room for soft edges: the rest need not be worked on."""
    rows, columns = np.flatnonzero((alpha > 0).any(1)), np.flatnonzero((alpha > 0).any(0))
    margin = 4 + min(alpha.shape) // 40
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _zoom(transform: Floats) -> float:
    return float(transform[0, 0])


def _placement(alpha: Mask, size: tuple[int, int], fill: float) -> Floats:
    """Affine map `[2, 3]` from source to frame."""
    solid = alpha > 0.5
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    left, right = float(columns[0]), float(columns[-1] + 1)
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    zoom = fill * min(size[0] / (right - left), size[1] / (bottom - top))
    shift_x = size[0] / 2 - zoom * (left + right) / 2
    shift_y = size[1] / 2 - zoom * (top + bottom) / 2
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


def _ground(mask: Mask, background: tuple[int, int, int], shadow: bool, seed: int) -> Floats:
    plain = np.empty((*mask.shape, 3), dtype=np.float32)
    plain[:] = background
    if not shadow:
        return plain
    density = _shadow(mask)
    grain = np.random.default_rng(seed).random(mask.shape, dtype=np.float32) - 0.5
    shaded = plain * (1 - density[..., None]) + grain[..., None]
    return np.where(density[..., None] > 0.004, np.clip(shaded, 0, plain), plain).astype(np.float32)


def _shadow(mask: Mask) -> Mask:
    """Share of light taken, `[H, W]`: a wide ambient part all round, a tight contact part just below the product."""
    height, width = mask.shape
    # Shadows are smooth: a quarter of the frame's resolution is enough.
    size = (max(1, width // 4), max(1, height // 4))
    small = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    unit = min(size)
    ambient = _cast(small, 0.022 * unit, 0.012 * unit) * 0.20
    contact = _cast(small, 0.006 * unit, 0.004 * unit) * 0.22
    density = 1 - (1 - ambient) * (1 - contact)
    full = cv2.resize(density, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full * _window(height, width), dtype=np.float32)


def _cast(mask: Mask, blur: float, drop: float) -> Mask:
    shift = np.array([[1, 0, 0], [0, 1, drop]], dtype=np.float64)
    lowered = cv2.warpAffine(mask, shift, (mask.shape[1], mask.shape[0]))
    return np.asarray(cv2.GaussianBlur(lowered, (0, 0), max(0.5, blur)), dtype=np.float32)


def _window(height: int, width: int) -> Mask:
    """1 in the middle, 0 at the frame's edge, smooth between."""

    def ramp(count: int) -> Floats:
        edge = np.minimum(np.arange(count), np.arange(count)[::-1]) / count
        step = np.clip((edge - _CLEAR_EDGE) / 0.035, 0, 1)
        return (step * step * (3 - 2 * step)).astype(np.float32)

    return np.outer(ramp(height), ramp(width)).astype(np.float32)


def _over(product: Floats, ground: Floats, mask: Mask) -> Picture:
    mixed = ground + (product - ground) * mask[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
