"""The frame that a scene is painted in, and smooth random fields over it that do not depend on its pixels."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats

Field = NDArray[np.float32]
#: Three channels 0..1, sRGB.
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """Width and height in pixels. Lengths in scenes are shares of the short side, so that they grow with it."""

    width: int
    height: int

    @property
    def unit(self) -> int:
        """The short side in pixels."""
        return min(self.width, self.height)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def wide(self) -> float:
        """Width in units."""
        return self.width / self.unit

    @property
    def high(self) -> float:
        """Height in units."""
        return self.height / self.unit

    def axes(self) -> tuple[Field, Field]:
        """Pixel centres in units from the upper left corner: x `[1, W]`, y `[H, 1]`."""
        x = (np.arange(self.width, dtype=np.float32) + np.float32(0.5)) / np.float32(self.unit)
        y = (np.arange(self.height, dtype=np.float32) + np.float32(0.5)) / np.float32(self.unit)
        return x[None, :], y[:, None]

    def part(self, share: float) -> "Frame":
        """The same view in fewer pixels, for what is blurred anyway."""
        return Frame(max(2, round(self.width * share)), max(2, round(self.height * share)))


def noise(frame: Frame, rng: np.random.Generator, across: float, down: float) -> Field:
    """Smooth noise `[H, W]`, about -1..1 (deviation 0.35), with `across` and `down` bumps per unit.

    The random grid depends on the shape of the frame, not on its pixels: a larger frame shows the same field finer.
    """
    columns, rows = max(2, round(across * frame.wide)), max(2, round(down * frame.high))
    grid = rng.uniform(-1, 1, (rows + 2, columns + 2)).astype(np.float32)
    per_x, per_y = _per_cell(frame.width, columns), _per_cell(frame.height, rows)
    fine = resized(grid, ((columns + 2) * per_x, (rows + 2) * per_y))
    inner = fine[per_y : per_y * (rows + 1), per_x : per_x * (columns + 1)]
    return resized(inner, (frame.width, frame.height))


def octaves(frame: Frame, rng: np.random.Generator, start: float, count: int, gain: float = 0.5) -> Field:
    """Fractal noise `[H, W]`, about -1..1: `count` octaves from `start` bumps per unit, each twice as fine."""
    total = noise(frame, rng, start, start)
    norm = 1.0
    for octave in range(1, count):
        weight = gain**octave
        total += weight * noise(frame, rng, start * 2**octave, start * 2**octave)
        norm += weight
    return np.asarray(total / np.float32(norm), np.float32)


def resized(values: NDArray[Any], size: tuple[int, int]) -> Field:
    """Cubic resize to (width, height)."""
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_CUBIC), np.float32)


def blurred(values: Field, sigma: float) -> Field:
    """Gaussian blur with `sigma` in pixels; borders are mirrored. Wide ones are done on fewer pixels."""
    if sigma < 0.3:
        return values
    height, width = values.shape[:2]
    step = max(1, min(int(sigma / 3), height // 8, width // 8))
    if step > 1:
        small = cv2.resize(values, (width // step, height // step), interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / step), (width, height), interpolation=cv2.INTER_LINEAR),
            np.float32,
        )
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def smoothstep(values: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def between(share: Field, first: Colour, second: Colour) -> Floats:
    """`first` where `share [H, W]` is 0, `second` where it is 1: `[H, W, 3]`."""
    mixed = np.empty((*share.shape, 3), np.float32)
    for channel, (start, end) in enumerate(zip(first, second, strict=True)):
        np.multiply(share, np.float32(end - start), out=mixed[..., channel])
        mixed[..., channel] += np.float32(start)
    return mixed


def _per_cell(pixels: int, cells: int) -> int:
    """Pixels per cell of the first enlargement: enough for a smooth curve, not more than the frame needs."""
    return min(16, -(-pixels // cells))
