"""From pixels to the final file: sRGB tagged, provenance inside and verified, nothing else carried along.

JPEGs are baseline with optimised tables: every channel's reader takes them, and they encode three times as fast as
progressive ones for a few per cent more bytes. From quality 90 on colour is kept in full (4:4:4), for red edges of
garments suffer first; below that the bytes matter more (4:2:0).
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageCms, PngImagePlugin

from serve.errors import OutputTooLarge, StageFailed
from serve.images.provenance import Provenance, read_provenance, xmp_packet
from serve.interfaces import Picture

FULL_COLOUR_QUALITY = 90
#: The quality search never goes below this.
MIN_QUALITY = 50
_SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A finished file."""

    body: bytes
    content_type: str
    #: With the dot: `.jpg`.
    suffix: str
    width: int
    height: int
    sha256: str
    #: The quality that the search settled on; None for lossless formats.
    quality: int | None


def suffix_of(format: str) -> str:  # noqa: A002 - the field's own word
    """The file suffix of an output format: it must match the content, some channels refuse others."""
    return _SUFFIXES[format]


def encode(
    pixels: Picture,
    format: str,  # noqa: A002 - the field's own word
    provenance: Provenance,
    *,
    max_bytes: int | None = None,
    quality: int = 92,
) -> Encoded:
    """Encode `uint8 [H, W, 3]` sRGB as `jpeg`, `png`, `webp` or `avif` with its provenance.

    With `max_bytes` the best quality that fits is searched downwards. Raise `OutputTooLarge` if none does,
    `StageFailed` if the provenance cannot be read back, `ValueError` for another format.
    """
    if format not in _SUFFIXES:
        raise ValueError(f"not an output format: {format}")
    packet = xmp_packet(provenance)
    image = Image.fromarray(pixels)

    def at(level: int) -> bytes:
        return _save(image, format, packet, level)

    lossless = format == "png"
    used, body = _best_fit(at, MIN_QUALITY if lossless else min(quality, 100), max_bytes)
    if read_provenance(body) != provenance:
        raise StageFailed("the provenance cannot be read back from the finished file")
    return Encoded(
        body=body,
        content_type=f"image/{format}",
        suffix=_SUFFIXES[format],
        width=image.width,
        height=image.height,
        sha256=hashlib.sha256(body).hexdigest(),
        quality=None if lossless else used,
    )


def _best_fit(at: Callable[[int], bytes], quality: int, max_bytes: int | None) -> tuple[int, bytes]:
    """The highest quality whose file fits, by bisection: size grows with quality."""
    body = at(quality)
    if max_bytes is None or len(body) <= max_bytes:
        return quality, body
    best: tuple[int, bytes] | None = None
    low, high = MIN_QUALITY, quality - 1
    while low <= high:
        middle = (low + high) // 2
        body = at(middle)
        if len(body) <= max_bytes:
            best, low = (middle, body), middle + 1
        else:
            high = middle - 1
    if best is None:
        raise OutputTooLarge(f"not under {max_bytes:,} bytes at quality {MIN_QUALITY}")
    return best


def _save(image: Image.Image, format: str, packet: bytes, quality: int) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    full = quality >= FULL_COLOUR_QUALITY
    match format:
        case "jpeg":
            buffer = _save_jpeg(image, packet, quality, "4:4:4" if full else "4:2:0")
        case "png":
            text = PngImagePlugin.PngInfo()
            text.add_itxt("XML:com.adobe.xmp", packet.decode())
            image.save(buffer, "PNG", pnginfo=text, icc_profile=SRGB_PROFILE)
        case "webp":
            image.save(buffer, "WEBP", quality=quality, method=4, icc_profile=SRGB_PROFILE, xmp=packet)
        case _:
            # One thread: the tiling of several would change the bytes from machine to machine.
            image.save(
                buffer,
                "AVIF",
                quality=quality,
                speed=7,
                subsampling="4:4:4" if full else "4:2:0",
                max_threads=1,
                icc_profile=SRGB_PROFILE,
                xmp=packet,
            )
    return buffer.getvalue()


def _save_jpeg(image: Image.Image, packet: bytes, quality: int, subsampling: str) -> io.BytesIO:
    """Pillow's room for optimised tables is one byte per pixel; what is mostly noise needs more and goes without."""
    for optimize in (True, False):
        buffer = io.BytesIO()
        try:
            image.save(
                buffer,
                "JPEG",
                quality=quality,
                subsampling=subsampling,
                optimize=optimize,
                icc_profile=SRGB_PROFILE,
                xmp=packet,
            )
        except OSError:
            if not optimize:
                raise
        else:
            break
    return buffer


def _srgb_profile() -> bytes:
    """An sRGB profile with a fixed date: the time of its making would make every file differ."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07d000010001000000000000")
    return bytes(profile)


SRGB_PROFILE = _srgb_profile()
