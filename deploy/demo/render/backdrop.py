"""Where sellers take their photos: floors, beds, rugs, tiles and walls."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.demo.render import folds
from deploy.demo.render.cloth import colour
from deploy.demo.render.noise import octaves, smooth

Picture = NDArray[np.float32]
Painter = Callable[[np.random.Generator, tuple[int, int], tuple[float, float]], Picture]


def _tint(rng: np.random.Generator, codes: list[str]) -> NDArray[np.float32]:
    return np.array(colour(codes[int(rng.integers(len(codes)))]), np.float32)


def wood(rng: np.random.Generator, shape: tuple[int, int], _: tuple[float, float]) -> Picture:
    """Floorboards with grain, staggered joints and dark gaps."""
    height, width = int(shape[0] * 1.3), int(shape[1] * 1.3 + 0.1 * shape[0])
    side = (max(height, width),) * 2
    base = _tint(rng, ["#a5805c", "#94704f", "#b99c78", "#7d6350", "#a99c8a", "#6b5443"])
    board = int(rng.integers(110, 165))
    lines = smooth(rng, side, (7, 230)) * 0.05 + smooth(rng, side, (3, 80)) * 0.05
    rings = np.sin(11 * smooth(rng, side, (3, 22)) + 3 * smooth(rng, side, (5, 6))) * 0.035
    tone = 1 + lines + rings
    height, width = side
    for left in range(0, width, board):
        y = -int(rng.integers(0, 600))
        while y < height:
            length = int(rng.integers(420, 900))
            part = (slice(max(0, y), max(0, y + length)), slice(left, left + board))
            tone[part] = np.roll(tone[part], int(rng.integers(400)), axis=0) * rng.uniform(0.84, 1.12)
            cv2.line(tone, (left, y), (left + board, y), 0.55, 1)
            y += length
        cv2.line(tone, (left, 0), (left, height), 0.5, 2)
    tone = cv2.GaussianBlur(tone, (0, 0), 0.9)
    picture = base * cv2.merge([tone, tone, tone * tone * 0.4 + tone * 0.6])
    return _turned(picture, rng.choice([0, 90]) + rng.normal(0, 4), shape)


def sheet(rng: np.random.Generator, shape: tuple[int, int], light: tuple[float, float]) -> Picture:
    """A bed sheet or blanket, not ironed."""
    base = _tint(rng, ["#d9d4cb", "#b9c4cc", "#c8b8b0", "#a33b39", "#6b7f8e", "#d8c7a4", "#7b6a86", "#8c9a86"])
    rough = folds.relief(rng, shape, drape=float(rng.uniform(0, 180)), folds=34, crumple=1.3)
    tone = folds.lit(rough, light, 3.2) * (1 + 0.02 * rng.standard_normal(shape).astype(np.float32))
    picture = base * tone[..., None]
    if rng.random() < 0.35:
        step = int(rng.integers(60, 110))
        rows = np.indices(shape, dtype=np.float32)[0] + rough * 1.2
        stripe = ((rows % step) < step * 0.18).astype(np.float32)
        picture *= (1 - 0.2 * cv2.GaussianBlur(stripe, (0, 0), 1.0))[..., None]
    return np.asarray(picture, np.float32)


def carpet(rng: np.random.Generator, shape: tuple[int, int], _: tuple[float, float]) -> Picture:
    """A rug with pile that lies this way and that."""
    base = _tint(rng, ["#8d8378", "#6f757d", "#a09482", "#7d5f55", "#5d6b62"])
    tufts = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 1.5) * 3.2
    fibres = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), sigmaX=0.7, sigmaY=2.0) * 1.8
    brushed = octaves(rng, shape, 4, 3)
    tone = 1 + 0.09 * tufts + 0.06 * fibres + 0.12 * brushed
    tint = 1 + 0.02 * smooth(rng, shape, (9, 7))[..., None] * np.array([1, 0, -1], np.float32)
    return np.asarray(base * tone[..., None] * tint, np.float32)


def tiles(rng: np.random.Generator, shape: tuple[int, int], _: tuple[float, float]) -> Picture:
    """Floor tiles with clouded glaze and grout."""
    height, width = int(shape[0] * 1.2), int(shape[1] * 1.35)
    base = _tint(rng, ["#c2b5a3", "#a8a9a6", "#b59a83", "#8f979c"])
    side = int(rng.integers(260, 380))
    tone = 1 + 0.09 * octaves(rng, (height, width), 9, 4, 0.6)
    for top in range(0, height, side):
        for left in range(0, width, side):
            tone[top : top + side, left : left + side] *= rng.uniform(0.94, 1.05)
    rows, columns = np.indices((height, width))
    gap = np.minimum(rows % side, columns % side) < 6
    soft = cv2.GaussianBlur(gap.astype(np.float32), (0, 0), 1.2)
    tone = tone * (1 - 0.36 * soft)
    return _turned(np.asarray(base * tone[..., None], np.float32), float(rng.normal(0, 7)), shape)


def concrete(rng: np.random.Generator, shape: tuple[int, int], _: tuple[float, float]) -> Picture:
    """A bare floor or table top."""
    base = _tint(rng, ["#9b9a97", "#b4afa8", "#84878a", "#cfc8bc"])
    tone = 1 + 0.11 * octaves(rng, shape, 3, 5, 0.6) + 0.02 * rng.standard_normal(shape).astype(np.float32)
    return np.asarray(base * tone[..., None], np.float32)


def wall(rng: np.random.Generator, shape: tuple[int, int], _: tuple[float, float]) -> Picture:
    """A painted wall with a skirting board and some floor below."""
    base = _tint(rng, ["#d5cfc4", "#c7cdcb", "#d8c9b4", "#b9bfc4", "#cbbfb6"])
    tone = 1 + 0.012 * octaves(rng, shape, 60, 3, 0.8) + 0.03 * octaves(rng, shape, 2, 2)
    picture = base * tone[..., None]
    edge = int(shape[0] * rng.uniform(0.9, 0.95))
    floor = wood(rng, (shape[0] - edge, shape[1]), (0, 0)) * 0.8
    picture[edge:] = floor
    board = (slice(edge - 52, edge), slice(None))
    picture[board] = np.array([0.88, 0.87, 0.84], np.float32)
    picture[edge - 54 : edge - 51] *= 0.72
    picture[edge - 2 : edge + 5] *= 0.5
    if rng.random() < 0.6:
        _socket(picture, int(shape[1] * rng.choice([0.1, 0.82])), edge - 160)
    return np.asarray(picture, np.float32)


def _socket(picture: Picture, x: int, y: int) -> None:
    cv2.rectangle(picture, (x - 1, y + 2), (x + 73, y + 77), (0.5, 0.5, 0.48), -1)
    cv2.rectangle(picture, (x, y), (x + 70, y + 70), (0.93, 0.92, 0.9), -1)
    cv2.circle(picture, (x + 35, y + 35), 24, (0.82, 0.81, 0.79), -1, cv2.LINE_AA)
    for dx in (-9, 9):
        cv2.circle(picture, (x + 35 + dx, y + 35), 3, (0.1, 0.1, 0.1), -1, cv2.LINE_AA)


def _turned(picture: Picture, degrees: float, shape: tuple[int, int]) -> Picture:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(degrees), 1.0)
    turn[:, 2] -= np.array(((width - shape[1]) / 2, (height - shape[0]) / 2))
    turned = cv2.warpAffine(picture, turn, shape[::-1], borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.float32)


FLOORS: dict[str, Painter] = {"wood": wood, "sheet": sheet, "carpet": carpet, "tiles": tiles, "concrete": concrete}
