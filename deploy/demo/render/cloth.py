"""Cloth: flat swatches with a pattern and a weave."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.demo.render.noise import octaves

Colour = tuple[float, float, float]
Swatch = NDArray[np.float32]
SIDE = 1240
_TILE = SIDE // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClothPlan:
    """Colours (RGB, 0..1), pattern and weave of a garment."""

    base: Colour
    accent: Colour
    third: Colour
    pattern: str = "plain"
    weave: str = "jersey"


def colour(code: str) -> Colour:
    """`#rrggbb` as RGB in 0..1."""
    value = int(code.lstrip("#"), 16)
    return ((value >> 16) / 255, (value >> 8 & 255) / 255, (value & 255) / 255)


def swatch(plan: ClothPlan, rng: np.random.Generator) -> Swatch:
    """The main cloth, `float32 [SIDE, SIDE, 3]` RGB in 0..1."""
    drawn = _PATTERNS[plan.pattern](plan, rng)
    return np.asarray(drawn * weave(plan.weave, rng)[..., None], np.float32)


def plain(tint: Colour, kind: str, rng: np.random.Generator) -> Swatch:
    """A cloth of one colour, as a tile that repeats."""
    return np.asarray(np.array(tint, np.float32) * _weave_tile(kind, rng)[..., None], np.float32)


def weave(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """The light and dark of the threads, around 1."""
    return np.tile(_weave_tile(kind, rng), (2, 2))


def _weave_tile(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    turn = np.float32(2 * np.pi / _TILE)
    rows, columns = np.mgrid[0:_TILE, 0:_TILE].astype(np.float32) * turn
    grain = cv2.GaussianBlur(rng.standard_normal((_TILE, _TILE), dtype=np.float32), (0, 0), 1.1) * 1.6
    if kind == "denim":
        twill = np.sin((rows + columns) * 124) * (0.7 + 0.6 * grain)
        slub = octaves(rng, (_TILE, _TILE), 22, 2)
        return np.asarray(1 + 0.07 * twill + 0.10 * grain + 0.05 * slub, np.float32)
    if kind == "rib":
        return np.asarray(1 + 0.11 * np.sin(columns * 84) + 0.03 * grain, np.float32)
    if kind == "knit":
        stitch = np.sin(columns * 62) * np.cos(rows * 62 + 1.3 * np.sin(columns * 62))
        return np.asarray(1 + 0.09 * stitch + 0.07 * grain, np.float32)
    if kind == "linen":
        slubs = cv2.blur(rng.standard_normal((_TILE, _TILE), dtype=np.float32), (41, 1))
        slubs = slubs + cv2.blur(rng.standard_normal((_TILE, _TILE), dtype=np.float32), (1, 41))
        return np.asarray(1 + 0.18 * slubs + 0.03 * grain, np.float32)
    return np.asarray(1 + 0.035 * grain + 0.01 * np.sin(columns * 158), np.float32)


def _canvas(tint: Colour) -> Swatch:
    return np.broadcast_to(np.array(tint, np.float32), (SIDE, SIDE, 3)).copy()


def _plain(plan: ClothPlan, _: np.random.Generator) -> Swatch:
    return _canvas(plan.base)


def _stripes(plan: ClothPlan, rng: np.random.Generator) -> Swatch:
    period = int(rng.integers(44, 84))
    share = rng.uniform(0.25, 0.5)
    rows = (np.arange(SIDE) % period) < period * share
    drawn = _canvas(plan.base)
    drawn[rows] = plan.accent
    return np.asarray(cv2.GaussianBlur(drawn, (1, 3), 0.7), np.float32)


def _checks(plan: ClothPlan, rng: np.random.Generator) -> Swatch:
    period = int(rng.integers(80, 130))
    place = np.arange(SIDE) % period / period
    broad = (place < 0.42).astype(np.float32) * 0.62
    line = ((place > 0.68) & (place < 0.74)).astype(np.float32) * 0.8
    base, accent, third = (np.array(tint, np.float32) for tint in (plan.base, plan.accent, plan.third))
    amount = (broad[:, None] + broad[None, :]) / 1.24 * 0.92
    lines = np.maximum(line[:, None], line[None, :])[..., None]
    drawn = base + (accent - base) * amount[..., None]
    return np.asarray(drawn + (third - drawn) * lines, np.float32)


def _dots(plan: ClothPlan, rng: np.random.Generator) -> Swatch:
    step = int(rng.integers(34, 60))
    drawn = _canvas(plan.base)
    radius = max(5, round(step * 0.2))
    for row in range(-1, SIDE // step + 2):
        for column in range(-1, SIDE // step + 2):
            centre = (int((column + 0.5 * (row % 2)) * step), row * step)
            cv2.circle(drawn, centre, radius, plan.accent, -1, cv2.LINE_AA)
    return drawn


def _floral(plan: ClothPlan, rng: np.random.Generator) -> Swatch:
    drawn = _canvas(plan.base)
    blend = (np.array(plan.accent) + np.array(plan.third)) / 2
    tints: list[Colour] = [plan.accent, plan.third, (float(blend[0]), float(blend[1]), float(blend[2]))]
    leaf = (0.25 * plan.base[0] + 0.16, 0.25 * plan.base[1] + 0.30, 0.25 * plan.base[2] + 0.20)
    step = 88
    for row in range(-1, SIDE // step + 2):
        for column in range(-1, SIDE // step + 2):
            jitter = rng.uniform(-0.34, 0.34, 2)
            x, y = (column + 0.5 * (row % 2) + jitter[0]) * step, (row + jitter[1]) * step
            size = rng.uniform(9, 19)
            _flower(drawn, (x, y), size, (tints[int(rng.integers(3))], leaf), rng)
    return drawn


def _flower(
    drawn: Swatch, at: tuple[float, float], size: float, tints: tuple[Colour, Colour], rng: np.random.Generator
) -> None:
    tint, leaf = tints
    turn = rng.uniform(0, 6.28)
    for side in (0.0, 2.4):
        tip = (int(at[0] + 1.9 * size * np.cos(turn + side)), int(at[1] + 1.9 * size * np.sin(turn + side)))
        axes = (max(1, int(size * 0.75)), max(1, int(size * 0.3)))
        cv2.ellipse(drawn, tip, axes, np.degrees(turn + side), 0, 360, leaf, -1, cv2.LINE_AA)
    for petal in range(5):
        angle = turn + petal * 2 * np.pi / 5
        centre = (int(at[0] + 0.8 * size * np.cos(angle)), int(at[1] + 0.8 * size * np.sin(angle)))
        shade = tuple(float(channel) * rng.uniform(0.86, 1.05) for channel in tint)
        axes = (max(1, int(size * 0.75)), max(1, int(size * 0.52)))
        cv2.ellipse(drawn, centre, axes, np.degrees(angle), 0, 360, shade, -1, cv2.LINE_AA)
    cv2.circle(drawn, (int(at[0]), int(at[1])), max(1, int(size * 0.34)), (0.93, 0.76, 0.32), -1, cv2.LINE_AA)


def _blocks(plan: ClothPlan, rng: np.random.Generator) -> Swatch:
    """Two broad bands across the chest."""
    drawn = _canvas(plan.base)
    top = int(SIDE * 0.40 + rng.integers(-30, 30))
    drawn[top : top + 150] = plan.accent
    drawn[top + 150 : top + 180] = plan.third
    return drawn


_PATTERNS = {
    "plain": _plain,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "floral": _floral,
    "blocks": _blocks,
}
