"""From bytes of a stranger to upright, opaque sRGB pixels, or a `Refusal`: what a decode worker does.

The header is judged before any pixel is unpacked; whatever a decoder raises becomes a refusal. Pillow raises ten kinds
of exception on damaged files, hence the one broad catch. Imports Pillow and numpy only.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from serve.images.colour_space import ToSrgb, bands
from serve.images.header import FORMATS, HEIF, Header, check_header, check_size
from serve.images.limits import DecodeLimits, Refusal
from serve.images.notices import read_notices

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
#: Gives so many bytes to write the pixels to.
Allot = Callable[[int], Pixels]
#: Loaded here, so that no decoder is imported while a file is open.
PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
_ORIENTATION_TAG = 0x0112
#: How an upright picture looks from the rows as they are stored, by orientation.
_STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright[::-1].swapaxes(0, 1),
}
_BYTES_PER_PIXEL = {
    "1": 1,
    "L": 1,
    "P": 1,
    "LA": 2,
    "PA": 2,
    "I;16": 2,
    "I;16B": 2,
    "I;16L": 2,
    "I;16N": 2,
    "RGB": 3,
    "YCbCr": 3,
    "LAB": 3,
    "HSV": 3,
}

# Pillow's own pixel alarm is a warning up to twice its limit; here it is an error like any other.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unpacked:
    """A decoded picture."""

    #: `uint8 [H, W, 3]`, in what `Allot` gave.
    pixels: Pixels
    #: Lower case; `jpeg` for MPO.
    format: str
    #: Pillow's mode of the picture as it was stored.
    mode: str
    flags: tuple[str, ...]
    #: What the file says of its rights and origin, see `notices.py`.
    notices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def heap(count: int) -> Pixels:
    """Bytes of this process."""
    return np.empty(count, np.uint8)


def supported() -> tuple[str, ...]:
    """Pillow's names of the formats that this process can decode: HEIF only where the extra `heic` is installed."""
    try:
        import pillow_heif  # noqa: PLC0415 - an extra
    except ImportError:
        return FORMATS
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return (*FORMATS, HEIF)


def unpack(body: bytes, limits: DecodeLimits, allot: Allot = heap, *, formats: tuple[str, ...] = FORMATS) -> Unpacked:
    """Decode the first frame. Raise `Refusal`; `MemoryError` where the process may have no more."""
    try:
        header = check_header(body, limits, formats)
        with Image.open(io.BytesIO(body), formats=(header.format,)) as image:
            _check_opened(image, header, limits)
            return _load(image, header, body, allot, limits.ground)
    except (Refusal, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refusal("too_many_pixels") from error
    except Exception as error:
        raise Refusal("corrupt_image") from error


def _check_opened(image: ImageFile.ImageFile, header: Header, limits: DecodeLimits) -> None:
    """The header again, now as the decoder has understood it."""
    frames = getattr(image, "n_frames", 1) if image.format in {"AVIF", HEIF} else header.claim.frames
    claim = replace(
        header.claim,
        width=image.width,
        height=image.height,
        frames=frames,
        bytes_per_pixel=_BYTES_PER_PIXEL.get(image.mode, 4),
    )
    check_size(claim, limits)
    if image.format == "TIFF" and not _strips_cover(image):
        raise Refusal("corrupt_image", "the strips of the image do not cover it")


def _strips_cover(image: ImageFile.ImageFile) -> bool:
    """Pillow leaves black what no strip of a TIFF covers: a few bytes could stand for a picture of any size."""
    boxes = [tile.extents for tile in image.tile if tile.extents is not None]
    right, bottom = (max((box[side] for box in boxes), default=0) for side in (2, 3))
    # By area: the orientation may have turned the size, never the boxes.
    return right * bottom >= image.width * image.height


def _load(
    image: ImageFile.ImageFile, header: Header, body: bytes, allot: Allot, ground: tuple[int, int, int]
) -> Unpacked:
    mode, name = image.mode, (image.format or "").lower()
    several = getattr(image, "is_animated", False) and image.format != "MPO"
    flags = ["first_frame"] if several else []
    # Asked for first: who watches the memory of this process must know before the decoder takes its own.
    room = allot(3 * image.width * image.height)
    image.load()
    _mend_key(image, header)
    orientation = _orientation(image, flags)
    convert = ToSrgb(image, flags, ground)
    size = (image.width, image.height) if orientation >= 5 else (image.height, image.width)
    upright = room.reshape(*size, 3)
    stored = _STORED[orientation](upright)
    for top, band in bands(image):
        stored[top : top + band.height] = np.asarray(convert(band))
    if orientation != 1:
        flags.append("orientation_applied")
    return Unpacked(
        pixels=upright,
        format="jpeg" if name == "mpo" else name,
        mode=mode,
        flags=tuple(flags),
        notices=read_notices(body, image),
    )


def _mend_key(image: Image.Image, header: Header) -> None:
    """Pillow halves the bits of 16-bit colour, but not those of the colour that is meant as transparent."""
    key = image.info.get("transparency")
    if header.format == "PNG" and header.claim.depth == 16 and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _orientation(image: Image.Image, flags: list[str]) -> int:
    """The EXIF orientation, read after loading: it may stand behind the pixels; Pillow turns TIFF by itself."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - broken EXIF must not cost the picture
        flags.append("exif_broken")
        return 1
    return value if isinstance(value, int) and value in _STORED else 1
