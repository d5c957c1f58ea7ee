"""A garden out of focus behind a table of pale wood."""

import cv2
import numpy as np

from models.pictures import Floats
from models.scenes.frame import Colour, Frame, between, blurred, octaves, resized, smoothstep
from models.scenes.light import Light, falloff, vignette
from models.scenes.perspective import Floor, receding
from models.scenes.wood import boards

_DEEP: Colour = (0.215, 0.300, 0.185)
_GREEN: Colour = (0.500, 0.590, 0.360)
_SUN: Colour = (0.980, 0.965, 0.800)
_GLOW: Colour = (0.60, 0.66, 0.46)


def terrace(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Leaves and spots of sun far behind, the table sharp in front and blurred where it ends."""
    garden = _garden(frame, rng, light)
    edge = edge_of(frame)
    top, table = _table(frame, rng, light, edge)
    there = smoothstep(frame.axes()[1][top:] - np.float32(edge), -0.010, 0.010)
    garden[top:] += (table - garden[top:]) * there[..., None]
    garden *= vignette(frame, 0.14)[..., None]
    return garden


def edge_of(frame: Frame) -> float:
    """Where the table ends, in units from the top."""
    return 0.72 * frame.high - 0.30 * max(0.0, frame.high - 1)


def _garden(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """All of it is blurred, so a quarter of the pixels is enough."""
    small = frame.part(min(1.0, 360 / frame.unit))
    x, y = small.axes()
    bright = 0.42 + 0.75 * octaves(small, rng, 1.8, 3, 0.5)
    bright += 0.30 * (light.source[0] * (x / small.wide - 0.5)) + 0.34 * (0.45 - y / small.high)
    garden = between(np.clip(bright, 0, 1.15), _DEEP, _GREEN)
    _leaves(garden, small, rng)
    garden = blurred(garden, 0.018 * small.unit)
    _lights(garden, small, rng, light)
    garden = blurred(garden, 0.004 * small.unit)
    garden *= falloff(small, light, 1.10, 0.84)[..., None]
    glow = np.hypot(x / small.wide - 0.5 - 0.4 * light.source[0], y / small.high - 0.12)
    garden += (np.array(_SUN, np.float32) - garden) * (0.34 * np.exp(-((glow / 0.34) ** 2)))[..., None]
    return resized(garden, (frame.width, frame.height))


def _leaves(garden: Floats, frame: Frame, rng: np.random.Generator) -> None:
    """Long blurred leaves in many greens, in place."""
    for _ in range(int(70 * frame.wide * frame.high)):
        at = (rng.uniform(0, frame.width), rng.uniform(-0.05, 0.8) * frame.height)
        length = rng.uniform(0.05, 0.15) * frame.unit
        tone = rng.uniform(0.0, 1.0)
        colour = np.array(_DEEP) * (1 - tone) + np.array((0.62, 0.70, 0.38)) * tone
        box = (at, (length, length * rng.uniform(0.25, 0.5)), rng.uniform(0, 180))
        cv2.ellipse(garden, box, tuple(float(v) for v in colour), -1, cv2.LINE_AA)


def _lights(garden: Floats, frame: Frame, rng: np.random.Generator, light: Light) -> None:
    """Spots of sun between leaves, drawn as the lens draws them: even discs, a little brighter at the rim; in place."""
    for _ in range(int(46 * frame.wide * frame.high)):
        towards = rng.normal(0.5 + 0.22 * light.source[0], 0.28)
        x, y = towards * frame.width, rng.beta(1.3, 2.2) * 0.8 * frame.height
        radius = rng.uniform(0.014, 0.052) * frame.unit
        strength = rng.uniform(0.08, 0.60) * (0.030 / (0.012 + radius / frame.unit)) ** 0.6
        _disc(garden, x, y, radius, strength)


def _disc(garden: Floats, x: float, y: float, radius: float, strength: float) -> None:
    pad = int(radius) + 3
    rows = slice(max(0, int(y) - pad), min(garden.shape[0], int(y) + pad + 1))
    columns = slice(max(0, int(x) - pad), min(garden.shape[1], int(x) + pad + 1))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    distance = np.hypot(
        np.arange(columns.start, columns.stop)[None, :] - x, np.arange(rows.start, rows.stop)[:, None] - y
    )
    inside = np.clip(radius - distance + 0.5, 0, 1) * (0.72 + 0.28 * (distance / radius) ** 4)
    share = (np.clip(inside, 0, 1) * strength).astype(np.float32)
    garden[rows, columns] += (np.array(_SUN, np.float32) - garden[rows, columns]) * share[..., None]


def _table(frame: Frame, rng: np.random.Generator, light: Light, edge: float) -> tuple[int, Floats]:
    """Boards in perspective; the far edge is out of focus and takes the green: first row, and all from there."""

    def laid(plan: Frame, side: float) -> Floats:
        return boards(plan, rng, 0.20 / side)

    top, sharp = receding(frame, Floor(edge - 0.012, horizon=0.30, camera=0.55), laid)
    y = frame.axes()[1][top:]
    depth = smoothstep(y - edge, 0.0, 0.14)[..., None]
    soft = blurred(sharp, 0.008 * frame.unit)
    table = soft + (sharp - soft) * depth
    table *= falloff(frame, light, 1.08, 0.86)[top:, :, None]
    table += (np.array(_GLOW, np.float32) - table) * (0.28 * (1 - depth))
    return top, table
