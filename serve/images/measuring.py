"""Measures a finished file, also one that was not made here, so that it can be held against a channel's rules.

The bytes are a stranger's: they are decoded within the same limits as source photos.
"""

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.cutout import Cutout
from models.pictures import Picture
from models.quality.measures import measure as measured_with
from models.quality.overlays import border_of, watermark_of, whiteness_of
from models.recognition.reader import Reader, ReadingState, legible
from serve.catalog.facts import ImageFacts
from serve.errors import CorruptImage, ServeError
from serve.images.decoding import FORMATS, DecodeLimits, decode
from serve.interfaces import FetchedBytes

#: Any size is measured; the rules say which are too small.
MEASURING_LIMITS = DecodeLimits(min_side=1)
#: A cut-out below this confidence has found nothing that could be measured.
_FOUND = 0.05
#: A background is plain where nine tenths of the frame's edge are this close to its median, in levels.
_PLAIN, _PLAIN_SHARE = 8, 0.9
_SOURCE_TYPE = re.compile(rb"newscodes/digitalsourcetype/([A-Za-z]{1,64})")


def measure(
    body: bytes,
    *,
    suffix: str | None = None,
    url: str | None = None,
    cut: Callable[[Picture], Cutout] | None = None,
    reader: Reader | None = None,
    limits: DecodeLimits = MEASURING_LIMITS,
) -> ImageFacts:
    """What the rules of channels ask of a file. Raise a `SourceError` where it is no picture that can be decoded.

    `suffix` is that of its name, with the dot. `cut` finds the product; without it the product's size is known on plain
    backgrounds only. Without a `reader` no text is sought.
    """
    source = decode(FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest()), "file", limits)
    facts = _of_header(body, source.format)
    pixels = source.pixels
    return replace(
        facts,
        width=pixels.shape[1],
        height=pixels.shape[0],
        whiteness=whiteness_of(pixels),
        fill=_fill(pixels, cut),
        border=border_of(pixels),
        watermark=watermark_of(pixels),
        text=_lines(pixels, reader),
        suffix=suffix,
        url=url,
    )


def _of_header(body: bytes, format: str) -> ImageFacts:  # noqa: A002 - the field's own word
    """What the file says of itself."""
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            return ImageFacts(
                width=image.width,
                height=image.height,
                format=format,
                bytes=len(body),
                digital_source_type=_source_type(body, image.info),
                colour=f"{image.mode} {_bits(body, image)}",
                # An MPO is a JPEG with a second view behind it, which nobody shows.
                animated=bool(getattr(image, "is_animated", False)) and image.format != "MPO",
                jpeg_quality=_jpeg_quality(image) if format == "jpeg" else None,
            )
    except ServeError:
        raise
    except Exception as error:
        raise CorruptImage from error


def _source_type(body: bytes, info: dict[str | tuple[int, int], object]) -> str:
    """The IPTC code in the XMP; empty where there is none."""
    texts = [value for value in info.values() if isinstance(value, str | bytes)]
    packets = [text.encode() if isinstance(text, str) else text for text in texts]
    found = next((match for packet in [*packets, body] if (match := _SOURCE_TYPE.search(packet))), None)
    return "" if found is None else found[1].decode()


def _bits(body: bytes, image: Image.Image) -> int:
    """Bits of a channel; Pillow gives 16-bit colour as 8."""
    if image.format == "PNG":
        return body[24]
    bits = getattr(image, "tag_v2", {}).get(258) if image.format == "TIFF" else None
    if isinstance(bits, tuple) and bits:
        return int(max(bits))
    return 16 if image.mode.startswith("I;16") else {"1": 1, "I": 32, "F": 32}.get(image.mode, 8)


def _jpeg_quality(image: Image.Image) -> int | None:
    """The quality 1..100 at which libjpeg would write tables most like those of the file."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if 0 not in tables:
        return None
    there = np.array(tables[0])
    return int(np.abs(_libjpeg_tables() - there).sum(axis=1).argmin()) + 1


@cache
def _libjpeg_tables() -> NDArray[np.int64]:
    """The luminance tables that libjpeg writes for the qualities 1..100."""
    tables = []
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as image:
            tables.append(getattr(image, "quantization")[0])  # noqa: B009 - of JPEGs alone, which Pillow does not type
    return np.array(tables, dtype=np.int64)


def _fill(pixels: Picture, cut: Callable[[Picture], Cutout] | None) -> float | None:
    plain = _fill_on_plain(pixels)
    if plain is not None or cut is None:
        return plain
    found = cut(pixels)
    if found.confidence < _FOUND:
        return None
    return round(measured_with(pixels, found.alpha, reference=None, background=None).fill, 4)


def _fill_on_plain(pixels: Picture) -> float | None:
    """The share of the limiting side that differs from a plain background, faint shadows left out; None on others."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    ground = np.median(edge, axis=0)
    if float((np.abs(edge - ground).max(-1) <= _PLAIN).mean()) < _PLAIN_SHARE:
        return None
    off = (np.abs(pixels.astype(np.int16) - ground.astype(np.int16)).max(-1) > 4 * _PLAIN).astype(np.uint8)
    # Specks are no product.
    off = np.asarray(cv2.morphologyEx(off, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    rows, columns = np.flatnonzero(off.any(1)), np.flatnonzero(off.any(0))
    if not rows.size:
        return None
    tall, wide = (rows[-1] - rows[0] + 1) / off.shape[0], (columns[-1] - columns[0] + 1) / off.shape[1]
    return round(float(max(tall, wide)), 4)


def _lines(pixels: Picture, reader: Reader | None) -> int | None:
    if reader is None:
        return None
    reading = reader.read(pixels)
    if reading.state is not ReadingState.READ:
        return None
    return sum(legible(line) for line in reading.lines)
