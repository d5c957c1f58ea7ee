"""A painted wall above a floor of boards, seen at the height of a table."""

import numpy as np

from models.pictures import Floats
from models.scenes.frame import Colour, Frame, blurred, noise, octaves, smoothstep
from models.scenes.light import Light, falloff, vignette
from models.scenes.perspective import Floor, receding
from models.scenes.wood import boards

_PAINT: Colour = (0.790, 0.800, 0.765)
_SKIRTING: Colour = (0.935, 0.930, 0.915)
_FLOOR_PALE: Colour = (0.800, 0.690, 0.565)
_FLOOR_DEEP: Colour = (0.520, 0.395, 0.285)
#: Height of the skirting board, in units.
_BOARD = 0.052


def wall_and_floor(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """A deep floor, for what stands on it."""
    return _room(frame, rng, light, floor_seam(frame))


def wall(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Much wall and a strip of floor, for what hangs on the wall."""
    return _room(frame, rng, light, wall_seam(frame))


def floor_seam(frame: Frame) -> float:
    """Where the floor of `wall_and_floor` begins, in units from the top."""
    return 0.70 * frame.high - 0.30 * max(0.0, frame.high - 1)


def wall_seam(frame: Frame) -> float:
    """Where the floor of `wall` begins, in units from the top."""
    return 0.895 * frame.high - 0.10 * max(0.0, frame.high - 1)


def _room(frame: Frame, rng: np.random.Generator, light: Light, seam: float) -> Floats:
    """Wall, skirting board, floor; what is far is a little out of focus."""
    room = _wall(frame, rng, light)
    _, y = frame.axes()
    edge = np.float32(1.2 / frame.unit)
    skirting = np.clip((y - (seam - _BOARD)) / edge, 0, 1)
    lip = 1 - 0.16 * np.exp(-(((y - (seam - _BOARD)) / 0.0035) ** 2)) - 0.22 * np.exp(-(((y - seam) / 0.006) ** 2))
    board = np.array(_SKIRTING, np.float32) * (falloff(frame, light, 1.0, 0.86) * lip)[..., None]
    room += (board - room) * skirting[..., None]
    room = blurred(room, 0.0022 * frame.unit)
    top, floor = _floor(frame, rng, light, seam)
    there = np.clip((y[top:] - seam) / edge, 0, 1)
    room[top:] += (floor - room[top:]) * there[..., None]
    room *= vignette(frame, 0.12)[..., None]
    return room


def _wall(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Matt paint: a pool of light, the marks of the roller, and it darkens towards the floor."""
    x, y = frame.axes()
    pool = np.hypot((x / frame.wide - 0.5 - 0.2 * light.source[0]), (y / frame.high - 0.38))
    lit = falloff(frame, light, 1.05, 0.86) * (1.05 - 0.22 * smoothstep(pool.astype(np.float32), 0.05, 0.9))
    roller = 1 + 0.007 * noise(frame, rng, 120, 90) + 0.008 * octaves(frame, rng, 3, 3)
    return np.asarray(np.array(_PAINT, np.float32) * (lit * roller)[..., None], np.float32)


def _floor(frame: Frame, rng: np.random.Generator, light: Light, seam: float) -> tuple[int, Floats]:
    """Boards that run towards the wall, with its pale reflection and a dark joint: first row, and all from there."""

    def laid(plan: Frame, side: float) -> Floats:
        return boards(plan, rng, 0.135 / side, _FLOOR_PALE, _FLOOR_DEEP)

    top, floor = receding(frame, Floor(seam), laid)
    y = frame.axes()[1][top:]
    depth = np.clip((y - seam) / 0.26, 0, 1)
    joint = 1 - 0.42 * np.exp(-np.maximum(y - seam, 0) / 0.014) - 0.10 * (1 - depth)
    floor *= (falloff(frame, light, 1.05, 0.86)[top:] * joint)[..., None]
    sheen = 0.24 * (1 - depth) ** 1.5
    floor += (np.array(_PAINT, np.float32) * 0.95 - floor) * sheen[..., None]
    return top, floor
