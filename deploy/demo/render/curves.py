"""Outlines as splines: smooth through plain points, sharp at corners."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Knot:
    """A point of an outline in garment units (1 is the garment's height, y down)."""

    x: float
    y: float
    sharp: bool = False

    def mirrored(self) -> "Knot":
        """The knot on the other side of the centre line."""
        return Knot(-self.x, self.y, self.sharp)


def knots(*points: tuple[float, float] | tuple[float, float, int]) -> tuple[Knot, ...]:
    """Knots from plain tuples; a third element marks a corner."""
    return tuple(Knot(point[0], point[1], len(point) > 2) for point in points)


def symmetric(half: Sequence[Knot]) -> tuple[Knot, ...]:
    """A closed outline from its right half, which starts and ends on the centre line."""
    inner = [knot.mirrored() for knot in reversed(half) if knot.x != 0]
    return (*half, *inner)


def mirrored(outline: Sequence[Knot]) -> tuple[Knot, ...]:
    """The outline on the other side of the centre line."""
    return tuple(knot.mirrored() for knot in outline)


def spline(outline: Sequence[Knot], *, closed: bool, steps: int = 10) -> Path:
    """Catmull-Rom points `float32 [N, 2]` through the knots; a sharp knot ends one curve and starts the next."""
    points = np.array([(knot.x, knot.y) for knot in outline], np.float32)
    count = len(points)
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    pieces = []
    for i in range(count if closed else count - 1):
        j = (i + 1) % count
        p1, p2 = points[i], points[j]
        before = p1 if outline[i].sharp or (not closed and i == 0) else points[i - 1]
        after = p2 if outline[j].sharp or (not closed and j == count - 1) else points[(j + 1) % count]
        pieces.append(_hermite(p1, p2, (p2 - before) / 2, (after - p1) / 2, t))
    if not closed:
        pieces.append(points[-1:])
    return np.concatenate(pieces).astype(np.float32)


def _hermite(p1: Path, p2: Path, m1: Path, m2: Path, t: Path) -> Path:
    t2, t3 = t * t, t * t * t
    return np.asarray(
        (2 * t3 - 3 * t2 + 1) * p1 + (t3 - 2 * t2 + t) * m1 + (3 * t2 - 2 * t3) * p2 + (t3 - t2) * m2, np.float32
    )


_SHIFT = 4


def fill(shape: tuple[int, int], path: Path) -> NDArray[np.float32]:
    """The closed path as an antialiased mask `float32 [H, W]` in 0..1; the path is in pixels."""
    mask: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(path * 2**_SHIFT).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    return np.asarray(mask / 255, np.float32)


def stroke(shape: tuple[int, int], path: Path, width: float) -> NDArray[np.float32]:
    """The open path drawn `width` pixels wide, as a mask `float32 [H, W]` in 0..1."""
    mask = np.zeros(shape, np.uint8)
    points = np.round(path * 2**_SHIFT).astype(np.int32)
    cv2.polylines(mask, [points], False, 255, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    return np.asarray(mask / 255, np.float32)
