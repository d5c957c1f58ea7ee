"""From bytes of a stranger to an upright, opaque sRGB picture, or a typed error.

The header is judged before any pixel is unpacked; whatever a decoder raises becomes a `SourceError`. Pillow raises ten
kinds of exception on damaged files, hence the one broad catch.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from serve.errors import CorruptImage, SourceError, TooManyPixels, TooSmall, UnsupportedFormat
from serve.images.colour_space import to_srgb
from serve.interfaces import FetchedBytes, SourceImage

#: Formats that Pillow may try. "MPO" must not stand here (KeyError in Pillow): such files open as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "RGB": 3, "YCbCr": 3, "LAB": 3, "HSV": 3}
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"BM")

# Pillow's own pixel alarm is a warning up to twice its limit; here it is an error like any other.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What a source photo may cost, judged by its header."""

    max_pixels: int = 50_000_000
    max_decoded_bytes: int = 150 * 2**20
    #: Shortest side in pixels that is worth working on.
    min_side: int = 32


_DEFAULT_LIMITS = DecodeLimits()


def decode(fetched: FetchedBytes, image_id: str, limits: DecodeLimits = _DEFAULT_LIMITS) -> SourceImage:
    """Decode the first frame: upright, sRGB, alpha on white, `uint8 [H, W, 3]`.

    Raise `UnsupportedFormat`, `CorruptImage`, `TooManyPixels` or `TooSmall`.
    """
    try:
        with Image.open(io.BytesIO(fetched.body), formats=FORMATS) as image:
            _check_header(image, limits)
            pixels, flags = _upright_srgb(image)
            name = (image.format or "").lower()
    except SourceError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels from error
    except UnidentifiedImageError as error:
        raise (CorruptImage if _looks_supported(fetched.body) else UnsupportedFormat) from error
    except Exception as error:
        raise CorruptImage from error
    return SourceImage(
        image_id=image_id,
        sha256=fetched.sha256,
        pixels=pixels,
        format="jpeg" if name == "mpo" else name,
        flags=tuple(flags),
    )


def _check_header(image: ImageFile.ImageFile, limits: DecodeLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise TooManyPixels(f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,}")
    decoded = width * height * _BYTES_PER_PIXEL.get(image.mode, 4)
    if decoded > limits.max_decoded_bytes:
        raise TooManyPixels(f"{decoded:,} bytes decoded are more than the limit of {limits.max_decoded_bytes:,}")
    if min(width, height) < limits.min_side:
        raise TooSmall(f"{width} x {height} pixels: no side may be under {limits.min_side}")
    if image.format == "TIFF" and not _strips_cover(image):
        raise CorruptImage("the strips of the image do not cover it")


def _strips_cover(image: ImageFile.ImageFile) -> bool:
    """Pillow leaves black what no strip of a TIFF covers: a few bytes could stand for a picture of any size."""
    boxes = [tile.extents for tile in image.tile if tile.extents is not None]
    right, bottom = (max((box[side] for box in boxes), default=0) for side in (2, 3))
    # By area: the orientation may have turned the size, never the boxes.
    return right * bottom >= image.width * image.height


def _upright_srgb(image: Image.Image) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], list[str]]:
    flags = ["first_frame"] if getattr(image, "is_animated", False) and image.format != "MPO" else []
    image.load()
    orientation = _orientation(image, flags)
    picture = to_srgb(image, flags)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
        flags.append("orientation_applied")
    return np.array(picture, dtype=np.uint8), flags


def _orientation(image: Image.Image, flags: list[str]) -> int:
    """The EXIF orientation, read after loading: it may stand behind the pixels; Pillow turns TIFF by itself."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - broken EXIF must not cost the picture
        flags.append("exif_broken")
        return 1
    return value if isinstance(value, int) else 1


def _looks_supported(body: bytes) -> bool:
    webp_or_avif = (body[:4] == b"RIFF" and body[8:12] == b"WEBP") or body[4:12] in {b"ftypavif", b"ftypavis"}
    return body.startswith(_MAGIC) or webp_or_avif
