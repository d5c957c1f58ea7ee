"""Textures of separate marks: stipple dots, stitches and dabs of paint, each on a grid that is shaken or not.

A mark has four fields. `x` and `y` lead from the pixel to the middle of its mark (0.5: none, 0 and 1: `REACH` px to the
left or up, to the right or down), `shape` is high within the mark and 0 between marks, `tone` is a number of the mark's
own. So whoever reads them can give a whole mark the colour of its middle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.styles.fields.tile import TILE, Field, grid

#: Pixels that the ends of `x` and `y` stand for.
REACH = 12.0
_SEED = 19_991_213
_Place = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class _Marks:
    """Marks on a shaken grid: their middles in px and two random numbers of their own, each float32 [count, count]."""

    rows: Field
    columns: Field
    tone: Field
    turn: Field


@cache
def stipple() -> Mapping[str, Field]:
    """Dots of a pen: the tone at which each appears, and grows from there on."""
    count = 128
    marks = _shaken(count, 0.62, 1)
    order = _even_order(count, 2)
    best = np.full((TILE, TILE), 9.0, np.float32)
    for place, down, right in _around(marks, 2):
        distance = np.hypot(down, right)
        best = np.minimum(best, 0.86 * order[place] + 0.10 * (distance / 1.6) ** 3)
    return {"stipple": np.clip(best, 0, 1).astype(np.float32)}


@cache
def stitches() -> Mapping[str, Field]:
    """Crossed threads in cells of 8 px, the upper thread from lower left to upper right."""
    size = 8
    rows, columns = grid()
    down, right = (rows % size) - (size - 1) / 2, (columns % size) - (size - 1) / 2
    rising, falling = np.abs(down + right) / np.sqrt(2), np.abs(down - right) / np.sqrt(2)
    upper, lower = np.clip(1.15 - (rising / 2.1) ** 2, 0, 1), np.clip(0.85 - (falling / 2.1) ** 2, 0, 1)
    shape = np.where(rising < 2.0, upper, lower)
    twist = 0.5 + 0.5 * np.cos(2 * np.pi * (np.where(rising < 2.0, right - down, right + down)) / 4.0)
    return _fields(
        "stitch", down, right, shape * (0.85 + 0.15 * twist), _random(TILE // size, 3).repeat(size, 0).repeat(size, 1)
    )


@cache
def dabs() -> Mapping[str, Field]:
    """Short round strokes of a loaded brush, some 8 px long, that lie partly over each other."""
    marks = _shaken(88, 0.8, 5)
    top = np.full((TILE, TILE), -1.0, np.float32)
    found = [np.zeros((TILE, TILE), np.float32) for _ in range(4)]
    for place, down, right in _around(marks, 2):
        turn = np.pi * marks.turn[place]
        along, across = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
        inside = np.clip(1.3 - np.hypot(along / 5.2, across / 3.2), 0, 0.3) / 0.3
        rank = marks.tone[place]
        above = (inside > 0.35) & (rank > top)
        top = np.where(above, rank, top)
        for field, value in zip(found, (down, right, inside, rank), strict=True):
            field[above] = np.broadcast_to(value, above.shape)[above]
    return _fields("dab", found[0], found[1], found[2], found[3])


def _fields(name: str, down: Field, right: Field, shape: Field, tone: Field) -> Mapping[str, Field]:
    """The four fields of a kind of mark; `down` and `right` are the pixel's place as seen from the middle, in px."""
    x, y = (np.clip(0.5 - 0.5 * offset / REACH, 0, 1) for offset in (right, down))
    fields = {"x": x, "y": y, "shape": shape, "tone": tone}
    return {f"{name}_{key}": np.asarray(value, np.float32) for key, value in fields.items()}


def _shaken(count: int, shake: float, seed: int) -> _Marks:
    """Middles of the cells, moved by up to half a `shake` of a cell."""
    rng = np.random.default_rng(_SEED + seed)
    size = TILE / count
    rows, columns = np.indices((count, count), dtype=np.float32)
    move = rng.uniform(-0.5 * shake, 0.5 * shake, (2, count, count)).astype(np.float32)
    tone, turn = (rng.random((count, count)).astype(np.float32) for _ in range(2))
    return _Marks((rows + 0.5 + move[0]) * size, (columns + 0.5 + move[1]) * size, tone, turn)


def _random(count: int, seed: int) -> Field:
    return np.random.default_rng(_SEED + seed).random((count, count)).astype(np.float32)


def _even_order(count: int, seed: int) -> Field:
    """An order of the cells in which each takes the largest void among those before it: ranks [count, count] in 0..1.

    After Ulichney, "The void-and-cluster method for dither array generation" (SPIE 1993), with a kernel of long reach
    so that few dots lie as evenly as many.
    """
    steps = np.minimum(np.arange(count), count - np.arange(count)).astype(np.float32)
    crowd = (1.0 + steps[:, None] ** 2 + steps[None, :] ** 2) ** -1.5
    repeated = np.tile(crowd, (2, 2))
    energy = 1e-3 * _random(count, seed)
    ranks = np.empty((count, count), np.float32)
    for rank in range(count * count):
        row, column = divmod(int(energy.argmin()), count)
        ranks[row, column] = rank / (count * count - 1)
        energy += repeated[count - row : 2 * count - row, count - column : 2 * count - column]
        energy[row, column] = np.inf
    return ranks


def _around(marks: _Marks, reach: int) -> list[tuple[_Place, Field, Field]]:
    """For each of the marks near a pixel: its index arrays, and the pixel's place as seen from it, (down, right) px."""
    count = len(marks.rows)
    rows, columns = grid()
    cell_row, cell_column = (rows * count / TILE).astype(np.intp), (columns * count / TILE).astype(np.intp)
    near = []
    for step_row in range(-reach, reach + 1):
        for step_column in range(-reach, reach + 1):
            place = ((cell_row + step_row) % count, (cell_column + step_column) % count)
            near.append((place, _wrapped(rows - marks.rows[place]), _wrapped(columns - marks.columns[place])))
    return near


def _wrapped(distance: Field) -> Field:
    """The shorter way round the tile."""
    return np.asarray((distance + TILE / 2) % TILE - TILE / 2, np.float32)
