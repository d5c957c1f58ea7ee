"""Photos of a wanted file size, rendered, with the grain of a camera."""

import io
from bisect import bisect
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deploy.demo.products import render

_SEED = 7
#: What cameras write for each pixel of a JPEG, about.
_BYTES_PER_PIXEL = 0.25
_GRAIN = 5.0
_QUALITIES = range(60, 97, 2)


def photo(file: Path, number: int, size: int) -> Path:
    """Write the photo with this number as a JPEG of about `size` bytes; more bytes are more pixels."""
    pixels = cv2.imdecode(np.frombuffer(render(_SEED, number).body, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("the rendered photo cannot be read")
    scale = (size / _BYTES_PER_PIXEL / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    larger = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(number).normal(0.0, _GRAIN, (*larger.shape[:2], 1))
    grained = np.clip(larger + grain, 0, 255).astype(np.uint8)
    quality = bisect(_QUALITIES, size, key=lambda quality: len(_jpeg(grained, quality)))
    file.write_bytes(_jpeg(grained, _QUALITIES[min(quality, len(_QUALITIES) - 1)]))
    return file


def _jpeg(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], quality: int) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels[:, :, ::-1]).save(written, "JPEG", quality=quality)
    return written.getvalue()
