"""A sweep of coloured paper with a pool of light on it."""

import numpy as np

from models.pictures import Floats
from models.scenes.frame import Colour, Frame, between, noise, smoothstep
from models.scenes.light import Light, vignette

_LIT: Colour = (0.955, 0.905, 0.850)
_FAR: Colour = (0.680, 0.525, 0.475)


def gradient(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Light falls from its side and pools behind the product; the paper is darkest in the far corner."""
    x, y = frame.axes()
    u, v = x / frame.wide - 0.5, y / frame.high - 0.5
    away = -(u * light.source[0] + v * light.source[1])
    pool = np.hypot(x - frame.wide * (0.5 + 0.12 * light.source[0]), (y - frame.high * (0.5 + 0.10 * light.source[1])))
    dark = 0.36 + 0.50 * away + 0.42 * smoothstep(pool.astype(np.float32), 0.05, 0.95) - 0.22
    dark += 0.012 * noise(frame, rng, 3, 3)
    paper = between(np.clip(dark, -0.15, 1.1).astype(np.float32), _LIT, _FAR)
    fibre = 1 + 0.006 * noise(frame, rng, 170, 170) + 0.006 * noise(frame, rng, 380, 380)
    paper *= (fibre * vignette(frame, 0.06))[..., None]
    return paper
