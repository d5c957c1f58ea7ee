"""The periodic tile that all textures live on, and how a field is spread evenly over 0..1."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

#: Side of the periodic tile, in pixels.
TILE = 512


def evenly(field: NDArray[np.floating]) -> Field:
    """The field's ranks, so that a threshold of .3 is passed by three tenths of it: float32, same shape, 0..1."""
    ranks = np.empty(field.size, np.float32)
    ranks[np.argsort(field, axis=None, kind="stable")] = np.linspace(0, 1, field.size, dtype=np.float32)
    return ranks.reshape(field.shape)


def grid() -> tuple[Field, Field]:
    """Row and column of each pixel of the tile: float32 [TILE, TILE] each."""
    rows, columns = np.indices((TILE, TILE), dtype=np.float32)
    return rows, columns
