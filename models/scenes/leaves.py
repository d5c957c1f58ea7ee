"""Twigs with leaves, as outlines to be filled: seen as shadows or out of focus."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from models.scenes.frame import Field, Frame

#: `int32 [N, 2]`, in sixteenths of a pixel.
Outline = NDArray[np.int32]
_FRACTION = 4
_ALONG = np.linspace(0, 1, 12)


def twig(rng: np.random.Generator, start: tuple[float, float], angle: float, length: float) -> Iterator[Outline]:
    """Leaves in turn left and right along a bent stem; `start` and `length` in pixels, `angle` in radians."""
    leaf = length * rng.uniform(0.24, 0.32)
    bend = rng.normal(0, 0.5)
    x, y = start
    count = int(rng.integers(7, 11))
    for step in range(count):
        turn = angle + bend * step / count
        x += np.cos(turn) * length / count
        y += np.sin(turn) * length / count
        size = leaf * (1 - 0.45 * step / count) * rng.uniform(0.8, 1.15)
        side = 1 if step % 2 else -1
        yield _leaf((x, y), turn + side * rng.uniform(0.45, 0.95), size, rng.uniform(0.30, 0.42))
    yield _leaf((x, y), turn, leaf * 0.6, 0.34)


def silhouettes(frame: Frame, outlines: Iterator[Outline]) -> Field:
    """1 where a leaf is, `[H, W]`."""
    mask = np.zeros(frame.shape, np.float32)
    for outline in outlines:
        cv2.fillPoly(mask, [outline], 1.0, cv2.LINE_AA, _FRACTION)
    return mask


def fill(picture: NDArray[np.float32], outline: Outline, colour: tuple[float, float, float]) -> None:
    """Paint one leaf in place."""
    cv2.fillPoly(picture, [outline], colour, cv2.LINE_AA, _FRACTION)


def _leaf(foot: tuple[float, float], angle: float, length: float, breadth: float) -> Outline:
    half = 0.5 * breadth * length * np.sin(np.pi * _ALONG) ** 0.8 * (1.15 - 0.5 * _ALONG)
    along = np.concatenate([_ALONG, _ALONG[::-1]]) * length
    across = np.concatenate([half, -half[::-1]])
    x = foot[0] + along * np.cos(angle) - across * np.sin(angle)
    y = foot[1] + along * np.sin(angle) + across * np.cos(angle)
    return np.asarray(np.round(np.stack([x, y], -1) * (1 << _FRACTION)), np.int32)
