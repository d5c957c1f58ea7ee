"""A slab of white marble, seen from above."""

import cv2
import numpy as np

from models.pictures import Floats
from models.scenes.frame import Colour, Field, Frame, between, blurred, noise, octaves, smoothstep
from models.scenes.light import Light, falloff, vignette

_STONE: Colour = (0.945, 0.940, 0.932)
_CLOUD: Colour = (0.790, 0.792, 0.800)
_VEIN: Colour = (0.520, 0.515, 0.520)


def marble(frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
    """Soft grey clouds, a few long veins and many fine ones, under a pale reflection of the window."""
    across = _bent(frame, rng)
    cloud = smoothstep(_seen(octaves(frame, rng, 2.0, 5, 0.55), across), -0.15, 0.75)
    slab = between(0.75 * cloud, _STONE, _CLOUD)
    veins = np.maximum(_veins(frame, rng, across, 1.1, 0.030), 0.55 * _veins(frame, rng, across, 2.6, 0.022))
    slab += (np.array(_VEIN, np.float32) - slab) * (veins * 0.85)[..., None]
    shine = _reflection(frame, light)
    slab *= (falloff(frame, light, 1.01, 0.90) * vignette(frame, 0.08))[..., None]
    slab += (1 - slab) * shine[..., None]
    return slab


def _bent(frame: Frame, rng: np.random.Generator) -> tuple[Field, Field]:
    """Where a pixel looks, in pixels: the stone was folded while it was soft."""
    rows, columns = np.indices(frame.shape, dtype=np.float32)
    reach = np.float32(0.16 * frame.unit)
    dx = octaves(frame, rng, 2.0, 5, 0.5)
    dy = octaves(frame, rng, 2.0, 5, 0.5)
    return columns + reach * dx, rows + reach * dy


def _seen(field: Field, at: tuple[Field, Field]) -> Field:
    return np.asarray(cv2.remap(field, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def _veins(frame: Frame, rng: np.random.Generator, at: tuple[Field, Field], cells: float, width: float) -> Field:
    """0..1 on veins: where a smooth slanting field crosses zero. They come and go along their way."""
    turn = rng.uniform(0.55, 0.95)
    x, y = at[0] / frame.unit, at[1] / frame.unit
    slanted = np.sin(2 * np.pi * (cells * (x * np.cos(turn) + y * np.sin(turn)) + rng.random()))
    field = slanted + 0.9 * noise(frame, rng, cells * 1.5, cells * 1.5)
    slope = np.float32(2 * np.pi * cells)
    thick = width * (0.35 + 0.9 * np.clip(noise(frame, rng, 3, 3) + 0.35, 0, 1))
    line = np.exp(-np.abs(field) / (slope * thick * 0.35 + 1e-6))
    there = smoothstep(noise(frame, rng, 1.6, 1.6), -0.25, 0.35)
    return np.asarray(line * there, np.float32)


def _reflection(frame: Frame, light: Light) -> Field:
    """Share of white that the polish throws back: a wide soft patch on the side of the light."""
    x, y = frame.axes()
    cx = frame.wide * (0.5 + 0.42 * light.source[0])
    cy = frame.high * (0.5 + 0.42 * light.source[1])
    patch = np.exp(-(((x - cx) / 0.55) ** 2 + ((y - cy) / 0.55) ** 2))
    return np.asarray(0.30 * blurred(patch.astype(np.float32), 0.01 * frame.unit), np.float32)
