"""A perceptual hash: near-duplicates differ in few bits (DCT hash; C. Zauner, 2010, section 3.2.1)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serve.interfaces import Picture

_SIDE = 32
_KEPT = 8


def _dct_matrix() -> NDArray[np.float64]:
    """The first `_KEPT` rows of the DCT-II of length `_SIDE`."""
    rows = np.arange(_KEPT)[:, None]
    columns = np.arange(_SIDE)[None, :]
    matrix: NDArray[np.float64] = np.cos(np.pi * (2 * columns + 1) * rows / (2 * _SIDE))
    return matrix


_DCT = _dct_matrix()


def phash(pixels: Picture) -> str:
    """64 bits as 16 hex digits of a `uint8 [H, W, 3]` picture: signs of the low frequencies about their median."""
    small = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    low = _DCT @ np.asarray(small, dtype=np.float64) @ _DCT.T
    # Rounded, so that a flat picture gives the same bits on every machine; the mean says nothing about the shape.
    low = np.round(low, 3).ravel()
    bits = low > np.median(low[1:])
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def hamming(one: str, other: str) -> int:
    """In how many of the 64 bits two hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
