"""Eight kinds of damage that the quality net is never trained on: what its order of pictures is tested with.

Strengths as in `models.training.distortions`; the places of spots and lines are drawn once, so a stronger one has all
those of a weaker one.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from models.pictures import Floats, Picture
from models.training.distortions import Distortion, between, coded, to_picture


def _impulse_noise(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Single pixels black or white."""
    chance = draw.random(picture.shape[:2], np.float32)
    colour = np.where(draw.random(picture.shape[:2], np.float32) < 0.5, 0, 255)
    hit = chance < between(0.003, 0.12, strength)
    return np.where(hit[..., None], colour[..., None], picture).astype(np.uint8)


def _jpeg2000(picture: Picture, strength: float, _: np.random.Generator) -> Picture:
    """Wavelets smear and ring; OpenCV takes a thousandth of the raw size."""
    return coded(picture, ".jp2", cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, round(between(50.0, 4.0, strength)))


def _webp(picture: Picture, strength: float, _: np.random.Generator) -> Picture:
    return coded(picture, ".webp", cv2.IMWRITE_WEBP_QUALITY, round(between(40.0, 1.0, strength)))


def _zoom_blur(picture: Picture, strength: float, _: np.random.Generator) -> Picture:
    """The mean of the picture at growing sizes: a lens turned while the shutter was open."""
    height, width = picture.shape[:2]
    reach, turns = between(0.02, 0.16, strength), 12
    total: Floats = np.zeros(picture.shape, np.float32)
    for turn in range(turns):
        zoom = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, 1 + reach * turn / (turns - 1))
        turned = cv2.warpAffine(picture, zoom, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        total = total + np.asarray(turned, np.float32)
    return to_picture(total / turns)


def _chromatic_aberration(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Red and blue moved apart, and a little larger and smaller."""
    height, width = picture.shape[:2]
    shift, angle = between(0.8, 8.0, strength) / 2, draw.uniform(0, 2 * np.pi)
    apart = picture.copy()
    for channel, side in ((0, 1), (2, -1)):
        place = np.array(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, 1 + side * 0.001 * shift))
        place[:, 2] += (side * shift * np.cos(angle), side * shift * np.sin(angle))
        moved = cv2.warpAffine(picture[..., channel], place, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        apart[..., channel] = moved
    return apart


def _median(picture: Picture, strength: float, _: np.random.Generator) -> Picture:
    """Smeared as by a phone's denoising."""
    return np.asarray(cv2.medianBlur(picture, 2 * round(between(1.0, 7.0, strength)) + 1), np.uint8)


def _haze(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Light scattered before the product, unevenly."""
    height, width = picture.shape[:2]
    field = cv2.resize(draw.uniform(0.7, 1.3, (3, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    clear = np.exp(-between(0.15, 1.6, strength) * field)[..., None]
    return to_picture(picture * clear + 232 * (1 - clear))


def _dead_rows(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Lines of the sensor that show one colour."""
    order = draw.permutation(picture.shape[0])
    rows = np.zeros(len(order), np.bool_)
    rows[order[: max(1, round(between(0.006, 0.12, strength) * len(order)))]] = True
    colours = draw.integers(0, 256, (picture.shape[0], 1, 3))
    return np.where(rows[:, None, None], colours, picture).astype(np.uint8)


UNSEEN: Mapping[str, Distortion] = {
    "impulse noise": _impulse_noise,
    "JPEG 2000": _jpeg2000,
    "WebP": _webp,
    "zoom blur": _zoom_blur,
    "chromatic aberration": _chromatic_aberration,
    "median smear": _median,
    "haze": _haze,
    "dead rows": _dead_rows,
}
