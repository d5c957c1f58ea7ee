"""Smooth random fields: the raw material of folds, light and surfaces."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smooth(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]) -> Field:
    """Value noise `float32 [H, W]`, about -1..1, with roughly `cells` (rows, columns) bumps over the field."""
    rows, columns = (max(2, round(count)) + 3 for count in cells)
    grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    big = cv2.resize(
        grid, (shape[1] * columns // (columns - 2), shape[0] * rows // (rows - 2)), interpolation=cv2.INTER_CUBIC
    )
    top, left = (big.shape[0] - shape[0]) // 2, (big.shape[1] - shape[1]) // 2
    return np.ascontiguousarray(big[top : top + shape[0], left : left + shape[1]])


def octaves(rng: np.random.Generator, shape: tuple[int, int], cells: float, count: int = 3, gain: float = 0.5) -> Field:
    """Fractal noise `float32 [H, W]`, about -1..1: `count` octaves, each twice as fine and `gain` as strong."""
    aspect = shape[1] / shape[0]
    total = np.zeros(shape, np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(count):
        total += weight * smooth(rng, shape, (cells * 2**octave, cells * 2**octave * aspect))
        norm += weight
        weight *= gain
    return np.asarray(total / norm, np.float32)


def directed(rng: np.random.Generator, shape: tuple[int, int], angle: float, along: float, across: float) -> Field:
    """Noise stretched along `angle` (radians from the x axis): `along` and `across` bumps over the field's height."""
    side = int(1.5 * max(shape))
    base = smooth(rng, (side, side), (across * 1.5, along * 1.5))
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), -np.degrees(angle), 1.0)
    turn[:, 2] -= np.array(((side - shape[1]) / 2, (side - shape[0]) / 2))
    return np.asarray(cv2.warpAffine(base, turn, (shape[1], shape[0])), np.float32)


def warped(field: Field, dx: Field, dy: Field) -> Field:
    """The field seen through a displacement in pixels."""
    rows, columns = np.indices(field.shape, dtype=np.float32)
    return np.asarray(
        cv2.remap(field, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32
    )
