"""Patterns of cloth, drawn by code and laid on photographed garments: labelled examples where no labels exist.

A pattern is a field of colours over the cloth; the garment's own shading multiplies it, so that folds stay. Each
painter takes the places on the cloth and a generator of random numbers, and gives `float32 [S, S, 3]` sRGB in 0..1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import delta_e_2000, from_lab, lab_of, linear_to_srgb, srgb_to_linear
from models.pictures import Floats, Mask, Picture
from models.training.motifs import scatter, single

Draw = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloth:
    """Places on the cloth, `float32 [S, S]` each, 0 in its middle, in units of its longer side: u across, v down."""

    u: Floats
    v: Floats
    #: Whether sleeves hang down beside the body: their stripes run askew.
    sleeves: bool = False

    def turned(self, angle: float) -> tuple[Floats, Floats]:
        """u and v after a turn, in radians."""
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return self.u * c - self.v * s, self.u * s + self.v * c


Painter = Callable[[Cloth, Draw], Floats]


def laid(picture: Picture, mask: Mask, kind: str, draw: Draw, *, sleeves: bool = False) -> Picture:
    """The photo with its garment in another cloth of the kind; the garment should be plain and cut out well."""
    cloth = _cloth(mask, draw, sleeves)
    colours = PAINTERS[kind](cloth, draw)
    colours = np.asarray(cv2.GaussianBlur(colours, (0, 0), draw.uniform(0.4, 0.9)), np.float32)
    linear = srgb_to_linear(picture.astype(np.float32) / np.float32(255))
    light = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    middle = float(np.median(light[mask > 0.9])) if (mask > 0.9).any() else 0.5
    # Dark cloth shows more contrast than light cloth could: its shading is compressed.
    shade = np.clip((light + 0.01) / (middle + 0.01), 0.3, 2.2) ** np.float32(0.6 + 0.4 * min(1.0, 4 * middle))
    dyed = linear_to_srgb(np.clip(srgb_to_linear(colours) * shade[..., None], 0, 1))
    alpha = mask[..., None]
    mixed = dyed * alpha + picture.astype(np.float32) / np.float32(255) * (1 - alpha)
    return np.asarray((mixed * 255 + 0.5).clip(0, 255), np.uint8)


def _cloth(mask: Mask, draw: Draw, sleeves: bool) -> Cloth:
    """Places on the garment, bent a little as cloth lies."""
    side = mask.shape[0]
    rows, columns = (np.flatnonzero((mask > 0.5).any(axis)) for axis in (1, 0))
    if not rows.size:
        rows = columns = np.arange(side)
    longer = max(int(np.ptp(rows)), int(np.ptp(columns)), 1)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    grids = draw.normal(0, 1, (2, 5, 5)).astype(np.float32)
    bend = [cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) for grid in grids]
    strength = np.float32(draw.uniform(0, 0.02))
    u = (x - np.float32(float(columns.mean()))) / np.float32(longer) + strength * bend[0]
    v = (y - np.float32(float(rows.mean()))) / np.float32(longer) + strength * bend[1]
    return Cloth(u=np.asarray(u, np.float32), v=np.asarray(v, np.float32), sleeves=sleeves)


def colour(draw: Draw) -> Floats:
    """One colour of cloth, sRGB `float32 [3]` in 0..1; black, white, grey, navy and beige are the commonest."""
    if draw.random() < 0.5:
        light, tint = draw.choice([12, 18, 30, 50, 70, 88, 95]), draw.normal(0, 3, 2)
        if draw.random() < 0.3:
            light, tint = draw.choice([20, 35, 75, 85]), np.array(draw.choice([(4, -22), (6, 18), (2, 10)]))
        lab = np.array([light + draw.normal(0, 3), *tint])
    else:
        hue, chroma = draw.uniform(0, 2 * np.pi), draw.gamma(4, 9)
        lab = np.array([draw.uniform(20, 85), chroma * np.cos(hue), chroma * np.sin(hue)])
    return _unit(from_lab(lab.astype(np.float32)[None, None])[0, 0])


def colours(draw: Draw, count: int, apart: float = 14.0) -> Floats:
    """Colours that can be told from each other: sRGB `float32 [count, 3]` in 0..1."""
    chosen: list[Floats] = []
    labs: list[Floats] = []
    while len(chosen) < count:
        candidate = colour(draw)
        red, green, blue = (int(value * 255) for value in candidate)
        lab = lab_of((red, green, blue))
        if all(delta_e_2000(lab, other) > apart for other in labs):
            chosen.append(candidate)
            labs.append(lab)
        apart *= 0.98
    return np.stack(chosen)


def _unit(levels: NDArray[np.uint8]) -> Floats:
    return np.asarray(levels.astype(np.float32) / np.float32(255))


def _either(where: NDArray[np.bool_], first: Floats, second: Floats) -> Floats:
    return np.asarray(np.where(where[..., None], first, second), np.float32)


def _plain(cloth: Cloth, draw: Draw) -> Floats:
    field = np.broadcast_to(colour(draw), (*cloth.u.shape, 3)).copy()
    if draw.random() < 0.3:  # marl: threads of two shades
        grain = cv2.GaussianBlur(draw.normal(0, 1, cloth.u.shape).astype(np.float32), (0, 0), draw.uniform(0.5, 1.2))
        field += np.float32(draw.uniform(0.03, 0.12)) * grain[..., None] / max(float(grain.std()), 1e-6)
    if draw.random() < 0.2:  # a trim at neck, hem or waist
        edge = draw.choice([-1, 1]) * cloth.v > draw.uniform(0.4, 0.47)
        field[edge] = colour(draw)
    if draw.random() < 0.2:  # a small mark is no print
        field = single(field, cloth.u, cloth.v, draw, size=float(draw.uniform(0.03, 0.07)))
    return field.clip(0, 1).astype(np.float32)


def _bands(place: Floats, draw: Draw, *, fine: bool) -> NDArray[np.int64]:
    """Which of up to four colours lies at each place: bands of random widths that repeat."""
    count = int(draw.choice([2, 2, 2, 3, 4]))
    period = np.exp(draw.uniform(np.log(0.025 if fine else 0.035), np.log(0.1 if fine else 0.28))) * count / 2
    widths = draw.dirichlet(np.full(count, 3.0)) if draw.random() < 0.6 else np.full(count, 1 / count)
    if fine and draw.random() < 0.6:
        widths = np.array([0.8, *np.full(count - 1, 0.2 / (count - 1))])
    phase = ((place / period + draw.random()) % 1.0).astype(np.float64)
    return np.asarray(np.searchsorted(np.cumsum(widths)[:-1], phase), np.int64)


def _askew(cloth: Cloth, draw: Draw, angle: float) -> Floats:
    """The place along v, turned by the angle; on sleeves turned the way that they hang."""
    place = cloth.turned(angle)[1]
    if cloth.sleeves and draw.random() < 0.6:
        lean, edge = draw.uniform(0.3, 1.2), draw.uniform(0.2, 0.3)
        for sign in (-1, 1):
            place = np.where(sign * cloth.u > edge, cloth.turned(angle + sign * lean)[1], place)
    return place


def _horizontal(cloth: Cloth, draw: Draw) -> Floats:
    bands = _bands(_askew(cloth, draw, draw.normal(0, 0.08)), draw, fine=False)
    return colours(draw, 4)[bands]


def _vertical(cloth: Cloth, draw: Draw) -> Floats:
    across = Cloth(u=cloth.v, v=cloth.u)
    bands = _bands(across.turned(draw.normal(0, 0.07))[1], draw, fine=bool(draw.random() < 0.7))
    return colours(draw, 4)[bands]


def _check(cloth: Cloth, draw: Draw) -> Floats:
    u, v = cloth.turned(draw.normal(0, 0.1) + (np.pi / 4 if draw.random() < 0.08 else 0))
    palette = colours(draw, 4)
    state = draw.integers(2**31)
    fine = bool(draw.random() < 0.6)
    across, down = (_bands(place, np.random.default_rng(state), fine=fine) for place in (u, v))
    if draw.random() < 0.25:  # window pane: lines on one colour
        lines = (across > 0) | (down > 0)
        return _either(lines, palette[1], palette[0])
    return np.asarray((palette[across] + palette[down]) / 2, np.float32)


def _dots(cloth: Cloth, draw: Draw) -> Floats:
    period = np.exp(draw.uniform(np.log(0.035), np.log(0.13)))
    u, v = (place / period for place in cloth.turned(draw.uniform(0, np.pi)))
    if draw.random() < 0.7:
        u = u + 0.5 * (np.floor(v) % 2)
    away = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    dots = away < draw.uniform(0.18, 0.36)
    palette = colours(draw, 2, apart=22)
    return _either(dots, palette[1], palette[0])


def _noise(shape: tuple[int, int], draw: Draw, cells: float) -> Floats:
    """Smooth noise in about 0..1 with so many cells along a side, float32 [S, S]."""
    total = np.zeros(shape, np.float32)
    for octave, weight in enumerate((1.0, 0.5, 0.25)):
        count = max(2, round(cells * 2**octave))
        grid = draw.random((count, count)).astype(np.float32)
        total += np.float32(weight) * cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total / np.float32(1.75)


def _steps(field: Floats, palette: Floats) -> Floats:
    """The field cut into as many levels of equal share as there are colours."""
    limits = np.quantile(field, np.linspace(0, 1, len(palette) + 1)[1:-1])
    return np.asarray(palette[np.searchsorted(limits, field)], np.float32)


def _print(cloth: Cloth, draw: Draw) -> Floats:
    kind = draw.random()
    if kind < 0.2:  # painted, marbled
        return _steps(_noise(cloth.u.shape, draw, draw.uniform(5, 14)), colours(draw, int(draw.integers(3, 6))))
    if kind < 0.3:  # spots with rims, as of a leopard
        field = _noise(cloth.u.shape, draw, draw.uniform(14, 30))
        palette = colours(draw, 3)
        ring = np.abs(field - np.quantile(field, 0.72)) < 0.05
        return _either(ring, palette[0], _either(field > 0.62, palette[1], palette[2]))
    ground = np.broadcast_to(colour(draw), (*cloth.u.shape, 3)).astype(np.float32).copy()
    return scatter(ground, colours(draw, 4), draw)


def _graphic(cloth: Cloth, draw: Draw) -> Floats:
    ground = np.broadcast_to(colour(draw), (*cloth.u.shape, 3)).astype(np.float32).copy()
    return single(ground, cloth.u, cloth.v, draw, size=float(draw.uniform(0.16, 0.5)))


#: Colours of hunters, deserts, cities and the sea, LAB.
_CAMOUFLAGE = (
    ((25, -6, 12), (45, -8, 22), (60, 2, 22), (20, 6, 10)),
    ((75, 3, 18), (60, 8, 22), (45, 8, 18), (82, 2, 10)),
    ((30, 0, 0), (55, 0, 0), (75, 0, 0), (90, 0, 0)),
    ((22, 2, -20), (45, 0, -25), (65, -2, -14), (85, -2, -5)),
)


def _camouflage(cloth: Cloth, draw: Draw) -> Floats:
    tones = np.array(_CAMOUFLAGE[draw.integers(len(_CAMOUFLAGE))], np.float32)
    tones = draw.permutation(tones)[: int(draw.integers(3, 5))] + draw.normal(0, 3, 3).astype(np.float32)
    palette = _unit(from_lab(np.asarray(tones[None], np.float32))[0])
    field, cells = np.zeros(cloth.u.shape, np.int64), draw.uniform(5, 11)
    for level in range(1, len(palette)):
        blob = _noise(cloth.u.shape, draw, cells)
        field[blob > np.quantile(blob, 0.68)] = level
    return palette[field]


def _blocks(cloth: Cloth, draw: Draw) -> Floats:
    palette = colours(draw, 3, apart=18)
    kind, at = draw.random(), draw.normal(0, 0.12)
    if kind < 0.55:
        place = cloth.turned(draw.normal(0, 0.1))[1]
        second = at + draw.uniform(0.1, 0.3) if draw.random() < 0.4 else 9.0
        return np.asarray(palette[(place > at).astype(int) + (place > second)], np.float32)
    if kind < 0.8:  # sleeves or sides of another colour
        return _either(np.abs(cloth.u - at * 0.2) > draw.uniform(0.14, 0.26), palette[0], palette[1])
    return _either(cloth.turned(draw.uniform(0.5, 2.6))[1] > at, palette[0], palette[1])


#: Each kind of pattern and its painter; their order is that of the net's outputs.
PAINTERS: Mapping[str, Painter] = {
    "plain": _plain,
    "horizontal-stripes": _horizontal,
    "vertical-stripes": _vertical,
    "check": _check,
    "dots": _dots,
    "print": _print,
    "graphic": _graphic,
    "camouflage": _camouflage,
    "colour-block": _blocks,
}
