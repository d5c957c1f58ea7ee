"""Shadows of a product, as the share of light that they take: `float32 [H, W]`, 0..1."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats, Mask

#: Share of the frame, at its edge, over which a plain studio shadow has faded to nothing.
_CLEAR_EDGE = 0.012


class _Layer(NamedTuple):
    """One part of a soft shadow; lengths are shares of the frame's short side."""

    reach: float
    blur: float
    weight: float


#: Share of the product's widest row that its sole has at least.
_SOLE = 0.15
#: Where cloth touches the ground, where it stands off a little, and what a wide lamp softens: the farther the softer.
_LYING = (_Layer(0.003, 0.0035, 0.32), _Layer(0.013, 0.010, 0.36), _Layer(0.038, 0.028, 0.30))


def seamless(mask: Mask) -> Mask:
    """On a seamless background: wide ambient all round, a tight contact below; nothing at the frame's edge."""
    height, width = mask.shape
    # Shadows are smooth: a quarter of the frame's resolution is enough.
    size = (max(1, width // 4), max(1, height // 4))
    small = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    unit = min(size)
    ambient = _cast(small, 0.022 * unit, (0, 0.012 * unit)) * 0.20
    contact = _cast(small, 0.006 * unit, (0, 0.004 * unit)) * 0.22
    density = 1 - (1 - ambient) * (1 - contact)
    full = cv2.resize(density, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full * _window(height, width), dtype=np.float32)


def lying(mask: Mask, source: tuple[float, float], strength: float) -> Mask:
    """Of a flat thing on a surface parallel to the picture; `source` is the unit vector towards the light, y down.

    `strength` is 1 for soft daylight.
    """
    small, unit = _small(mask)
    light = np.ones_like(small)
    for layer in _LYING:
        away = (-source[0] * layer.reach * unit, -source[1] * layer.reach * unit)
        light *= 1 - layer.weight * _cast(small, layer.blur * unit, away)
    return _full(np.minimum(1 - light, 1) * np.float32(strength), mask)


def standing(mask: Mask, source: tuple[float, float], strength: float, seam: float, *, wall: bool) -> Mask:
    """Of an upright thing on a floor that ends at row `seam`; behind it there may be a wall.

    The shadow runs away from the light and back along the floor, sharp at the foot and softer with the height of what
    throws it. Without a wall nothing is shaded above the seam. `source` and `strength` as for `lying`.
    """
    small, unit = _small(mask)
    solid = small > 0.5
    if not solid.any():
        return np.zeros_like(mask)
    foot, top = foot_of(solid), float(np.argmax(solid.any(1)))
    light = 1 - _contact(small, unit, foot, foot - top)
    for low, high, blur, weight in ((0.0, 0.2, 0.006, 0.50), (0.1, 0.55, 0.018, 0.40), (0.4, 1.0, 0.040, 0.26)):
        part = _slice(small, foot - high * (foot - top), foot - low * (foot - top))
        light *= 1 - weight * _thrown(part, source, foot, blur * unit)
    y = np.arange(small.shape[0], dtype=np.float32)[:, None]
    scale = small.shape[0] / mask.shape[0]
    on_floor = np.clip((y - seam * scale) / (0.012 * unit) + 0.5, 0, 1)
    density = (1 - light) * on_floor
    if wall:
        reach = 0.075 * unit
        cast = _cast(small, 0.045 * unit, (-source[0] * reach, -source[1] * reach * 0.4))
        density += 0.24 * cast * (1 - on_floor)
    return _full(np.minimum(density, 1) * np.float32(strength), mask)


def foot_of(solid: NDArray[np.bool_]) -> float:
    """The row on which a product `[H, W]` stands: the lowest of some width, for laces and straps hang lower."""
    widths = solid.sum(1)
    return float(np.flatnonzero(widths >= _SOLE * widths.max())[-1] + 1)


def _contact(small: Mask, unit: int, foot: float, tall: float) -> Mask:
    """The dark line under whatever touches the floor, and the light that the thing keeps away around its foot."""
    # Photos look down on a product: what touches the floor farther back lies higher in the picture.
    y = np.arange(small.shape[0], dtype=np.float32)[:, None]
    sole = small * np.clip((y - foot) / (0.30 * tall) + 1, 0, 1)
    tight = _cast(sole, 0.0045 * unit, (0, 0.006 * unit)) * 0.62
    tight = 1 - (1 - tight) * (1 - 0.45 * _cast(sole, 0.014 * unit, (0, 0.014 * unit)))
    low = _slice(small, foot - 0.10 * unit, foot + 1)
    flat = np.array([[1, 0, 0], [0, 0.30, 0.70 * foot + 0.012 * unit]], dtype=np.float64)
    pressed = np.asarray(cv2.warpAffine(low, flat, (small.shape[1], small.shape[0])), dtype=np.float32)
    around = np.asarray(cv2.GaussianBlur(pressed, (0, 0), max(0.5, 0.020 * unit)), dtype=np.float32) * 0.55
    return np.asarray(1 - (1 - tight) * (1 - around), dtype=np.float32)


def _slice(mask: Mask, top: float, bottom: float) -> Mask:
    """The mask between two rows, with soft ends."""
    y = np.arange(mask.shape[0], dtype=np.float32)[:, None]
    return np.asarray(mask * np.clip(y - top, 0, 1) * np.clip(bottom - y, 0, 1), dtype=np.float32)


def _thrown(mask: Mask, source: tuple[float, float], foot: float, blur: float) -> Mask:
    """The mask laid down on the floor, away from the light and towards the back."""
    lean, back = -0.50 * source[0], 0.20
    laid = np.array([[1, -lean, lean * foot], [0, back, (1 - back) * foot]], dtype=np.float64)
    flat = np.asarray(cv2.warpAffine(mask, laid, (mask.shape[1], mask.shape[0])), dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(flat, (0, 0), max(0.5, blur)), dtype=np.float32)


def _small(mask: Mask) -> tuple[Mask, int]:
    """The mask at a quarter of its resolution, and that one's short side."""
    size = (max(1, mask.shape[1] // 4), max(1, mask.shape[0] // 4))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32), min(size)


def _full(density: Floats, mask: Mask) -> Mask:
    full = cv2.resize(density, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(full, 0, 1), dtype=np.float32)


def _cast(mask: Mask, blur: float, drop: tuple[float, float]) -> Mask:
    shift = np.array([[1, 0, drop[0]], [0, 1, drop[1]]], dtype=np.float64)
    lowered = cv2.warpAffine(mask, shift, (mask.shape[1], mask.shape[0]))
    return np.asarray(cv2.GaussianBlur(lowered, (0, 0), max(0.5, blur)), dtype=np.float32)


def _window(height: int, width: int) -> Mask:
    """1 in the middle, 0 at the frame's edge, smooth between."""

    def ramp(count: int) -> Floats:
        edge = np.minimum(np.arange(count), np.arange(count)[::-1]) / count
        step = np.clip((edge - _CLEAR_EDGE) / 0.035, 0, 1)
        return (step * step * (3 - 2 * step)).astype(np.float32)

    return np.outer(ramp(height), ramp(width)).astype(np.float32)
