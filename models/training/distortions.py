"""The twelve ways in which a photo is made worse to learn quality from, each at any strength.

A strength lies in 0..1; 0.2, 0.4, 0.6, 0.8 and 1 are the levels 1 to 5. Level 1 is just visible side by side, level 5
unusable. `models.evaluate.unseen` has others, which nothing is trained on.
"""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats, Picture

#: Picture, strength above 0 up to 1, generator -> picture of the same size. With equal generators a greater strength is
#: the same damage, only more of it.
Distortion = Callable[[Picture, float, np.random.Generator], Picture]
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)


def between(first: float, last: float, strength: float) -> float:
    """`first` at level 1, `last` at level 5, by equal factors between and below."""
    return float(first * (last / first) ** ((strength - LEVELS[0]) / (LEVELS[-1] - LEVELS[0])))


def to_picture(values: NDArray[Any]) -> Picture:
    """Rounded and clipped to 0..255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def filtered(picture: Picture, kernel: NDArray[Any]) -> Picture:
    """Correlation with a kernel of any sum, continued by reflection."""
    kernel = kernel / kernel.sum()
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.uint8)


def in_light(picture: Picture, gains: Floats | float) -> Picture:
    """Linear light times a factor, for all or per channel (`[3]`); what is too bright is clipped."""
    levels = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    table = to_picture(255 * (levels**2.2 * np.asarray(gains, np.float32)) ** (1 / 2.2))
    return np.asarray(cv2.LUT(picture, np.ascontiguousarray(np.broadcast_to(table, (256, 3)))[None]), np.uint8)


def _blur(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Gaussian, or a disc of the same spread as a lens out of focus draws it."""
    sigma = between(0.7, 4.0, strength)
    if draw.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    reach = int(np.ceil(2 * sigma))
    away = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return filtered(picture, np.clip(2 * sigma - away + 0.5, 0, 1))


def _motion_blur(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    length, angle = between(4.0, 26.0, strength), draw.uniform(0, np.pi)
    reach = int(np.ceil(length / 2))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return filtered(picture, np.clip(length / 2 - abs(along) + 0.5, 0, 1) * np.clip(1 - abs(across), 0, 1))


def _grain(shape: tuple[int, ...], draw: np.random.Generator) -> Floats:
    """Noise of spread 1, float32 [H, W, 3]: of the colours, or of lightness alone; fine, or a little coarser."""
    coloured, coarse = draw.random() < 0.6, draw.random() < 0.3
    grain = draw.standard_normal((*shape[:2], 3 if coloured else 1), np.float32)
    if coarse:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.7), np.float32).reshape(grain.shape) * np.float32(2.4)
    return grain


def _noise(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    return to_picture(picture + np.float32(between(4.0, 45.0, strength)) * _grain(picture.shape, draw))


def _shot_noise(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Noise that grows with the root of the light, as few photons leave it."""
    spread = np.sqrt(picture.astype(np.float32) / 128) * np.float32(between(4.5, 50.0, strength))
    return to_picture(picture + spread * _grain(picture.shape, draw))


def coded(picture: Picture, ending: str, *options: int) -> Picture:
    """Written and read again by OpenCV in the format of a file's ending."""
    _, body = cv2.imencode(ending, picture[..., ::-1], options)
    return np.asarray(cv2.imdecode(body, cv2.IMREAD_COLOR_RGB), np.uint8)


def jpeg(picture: Picture, quality: int) -> Picture:
    """Written and read again as JPEG."""
    return coded(picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)


def _jpeg(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """The grid of blocks lies anywhere: photos are cropped after they were stored."""
    top, left = (int(value) for value in draw.integers(0, 8, 2))
    wide = cv2.copyMakeBorder(picture, top, 0, left, 0, cv2.BORDER_REPLICATE)
    return jpeg(np.asarray(wide, np.uint8), round(between(55.0, 6.0, strength)))[top:, left:]


def _upscaled(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Made small, then large again."""
    height, width = picture.shape[:2]
    factor = between(1.4, 6.0, strength)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    way = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[int(draw.integers(3))]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def _over_exposed(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    return in_light(picture, between(1.4, 5.0, strength) * np.exp(draw.normal(0, 0.05)))


def _under_exposed(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    return in_light(picture, between(0.62, 0.06, strength) * np.exp(draw.normal(0, 0.05)))


def _low_contrast(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Towards a grey between the picture's own and the middle."""
    share, grey = between(0.75, 0.15, strength), 0.5 * picture.mean() + draw.uniform(50, 75)
    return to_picture(grey + (picture.astype(np.float32) - np.float32(grey)) * np.float32(share))


def _colour_cast(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Two channels against each other by some weights, as a wrong white balance does."""
    angle = draw.uniform(0, 2 * np.pi)
    direction = np.cos(angle + np.array([0, 2, 4]) * np.pi / 3)
    gains = np.exp(between(0.2, 1.3, strength) * direction)
    return in_light(picture, np.asarray(gains / gains.mean(), np.float32))


def _posterised(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Few levels per channel: smooth shades become bands."""
    steps, start = between(22.0, 4.0, strength), draw.uniform(0, 1)
    width = 255 / steps
    levels = (np.floor(np.arange(256) / width + start) + 0.5 - start) * width
    return np.asarray(cv2.LUT(picture, to_picture(levels)), np.uint8)


def _oversharpened(picture: Picture, strength: float, draw: np.random.Generator) -> Picture:
    """Unsharp mask without measure: bright and dark seams along every edge."""
    smooth = cv2.GaussianBlur(picture, (0, 0), draw.uniform(0.9, 1.8)).astype(np.float32)
    return to_picture(picture + np.float32(between(1.0, 9.0, strength)) * (picture - smooth))


TRAINED: Mapping[str, Distortion] = {
    "blur": _blur,
    "motion blur": _motion_blur,
    "noise": _noise,
    "shot noise": _shot_noise,
    "JPEG blocks": _jpeg,
    "upscaling": _upscaled,
    "over-exposure": _over_exposed,
    "under-exposure": _under_exposed,
    "low contrast": _low_contrast,
    "colour cast": _colour_cast,
    "banding": _posterised,
    "oversharpening": _oversharpened,
}
