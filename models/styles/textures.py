"""Fixed surface textures that hand-made media show: grain, hatching, screens, and the marks of a craft.

A texture is a periodic field that is always the same, so the same pixel of a picture always meets the same grain.
The drawing filters and the style net read the same fields; that is why a net without noise of its own can hatch.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np

from models.styles.fields import cells, noise, screens
from models.styles.fields.tile import TILE, Field

__all__ = ["NAMES", "SHEETS", "TILE", "Field", "sheet", "textures"]

#: What a style reads that names no sheet of its own, in the order of the net's channels.
NAMES = ("grain", "hatch", "cross", "wash")
#: Style -> the four textures that filter and net read; a style that is not here reads `NAMES`.
SHEETS: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {
        "halftone": ("cyan", "magenta", "yellow", "key"),
        "riso": ("grain", "tooth", "key", "wash"),
        "comic": ("grain", "dots", "cross", "wash"),
        "engraving": ("grain", "lines", "crosslines", "wash"),
        "stipple": ("grain", "stipple", "cross", "wash"),
        "pastel": ("tooth", "chalk", "grain", "wash"),
        "cross_stitch": ("stitch_x", "stitch_y", "stitch_shape", "stitch_tone"),
        "pointillism": ("dab_x", "dab_y", "dab_shape", "dab_tone"),
    }
)
#: Families of textures: each gives its fields by name.
_FAMILIES: tuple[tuple[tuple[str, ...], Callable[[], Mapping[str, Field]]], ...] = (
    (NAMES, noise.paper),
    (("tooth", "chalk"), noise.strokes),
    (("cyan", "magenta", "yellow", "key", "dots"), screens.dots),
    (("lines", "crosslines"), screens.lines),
    (("stipple",), cells.stipple),
    (("stitch_x", "stitch_y", "stitch_shape", "stitch_tone"), cells.stitches),
    (("dab_x", "dab_y", "dab_shape", "dab_tone"), cells.dabs),
)


def sheet(style: str) -> tuple[str, ...]:
    """The textures that a style reads, in the order of the net's channels."""
    return SHEETS.get(style, NAMES)


def textures(height: int, width: int, origin: tuple[int, int] = (0, 0), names: Sequence[str] = NAMES) -> Field:
    """The named textures over a picture: float32 [H, W, len(names)] in 0..1.

    `origin` is the (row, column) of the picture's first pixel, for windows of a larger picture.
    Raise `KeyError` for a name that is not known.
    """
    rows = (np.arange(height) + origin[0]) % TILE
    columns = (np.arange(width) + origin[1]) % TILE
    return np.ascontiguousarray(_stack(tuple(names))[np.ix_(rows, columns)])


@cache
def _stack(names: tuple[str, ...]) -> Field:
    """The named textures on one tile: float32 [TILE, TILE, len(names)]."""
    return np.stack([_family(name)[name] for name in names], axis=-1)


def _family(name: str) -> Mapping[str, Field]:
    for members, make in _FAMILIES:
        if name in members:
            return make()
    raise KeyError(f"unknown texture {name!r}")
