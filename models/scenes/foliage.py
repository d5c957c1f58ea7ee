"""A pale plastered wall in the sun: leaves out of focus in the corners, the shadows of others on the plaster."""

from collections.abc import Iterator

import numpy as np

from models.pictures import Floats
from models.scenes import leaves
from models.scenes.frame import Colour, Field, Frame, blurred, noise, octaves, resized
from models.scenes.light import Light, falloff, vignette

_PLASTER: Colour = (0.925, 0.900, 0.855)
#: What the open sky leaves in a shadow.
_SKY: Colour = (0.66, 0.70, 0.77)
_GREENS: tuple[Colour, ...] = ((0.20, 0.31, 0.17), (0.31, 0.43, 0.22), (0.44, 0.54, 0.28), (0.58, 0.65, 0.38))
#: Leaves are blurred anyway: they are drawn with a short side of so many pixels.
_COARSE = 420


def foliage(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Sun through leaves from the side of the light."""
    small = frame.part(min(1.0, _COARSE / frame.unit))
    sun = _sun(small, rng, light)
    dapple = np.array(_SKY, np.float32) + sun[..., None] * (1 - np.array(_SKY, np.float32))
    wall = resized(dapple * np.array(_PLASTER, np.float32), (frame.width, frame.height))
    trowel = 1 + 0.016 * octaves(frame, rng, 4, 5, 0.65) + 0.006 * noise(frame, rng, 260, 260)
    wall *= (trowel * falloff(frame, light, 1.06, 0.92) * vignette(frame, 0.08))[..., None]
    picture, cover = _twigs(small, rng, light)
    cover = resized(cover, (frame.width, frame.height))[..., None]
    wall += (resized(picture, (frame.width, frame.height)) - wall) * np.clip(cover, 0, 1)
    return wall


def _sun(frame: Frame, rng: np.random.Generator, light: Light) -> Field:
    """Share of sunlight 0..1: a bright field, shaded by leaves near (sharp) and far (soft)."""
    sun = np.ones(frame.shape, np.float32)
    for sigma, depth, count in ((0.030, 0.40, 12), (0.010, 0.46, 8)):
        shade = leaves.silhouettes(frame, _around(frame, rng, light, round(count * min(4.0, frame.wide * frame.high))))
        sun *= 1 - depth * blurred(shade, sigma * frame.unit)
    return np.asarray(0.10 + 0.90 * sun, np.float32)


def _around(frame: Frame, rng: np.random.Generator, light: Light, count: int) -> Iterator[leaves.Outline]:
    """Twigs that hang in from the side of the light; few reach the middle."""
    for _ in range(count):
        x = frame.width * (0.5 + 0.62 * light.source[0] + rng.normal(0, 0.45))
        y = frame.height * (0.5 + 0.66 * light.source[1] + rng.normal(0, 0.34))
        inwards = np.arctan2(0.55 * frame.height - y, 0.5 * frame.width - x) + rng.normal(0, 0.5)
        yield from leaves.twig(rng, (x, y), float(inwards), frame.unit * rng.uniform(0.34, 0.62))


def _twigs(frame: Frame, rng: np.random.Generator, light: Light) -> tuple[Floats, Field]:
    """Real leaves far in front of the wall, so well out of focus, in two corners: their picture and their cover."""
    picture = np.full((*frame.shape, 3), _GREENS[1], np.float32)
    cover = np.zeros(frame.shape, np.float32)
    side = -1.0 if light.source[0] > 0 else 1.0
    for corner, count in (((-side, -1.0), 7), ((side, 1.0), 6)):
        for _ in range(count):
            x = frame.width * (0.5 + 0.51 * corner[0]) + frame.unit * rng.normal(0, 0.12)
            y = frame.height * (0.5 + 0.51 * corner[1]) + frame.unit * rng.normal(0, 0.12)
            inwards = np.arctan2(frame.height / 2 - y, frame.width / 2 - x) + rng.normal(0, 0.55)
            for outline in leaves.twig(rng, (x, y), float(inwards), frame.unit * rng.uniform(0.22, 0.36)):
                leaves.fill(picture, outline, _GREENS[int(rng.integers(len(_GREENS)))])
                leaves.fill(cover, outline, (1.0, 1.0, 1.0))
    sigma = 0.014 * frame.unit
    # Colours are spread as wide as the cover, or its soft rim would show what lies under the leaves.
    weight = blurred(cover, sigma)[..., None]
    spread = blurred(picture * cover[..., None], sigma) / np.maximum(weight, 1e-3)
    return np.asarray(spread, np.float32), weight[..., 0]
