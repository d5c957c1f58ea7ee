"""Changed copies of a photo, as they turn up in catalogs: the same product must be found again in them."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from models.pictures import Mask, Picture

#: picture, mask of its product, another photo, random numbers -> the copy.
Change = Callable[[Picture, Mask, Picture, np.random.Generator], Picture]


def _cropped(picture: Picture, _mask: Mask, _other: Picture, draw: np.random.Generator) -> Picture:
    """Four fifths of each side."""
    height, width = (round(0.8 * side) for side in picture.shape[:2])
    top, left = (int(draw.integers(0, free + 1)) for free in (picture.shape[0] - height, picture.shape[1] - width))
    return picture[top : top + height, left : left + width]


def _compressed(picture: Picture, _mask: Mask, _other: Picture, _draw: np.random.Generator) -> Picture:
    """JPEG at quality 25, half as large."""
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 25])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _tinted(picture: Picture, _mask: Mask, _other: Picture, draw: np.random.Generator) -> Picture:
    """Under a warmer or a cooler lamp, darker or lighter."""
    warmth, light = draw.choice([-0.15, 0.15]), draw.uniform(0.75, 1.2)
    gains = light * np.exp(warmth * np.array([1.0, 0.0, -1.0]))
    return np.asarray((picture * gains).clip(0, 255).astype(np.uint8))


def _flipped(picture: Picture, _mask: Mask, _other: Picture, _draw: np.random.Generator) -> Picture:
    return np.ascontiguousarray(picture[:, ::-1])


def _set_elsewhere(picture: Picture, mask: Mask, other: Picture, _draw: np.random.Generator) -> Picture:
    """On the middle of another photo, blurred until it is ground alone."""
    size = picture.shape[1::-1]
    ground = cv2.GaussianBlur(cv2.resize(other, size, interpolation=cv2.INTER_AREA), (0, 0), size[0] / 12)
    alpha = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)[..., None]
    return np.asarray((picture * alpha + ground * (1 - alpha)).round().astype(np.uint8))


CHANGES: Mapping[str, Change] = {
    "crop": _cropped,
    "jpeg": _compressed,
    "light": _tinted,
    "flip": _flipped,
    "background": _set_elsewhere,
}
