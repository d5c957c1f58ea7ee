"""Cutting the product out of a seller's photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from models.matting import refine
from models.pictures import Mask, Picture

#: A cut-out below this confidence is shown to a person before it is published.
REVIEW_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Cutout:
    """What a backend found."""

    #: `float32 [H, W]` of the photo's own size, 0..1, 1 on the product.
    alpha: Mask
    #: 0..1; see the backend for its calibration.
    confidence: float


class MaskBackend(Protocol):
    """Anything that cuts products out; it never raises for a valid picture, whatever it shows."""

    name: str
    version: str

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        """One cut-out per picture, in order."""
        ...


class GrabCut:
    """Cut-out without learned weights: the fallback where no net is at hand. Same picture, same mask.

    Rother, Kolmogorov, Blake: "GrabCut", SIGGRAPH 2004.
    """

    name = "grabcut"
    version = "1"

    def __init__(self, side: int = 320) -> None:
        self.side = side

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        """One cut-out per picture, in order."""
        return [self._cut(picture) for picture in pictures]

    def _cut(self, picture: Picture) -> Cutout:
        height, width = picture.shape[:2]
        scale = min(1.0, self.side / max(height, width))
        size = (round(width * scale), round(height * scale))
        if min(size) < 16:
            return _whole(picture)
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if small.std() < 2:
            return _whole(picture)
        labels = np.full(small.shape[:2], cv2.GC_PR_BGD, dtype=np.uint8)
        dy, dx = size[1] // 8, size[0] // 8
        labels[dy:-dy, dx:-dx] = cv2.GC_PR_FGD
        cv2.setRNGSeed(7)
        cv2.grabCut(small, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
        mask = (labels & 1).astype(np.float32)
        if not 0.02 < mask.mean() < 0.98:
            return _whole(picture)
        return Cutout(refine(picture, mask), 0.5)


def _whole(picture: Picture) -> Cutout:
    return Cutout(np.ones(picture.shape[:2], dtype=np.float32), 0.0)
