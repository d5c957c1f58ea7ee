"""Screens of print: clustered dots at the classic angles, and the swelling lines of an engraver.

Waves fit the tile a whole number of times, so angles and periods are the nearest that do. A value is the tone at which
ink covers the pixel.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from models.styles.fields.tile import TILE, Field, evenly, grid

#: Waves per tile, (across, down): some 6 px apart at 15, 75, 0 and 45 degrees.
_DOTS = {"cyan": (77, 21), "magenta": (21, 77), "yellow": (80, 0), "key": (56, 56), "dots": (40, 40)}
#: Waves per tile of the engraver's lines, (across, down): 6.5 px apart.
_LINES = {"lines": (22, 75), "crosslines": (66, -42)}
#: How far the engraver's lines sway, in px, and how often on a tile.
_SWAY_PX, _SWAYS = 5.0, 3


@cache
def dots() -> Mapping[str, Field]:
    """Round dots that grow with the tone until they touch, one screen per ink."""
    return {
        name: evenly(-np.cos(_phase(across, down)) - np.cos(_phase(-down, across)))
        for name, (across, down) in _DOTS.items()
    }


@cache
def lines() -> Mapping[str, Field]:
    """Lines that swell with the tone and sway a little, in two directions."""
    return {name: evenly(-np.cos(_phase(across, down, _SWAY_PX))) for name, (across, down) in _LINES.items()}


def _phase(across: int, down: int, sway_px: float = 0.0) -> Field:
    """Phase of a plane wave on the tile, in radians: float32 [TILE, TILE]."""
    rows, columns = grid()
    turn = 2 * np.pi / TILE
    if sway_px:
        rows = rows + sway_px * np.sin(_SWAYS * turn * columns) * np.cos(turn * rows)
        columns = columns + sway_px * np.sin(_SWAYS * turn * grid()[0])
    return np.asarray(turn * (across * columns + down * rows), np.float32)
