"""Textures made of seeded noise: grain of paper, hatching, wash and chalk."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from models.styles.fields.tile import TILE, Field, evenly

_SEED = 20_070_701


@cache
def paper() -> Mapping[str, Field]:
    """Grain of paper, two directions of pencil hatching, and the uneven pigment of a wash."""
    rng = np.random.default_rng(_SEED)
    grain = _smooth_noise(rng, 1.4, 1.4, 0.0)
    hatch, cross = _smooth_noise(rng, 15.0, 1.1, 126.0), _smooth_noise(rng, 13.0, 1.1, 80.0)
    wash = _smooth_noise(rng, 20.0, 20.0, 0.0)
    return {"grain": grain, "hatch": _bend(rng, hatch), "cross": _bend(rng, cross), "wash": wash}


@cache
def strokes() -> Mapping[str, Field]:
    """Coarse tooth of pastel paper, and broad strokes of chalk."""
    rng = np.random.default_rng(_SEED + 1)
    tooth, chalk = _smooth_noise(rng, 2.0, 1.5, 10.0), _smooth_noise(rng, 12.0, 1.7, 118.0)
    return {"tooth": tooth, "chalk": _bend(rng, chalk)}


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
    return evenly(np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * response, s=(TILE, TILE)))
