"""Fixed surface textures that hand-made media show: paper grain, pencil hatching, pigment wash.

A texture is a periodic field made from seeded noise, so that the same pixel of a picture always meets the same grain.
The drawing filters and the style net read the same fields; that is why a net without noise of its own can hatch.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

#: Side of the periodic tile, in pixels.
TILE = 512
#: Channel order of `textures`.
NAMES = ("grain", "hatch", "cross", "wash")
_SEED = 20_070_701


def textures(height: int, width: int, origin: tuple[int, int] = (0, 0)) -> Field:
    """The four textures over a picture: float32 [H, W, 4], each uniformly distributed over 0..1.

    `origin` is the (row, column) of the picture's first pixel, for windows of a larger picture.
    """
    rows = (np.arange(height) + origin[0]) % TILE
    columns = (np.arange(width) + origin[1]) % TILE
    return np.ascontiguousarray(_tile()[np.ix_(rows, columns)])


@cache
def _tile() -> Field:
    """All textures on one tile: float32 [TILE, TILE, 4]."""
    rng = np.random.default_rng(_SEED)
    grain = _smooth_noise(rng, 1.4, 1.4, 0.0)
    hatch, cross = _smooth_noise(rng, 15.0, 1.1, 126.0), _smooth_noise(rng, 13.0, 1.1, 80.0)
    wash = _smooth_noise(rng, 20.0, 20.0, 0.0)
    return np.stack([grain, _bend(rng, hatch), _bend(rng, cross), wash], axis=-1)


def _bend(rng: np.random.Generator, field: Field) -> Field:
    """Sway straight strokes by up to 12 px over some 100 px, as a hand does."""
    sway = [np.rint(12.0 * _smooth_noise(rng, 45.0, 45.0, 0.0)).astype(np.intp) for _ in range(2)]
    rows, columns = np.indices(field.shape)
    return np.asarray(field[(rows + sway[0]) % TILE, (columns + sway[1]) % TILE], np.float32)


def _smooth_noise(rng: np.random.Generator, along: float, across: float, degrees: float) -> Field:
    """Noise blurred by an elongated Gaussian (sigmas in pixels), then spread evenly over 0..1: float32 [TILE, TILE]."""
    fy, fx = np.meshgrid(np.fft.fftfreq(TILE), np.fft.rfftfreq(TILE), indexing="ij")
    turn = np.deg2rad(degrees)
    u, v = fx * np.cos(turn) + fy * np.sin(turn), fy * np.cos(turn) - fx * np.sin(turn)
    response = np.exp(-2 * np.pi**2 * ((u * along) ** 2 + (v * across) ** 2))
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * response, s=(TILE, TILE))
    ranks = np.empty(TILE * TILE, np.float32)
    ranks[np.argsort(noise, axis=None, kind="stable")] = np.linspace(0, 1, TILE * TILE, dtype=np.float32)
    return ranks.reshape(TILE, TILE)
