"""The phone: light in the room, lens, sensor, file."""

import io
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deploy.demo.render.noise import smooth

Picture = NDArray[np.float32]
FileFormat = Literal["JPEG", "PNG", "WEBP"]
_ORIENTATION = 0x0112
#: How the sensor lies for each EXIF orientation used: the turn that undoes the one which the tag asks for.
_UNTURN = {1: None, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}

_STEPS_PER_UNIT = 2000
#: The tone curve of a phone: a shoulder that keeps highlights, from 0 to twice the nominal white.
_TONES = ((1 - np.exp(-1.55 * np.linspace(0, 2, 2 * _STEPS_PER_UNIT) ** 1.12)) / (1 - np.exp(-1.55))).astype(np.float32)


def exposed(scene: Picture, rng: np.random.Generator, light: tuple[float, float]) -> NDArray[np.uint8]:
    """The scene as the sensor sees it: uneven light, white balance, vignette, tone curve, blur and noise."""
    height, width = scene.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    fall = 1 + rng.uniform(0.08, 0.2) * (columns * light[0] + rows * light[1])
    fall += 0.05 * smooth(rng, (height, width), (2, 2))
    fall *= 1 - rng.uniform(0.05, 0.14) * (rows**2 + columns**2) / 2
    warmth = rng.normal(0.015, 0.035)
    balance = np.array([1 + warmth, 1 + 0.15 * warmth, 1 - 1.3 * warmth], np.float32)
    picture = scene * fall[..., None] * balance * np.float32(rng.uniform(0.94, 1.1))
    picture = _TONES[np.clip(picture * _STEPS_PER_UNIT, 0, len(_TONES) - 1).astype(np.uint16)]
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + 0.9 * (picture - grey)
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.55, 0.85)))
    luma = cv2.GaussianBlur(rng.standard_normal((height, width), dtype=np.float32), (0, 0), 0.6)
    picture += (rng.uniform(0.012, 0.022) * luma)[..., None]
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)


def encoded(pixels: NDArray[np.uint8], file_format: FileFormat, quality: int, orientation: int = 1) -> bytes:
    """The file that the phone writes; an orientation other than 1 turns the pixels and says so in EXIF."""
    image = Image.fromarray(pixels)
    turn = _UNTURN[orientation]
    if turn is not None:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    exif[0x010F] = "Vitrine"
    exif[0x0110] = "Drawn by code"
    buffer = io.BytesIO()
    if file_format == "JPEG":
        image.save(buffer, "JPEG", quality=quality, exif=exif)
    elif file_format == "WEBP":
        image.save(buffer, "WEBP", quality=quality, method=2)
    else:
        image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
