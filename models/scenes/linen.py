"""A sheet of natural linen, seen from above."""

import numpy as np

from models.pictures import Floats
from models.scenes.frame import Colour, Field, Frame, between, blurred, noise
from models.scenes.light import Light, falloff, vignette

_FLAX: Colour = (0.900, 0.870, 0.815)
_SHADE: Colour = (0.690, 0.645, 0.575)
#: Threads per unit.
_THREADS = 150
#: Creases: how many per unit, and how high they stand, in units.
_CREASES = ((1.6, 0.017), (3.4, 0.006))


def linen(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Plain weave with uneven threads, over a few soft folds."""
    relief = _folds(frame, rng)
    slope_y, slope_x = np.gradient(relief)
    fold = (slope_x * light.source[0] + slope_y * light.source[1]) * np.float32(frame.unit)
    weave = _weave(frame, rng, relief)
    dark = np.clip(0.30 - 0.42 * weave, -0.2, 1.2)
    sheet = between(dark, _FLAX, _SHADE)
    lit = falloff(frame, light, 1.04, 0.90) * vignette(frame, 0.10) * np.clip(1 - 0.62 * fold, 0.66, 1.2)
    sheet *= lit[..., None]
    return sheet


def _folds(frame: Frame, rng: np.random.Generator) -> Field:
    """Height of the cloth in units: long creases that run slantwise."""
    long = noise(frame, rng, 2.2, 1.3)
    crease = sum(width * np.exp(-np.abs(noise(frame, rng, cells, 0.7 * cells)) / 0.18) for cells, width in _CREASES)
    return blurred(np.asarray(0.030 * long + crease, np.float32), 0.010 * frame.unit)


def _weave(frame: Frame, rng: np.random.Generator, relief: Field) -> Field:
    """Brightness -1..1 of the threads."""
    x, y = frame.axes()
    bend = 0.10 * relief + 0.0016 * noise(frame, rng, 14, 14)
    warp, weft = (x + bend) * _THREADS, (y + bend) * _THREADS
    over = np.where((np.floor(warp) + np.floor(weft)) % 2 == 0, 1.0, -1.0).astype(np.float32)
    upright = np.cos(2 * np.pi * warp)
    lying = np.cos(2 * np.pi * weft)
    thread = np.where(over > 0, -upright * (0.62 + 0.38 * lying), -lying * (0.62 + 0.38 * upright))
    slubs = noise(frame, rng, 1.3 * _THREADS, 11) + noise(frame, rng, 11, 1.3 * _THREADS)
    coarse = noise(frame, rng, _THREADS, _THREADS)
    return np.asarray(0.30 * thread + 0.34 * slubs + 0.30 * coarse + 0.05 * over, np.float32)
