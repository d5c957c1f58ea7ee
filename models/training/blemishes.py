"""Stains and scratches as they come on cloth, drawn: their shapes, and what they do to the colours under them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats, Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Blemish:
    """A photo with one more stain or scratch."""

    #: uint8 [H, W, 3]
    picture: Picture
    #: What it covers: float32 [H, W] in 0..1.
    mask: Floats
    kind: str


def blemished(picture: Picture, product: Floats, draw: np.random.Generator, size: float = 1.0) -> Blemish | None:
    """Something spilt on the product, or a fault of it; `product [H, W]` in 0..1. None where there is no room.

    `size` scales it; at 1 it is between 2 and 14 % of the photo's short side.
    """
    kind = str(draw.choice(list(KINDS)))
    short = min(picture.shape[:2])
    inside = cv2.erode((product > 0.9).astype(np.uint8), np.ones((5, 5), np.uint8))
    rows, columns = np.nonzero(inside)
    if len(rows) < 100:
        return None
    place = int(draw.integers(len(rows)))
    centre = (int(columns[place]), int(rows[place]))
    radius = float(np.exp(draw.uniform(np.log(0.02), np.log(0.14)))) * short * size
    shape = (
        scratch(picture.shape[:2], centre, 2.5 * radius, draw)
        if kind == "pull"
        else blot(picture.shape[:2], centre, radius, draw)
    )
    mask = np.asarray(shape * product, np.float32)
    if mask.max() < 0.5:
        return None
    changed = KINDS[kind](picture.astype(np.float32), mask, radius, draw)
    stained = np.clip(changed + np.float32(0.5), 0, 255).astype(np.uint8)
    seen = np.abs(stained.astype(np.float32) - picture).max(-1)[mask > 0.5].mean()
    # Nobody could find what cannot be seen.
    return Blemish(picture=stained, mask=mask, kind=kind) if seen > 12 else None


def blot(size: tuple[int, ...], centre: tuple[int, int], radius: float, draw: np.random.Generator) -> Floats:
    """What a spill covers, float32 [H, W] in 0..1: a disc with a wavy rim, often stretched, now and then with drops."""
    height, width = size[:2]
    angle, stretch = draw.uniform(0, np.pi), np.exp(draw.uniform(0, 0.7))
    across, down = _grid(height, width, centre)
    along = (across * np.cos(angle) + down * np.sin(angle)) / stretch
    aside = (down * np.cos(angle) - across * np.sin(angle)) * stretch
    distance = np.hypot(along, aside) / max(radius, 1.5)
    rough = _waves(height, width, radius, draw)
    softness = draw.uniform(0.05, 0.35)
    mask = np.clip((1 + 0.45 * rough - distance) / softness + 0.5, 0, 1)
    for _ in range(int(draw.integers(0, 5)) if draw.random() < 0.4 else 0):
        turn, far, drop = draw.uniform(0, 2 * np.pi), draw.uniform(1.3, 2.6) * radius, draw.uniform(0.08, 0.3) * radius
        at = np.hypot(across - far * np.cos(turn), down - far * np.sin(turn)) / max(drop, 1.0)
        mask = np.maximum(mask, np.clip((1 - at) / 0.3 + 0.5, 0, 1))
    return np.asarray(mask, np.float32)


def scratch(size: tuple[int, ...], centre: tuple[int, int], length: float, draw: np.random.Generator) -> Floats:
    """A thin line that bends a little, float32 [H, W] in 0..1."""
    count = 12
    turn = draw.uniform(0, 2 * np.pi) + np.cumsum(draw.normal(0, 0.15, count))
    steps = np.stack([np.cos(turn), np.sin(turn)], 1) * max(length, 12.0) / count
    points = np.cumsum(steps, 0)
    points += np.array(centre) - points[count // 2]
    # At twice the size: threads are often thinner than a pixel.
    line = np.zeros((2 * size[0], 2 * size[1]), np.uint8)
    places = [(points * 16).round().astype(np.int32)]
    cv2.polylines(line, places, False, 255, int(draw.integers(2, 7)), cv2.LINE_AA, 3)
    small = cv2.resize(line, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small.astype(np.float32) / np.float32(255), np.float32)


def _grid(height: int, width: int, centre: tuple[int, int]) -> tuple[Floats, Floats]:
    across = np.arange(width, dtype=np.float32)[None] - centre[0]
    down = np.arange(height, dtype=np.float32)[:, None] - centre[1]
    return np.asarray(across + 0 * down, np.float32), np.asarray(down + 0 * across, np.float32)


def _waves(height: int, width: int, radius: float, draw: np.random.Generator) -> Floats:
    """Smooth noise of a wavelength of about the radius, and half of it: float32 [H, W], sigma about 1."""
    total = np.zeros((height, width), np.float32)
    for share, length in ((0.8, radius), (0.45, radius / 2.5)):
        cells = (max(2, round(width / max(length, 3))) + 2, max(2, round(height / max(length, 3))) + 2)
        coarse = draw.standard_normal((cells[1], cells[0]), np.float32)
        total += np.float32(share) * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return total


def _tinted(picture: Floats, mask: Floats, colour: NDArray[Any], strength: float) -> Floats:
    """As a dye darkens what it soaks: each channel multiplied."""
    keep = 1 - (mask * np.float32(strength))[..., None] * (1 - colour.astype(np.float32))
    return np.asarray(picture * keep, np.float32)


def _coffee(picture: Floats, mask: Floats, radius: float, draw: np.random.Generator) -> Floats:
    """Brown, and darker at the rim, where it dried last."""
    inner = cv2.GaussianBlur(mask, (0, 0), max(1.0, radius / 6))
    rim = np.clip(mask - inner, 0, 1) * 2
    strength = np.clip(mask * draw.uniform(0.5, 0.9) + rim * draw.uniform(0, 0.6), 0, 1)
    colour = np.array([0.62, 0.42, 0.24]) * draw.uniform(0.7, 1.2) + draw.uniform(-0.08, 0.08, 3)
    return _tinted(picture, np.asarray(strength, np.float32), colour.clip(0, 0.95), 1.0)


def _ink(picture: Floats, mask: Floats, _radius: float, draw: np.random.Generator) -> Floats:
    """Dark blue, black or red; nearly opaque."""
    colours = ((0.1, 0.13, 0.4), (0.08, 0.08, 0.1), (0.55, 0.06, 0.1), (0.1, 0.3, 0.15))
    colour = np.array(colours[int(draw.choice(4, p=(0.45, 0.3, 0.15, 0.1)))]) + draw.uniform(-0.05, 0.1, 3)
    return _tinted(picture, mask, colour.clip(0, 1), draw.uniform(0.75, 1))


def _grease(picture: Floats, mask: Floats, radius: float, draw: np.random.Generator) -> Floats:
    """Wet: darker and a little more colourful, with a soft edge."""
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, radius / 8)), np.float32)
    colour = np.array([0.72, 0.68, 0.58]) * draw.uniform(0.7, 1.05)
    return _tinted(picture, soft, colour.clip(0, 1), 1.0)


def _dirt(picture: Floats, mask: Floats, radius: float, draw: np.random.Generator) -> Floats:
    """Grey and brown matter rubbed on: opaque in places, lighter than dark cloth."""
    grain = _waves(mask.shape[0], mask.shape[1], max(3.0, radius / 4), draw)
    cover = mask * np.clip(draw.uniform(0.45, 0.8) + 0.3 * grain, 0, 1)
    colour = np.array([120, 100, 78]) * draw.uniform(0.5, 1.3) + draw.uniform(-12, 12, 3)
    return np.asarray(picture + cover[..., None] * (colour - picture), np.float32)


def _bleach(picture: Floats, mask: Floats, radius: float, draw: np.random.Generator) -> Floats:
    """The dye gone: towards a pale orange or white."""
    colour = np.array([242, 228, 210]) - draw.uniform(0, 1) * np.array([10, 50, 80])
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.8, radius / 12))
    cover = (soft * np.float32(draw.uniform(0.45, 0.9)))[..., None]
    return np.asarray(picture + cover * (colour - picture), np.float32)


def _pull(picture: Floats, mask: Floats, _radius: float, draw: np.random.Generator) -> Floats:
    """A pulled thread or a scratch: light or dark, with a shadow beside it."""
    lighter = draw.random() < 0.6
    change = draw.uniform(35, 100) * (1 if lighter else -1)
    shadow = np.roll(mask, (1, 1), (0, 1)) * (-0.35 * abs(change))
    return np.asarray(picture + (mask * change + shadow * (1 - mask))[..., None], np.float32)


#: Name -> what it does to a picture: float32 [H, W, 3] and a mask [H, W] -> float32 [H, W, 3].
KINDS: Mapping[str, Callable[[Floats, Floats, float, np.random.Generator], Floats]] = {
    "coffee": _coffee,
    "ink": _ink,
    "grease": _grease,
    "dirt": _dirt,
    "bleach": _bleach,
    "pull": _pull,
}
