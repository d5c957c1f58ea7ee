"""The last resort where no quality brings a file under a channel's byte limit: fewer pixels."""

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np

from serve.errors import OutputTooLarge
from serve.interfaces import Picture

E = TypeVar("E")
#: A try has this share of the pixels of the one before.
_STEP = 0.7
#: Sides are never lowered below this share, whatever the channels take.
LEAST_FACTOR = 0.25


def until_it_fits(pixels: Picture, encode: Callable[[Picture], E], least_factor: float = LEAST_FACTOR) -> E:
    """The file of the most pixels, of a few sizes tried, that is small enough. The ratio of the sides stays.

    `encode` raises `OutputTooLarge` where it is not; that is raised in the end if it is not either with sides of
    `least_factor` (0..1) of their length.
    """
    least = max(LEAST_FACTOR, least_factor)
    factor = 1.0
    while True:
        try:
            return encode(_scaled(pixels, factor))
        except OutputTooLarge:
            if factor <= least:
                raise
            factor = max(least, factor * _STEP**0.5)


def _scaled(pixels: Picture, factor: float) -> Picture:
    if factor == 1:
        return pixels
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
