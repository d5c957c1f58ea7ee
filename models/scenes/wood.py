"""A table of oak boards, seen from above."""

import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats
from models.scenes.frame import Colour, Field, Frame, between, noise
from models.scenes.light import Light, falloff, vignette

#: Number of the board per column of pixels, `[W]`.
Boards = NDArray[np.intp]
_PALE: Colour = (0.845, 0.735, 0.605)
_DEEP: Colour = (0.560, 0.415, 0.285)


def wood(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Boards along the long side of the frame."""
    if frame.width > frame.height:
        turned = Frame(frame.height, frame.width)
        table = np.ascontiguousarray(boards(turned, rng).transpose(1, 0, 2))
    else:
        table = boards(frame, rng)
    table *= (falloff(frame, light, 1.05, 0.88) * vignette(frame, 0.12))[..., None]
    return table


def boards(
    frame: Frame, rng: np.random.Generator, breadth: float = 0.19, pale: Colour = _PALE, deep: Colour = _DEEP
) -> Floats:
    """Upright boards side by side, about `breadth` units wide, evenly lit: `[H, W, 3]`."""
    x, _ = frame.axes()
    edges = _edges(frame.wide, breadth, rng)
    board = np.clip(np.searchsorted(edges, x[0]) - 1, 0, len(edges) - 2)
    middle = (edges[board] + edges[board + 1]) / 2
    count = len(edges) - 1
    dark = _grain(frame, rng, x - middle, board)
    dark += (rng.normal(0, 0.055, count).astype(np.float32))[board]
    colour = between(np.clip(dark, -0.2, 1.2), pale, deep)
    warm = rng.normal(0, 0.012, count).astype(np.float32)[board]
    colour[..., 0] += warm
    colour[..., 2] -= warm
    gaps = _gaps(frame, rng, x, edges, board)
    colour *= 1 - gaps[..., None] * np.array((0.80, 0.92, 1.0), np.float32)
    return colour


def _edges(wide: float, breadth: float, rng: np.random.Generator) -> Field:
    widths = breadth * rng.uniform(0.87, 1.13, int(wide / (0.87 * breadth)) + 4)
    return np.asarray(np.cumsum(widths) - breadth * rng.uniform(1.13, 2.0), np.float32)


def _grain(frame: Frame, rng: np.random.Generator, u: Field, board: Boards) -> Field:
    """Darkness 0..1 of year rings cut along the stem, fibres and pores."""

    _, y = frame.axes()

    def each(low: float, high: float) -> Field:
        return np.asarray(rng.uniform(low, high, int(board.max()) + 1)[board][None, :], np.float32)

    sway = 0.020 * noise(frame, rng, 5, 0.9) + 0.005 * noise(frame, rng, 16, 3)
    depth = each(0.03, 0.16) + each(-0.05, 0.05) * y + sway
    distance = np.sqrt((u - each(-0.13, 0.13)) ** 2 + depth * depth)
    rings, table = _rings(rng)
    place = (distance * rings + each(0, 40)) * (len(table) / 64)
    ring = table[place.astype(np.int32) % len(table)]
    fibre = 0.6 * noise(frame, rng, 230, 4) + 0.4 * noise(frame, rng, 90, 2)
    pores = np.clip(noise(frame, rng, 330, 16) - 0.42, 0, 1)
    cloud = noise(frame, rng, 6, 1.2)
    hair = noise(frame, rng, 420, 9)
    figure = 0.40 * ring + 0.15 * fibre + 0.09 * hair + 0.50 * pores * (0.4 + ring)
    return np.asarray(0.20 + figure + 0.10 * cloud, np.float32)


def _rings(rng: np.random.Generator) -> tuple[float, Field]:
    """Rings per unit and a table of 64 of them: each grows dark slowly and turns pale again at once."""
    per = 128
    widths = np.clip(rng.lognormal(0, 0.35, 64), 0.4, 2.2)
    ends = np.cumsum(widths) / widths.sum() * 64
    at = np.linspace(0, 64, 64 * per, endpoint=False)
    index = np.searchsorted(ends, at, side="right").clip(0, 63)
    start = np.concatenate([[0.0], ends])[index]
    phase = (at - start) / (ends[index] - start)
    strength = rng.uniform(0.45, 1.0, 64)[index]
    profile = strength * (phase**2.2) * (1 - np.clip((phase - 0.9) / 0.1, 0, 1))
    soft = np.convolve(np.concatenate([profile[-8:], profile, profile[:8]]), np.ones(17) / 17, "valid")
    return 58.0, np.asarray(soft, np.float32)


def _gaps(frame: Frame, rng: np.random.Generator, x: Field, edges: Field, board: Boards) -> Field:
    """Darkness of the gaps between boards, with a bevel."""
    near = np.minimum(x[0] - edges[board], edges[board + 1] - x[0])
    line = 0.46 * np.exp(-((near / 0.0013) ** 2)) + 0.10 * np.exp(-((near / 0.005) ** 2))
    uneven = 1 + 0.7 * noise(frame, rng, 2, 7)
    return np.asarray(np.clip(line[None, :] * uneven, 0, 0.9), np.float32)
