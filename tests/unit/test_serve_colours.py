"""Truth of the pixels: every mode in every format, against the colours that were meant, within CIEDE2000 of 2.

Files are lossless, or JPEG and AVIF at quality 95 with full colour; all patches are flat and in the gamut of sRGB.
"""

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from models.colour import delta_e_2000, lab_of
from serve.errors import TooSmall
from serve.images.decoding import decode
from serve.interfaces import FetchedBytes, Picture, SourceImage
from tests.support.pictures import PATCHES, centres, greys, patches, saved
from tests.support.profiles import INKS, SPACES, cmyk_profile, grey_profile, in_space, rgb_profile, srgb_of_lab

MOST = 2.0
FULL = {"quality": 95, "subsampling": "4:4:4"}
OPTIONS: dict[str, dict[str, object]] = {"JPEG": FULL, "AVIF": FULL, "WEBP": {"lossless": True}}
#: Muted enough for the printable gamut of any table, far enough apart to be told.
MUTED = ((150, 70, 60), (60, 120, 80), (70, 80, 150), (190, 180, 120))
WIDE = tuple(space for space in SPACES if space != "srgb")


def decoded(body: bytes) -> SourceImage:
    return decode(FetchedBytes(body=body, sha256=""), "front")


def written(image: Image.Image, file_format: str, **options: object) -> bytes:
    return saved(image, file_format, **{**OPTIONS.get(file_format, {}), **options})


def difference(image: SourceImage, expected: list[tuple[int, ...]]) -> float:
    """The largest CIEDE2000 of a patch's middle."""
    found = centres(image.pixels)
    return max(float(delta_e_2000(lab_of(one), lab_of(other))) for one, other in zip(found, expected, strict=True))


def assert_true(image: SourceImage, expected: list[tuple[int, ...]] | None = None) -> None:
    assert difference(image, list(PATCHES) if expected is None else expected) <= MOST


COLOUR, GREY = Image.fromarray(patches()), Image.fromarray(greys()).convert("L")


def test_the_measure_can_fail() -> None:
    """A hue off by a little more than can be seen is told."""
    image = decoded(written(COLOUR, "PNG"))
    assert difference(image, [(red - 14, green, blue) for red, green, blue in PATCHES]) > MOST


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1"])
def test_modes_in_formats(file_format: str, mode: str) -> None:
    if (mode in {"RGBA", "LA", "P", "1"} and file_format == "JPEG") or (
        mode in {"LA", "RGBA"} and file_format == "BMP"
    ):
        pytest.skip("the format has no such pixels")
    source = COLOUR if mode in {"RGB", "RGBA", "P"} else GREY
    image = source.quantize(16) if mode == "P" else source.convert(mode)
    read = decoded(written(image, file_format))
    if mode == "1":
        expected = centres(np.asarray(image.convert("RGB")))
    else:
        expected = list(PATCHES) if source is COLOUR else centres(greys())
    assert_true(read, expected)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("space", WIDE)
def test_wide_gamuts_come_to_srgb(file_format: str, space: str) -> None:
    """Numbers of another space, with its profile: the colours that were meant come out, not the numbers."""
    meant = Image.fromarray(in_space(patches(MUTED), space))
    image = decoded(written(meant, file_format, icc_profile=rgb_profile(space)))
    assert_true(image, list(MUTED))
    assert image.flags == ("icc_converted",)
    assert difference(decoded(written(meant, file_format)), list(MUTED)) > MOST


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_wide_gamuts_under_alpha_and_in_palettes(mode: str) -> None:
    meant = Image.fromarray(in_space(patches(MUTED), "display-p3"))
    image = meant.quantize(16) if mode == "P" else meant.convert(mode)
    assert_true(decoded(saved(image, "PNG", icc_profile=rgb_profile("display-p3"))), list(MUTED))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
def test_grey_with_a_tone_curve_of_its_own(file_format: str) -> None:
    levels = np.asarray(GREY).astype(np.float64) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    coded = Image.fromarray(np.rint(linear ** (1 / 1.8) * 255).astype(np.uint8))
    image = decoded(written(coded, file_format, icc_profile=grey_profile(1.8)))
    assert_true(image, centres(greys()))
    assert "icc_converted" in image.flags


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
@pytest.mark.parametrize("inks", [(0, 1, 2, 4), (3, 5, 6, 7)])
def test_cmyk_with_a_profile_is_what_its_table_says(file_format: str, inks: tuple[int, ...]) -> None:
    """Solid inks, which Pillow's own formula would make far brighter."""
    solid = [tuple(255 * (ink >> bit & 1) for bit in range(3)) for ink in inks]
    layers = patches(tuple(solid))
    image = Image.fromarray(np.dstack([layers, np.zeros(layers.shape[:2], np.uint8)]), "CMYK")
    read = decoded(written(image, file_format, icc_profile=cmyk_profile()))
    assert "icc_converted" in read.flags
    naive = difference(decoded(written(image, file_format)), centres(read.pixels))
    assert difference(read, [srgb_of_lab(INKS[ink]) for ink in inks]) <= MOST
    assert naive > 5


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile(file_format: str) -> None:
    """Adobe's JPEGs hold inverted inks; Pillow writes and marks them so."""
    image = decoded(written(COLOUR.convert("CMYK"), file_format))
    assert_true(image)
    assert image.flags == ("cmyk_without_profile",)


def test_ycck_is_read_as_cmyk() -> None:
    """The Adobe marker with transform 2: C, M and Y as luminance and chrominance, inverted as all of Adobe's inks."""
    inks = np.asarray(COLOUR.convert("CMYK"))
    packed = cv2.cvtColor(inks[:, :, :3], cv2.COLOR_RGB2YCrCb)[:, :, [0, 2, 1]]
    body = bytearray(written(Image.fromarray(np.dstack([255 - packed, inks[:, :, 3]]), "CMYK"), "JPEG"))
    marker = body.index(b"Adobe") + 11
    assert body[marker] == 0
    assert difference(decoded(bytes(body)), list(PATCHES)) > MOST
    body[marker] = 2
    assert_true(decoded(bytes(body)))


def deep_png(pixels: Picture, channels: int, key: tuple[int, ...] | None = None) -> bytes:
    """A PNG of 16 bits whose low bytes differ from the high ones, so that a mistake shows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    deep = (pixels.astype(np.uint16) * 257).astype(">u2").reshape(height, width, channels)
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    keyed = chunk(b"tRNS", struct.pack(f">{channels}H", *key)) if key else b""
    return b"\x89PNG\r\n\x1a\n" + head + keyed + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _with_alpha(pixels: Picture, alpha: int) -> Picture:
    return np.dstack([pixels, np.full(pixels.shape[:2], alpha, np.uint8)])


@pytest.mark.parametrize("alpha", [255, 128])
def test_sixteen_bits_in_png(alpha: int) -> None:
    share = alpha / 255
    grey = np.asarray(GREY)
    mixed = [tuple(round(value * share + 255 * (1 - share)) for value in colour) for colour in PATCHES]
    greyed = [tuple(round(value * share + 255 * (1 - share)) for value in colour) for colour in centres(greys())]
    assert_true(decoded(deep_png(_with_alpha(patches(), alpha), 4)), mixed)
    assert_true(decoded(deep_png(_with_alpha(grey, alpha), 2)), greyed)
    assert_true(decoded(deep_png(patches(), 3)))
    assert_true(decoded(deep_png(grey, 1)), centres(greys()))


def test_a_transparent_colour_of_sixteen_bits() -> None:
    key = tuple(value * 257 for value in PATCHES[0])
    assert_true(decoded(deep_png(patches(), 3, key)), [(255, 255, 255), *PATCHES[1:]])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_in_tiff(channels: int) -> None:
    pixels = np.asarray(GREY) if channels == 1 else cv2.cvtColor(patches(), cv2.COLOR_RGB2BGR)
    pixels = _with_alpha(pixels, 255) if channels == 4 else pixels
    done, body = cv2.imencode(".tiff", pixels.astype(np.uint16) * 257)
    assert done
    assert_true(decoded(body.tobytes()), centres(greys()) if channels == 1 else list(PATCHES))


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_grey_in_either_order_of_bytes(order: str) -> None:
    deep = np.asarray(GREY).astype(np.uint16) * 257
    image = Image.frombytes("I;16B" if order == ">" else "I;16", GREY.size, deep.astype(f"{order}u2").tobytes())
    assert_true(decoded(saved(image, "TIFF")), centres(greys()))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats(top: float) -> None:
    image = Image.fromarray((np.asarray(GREY).astype(np.float32) / 255 * top).astype(np.float32))
    assert_true(decoded(saved(image, "TIFF")), centres(greys()))


def test_the_range_is_that_of_the_whole_picture() -> None:
    """Wider than a band: the first rows say nothing of the last ones."""
    deep = np.full((2_000, 400), 0.25, np.float32)
    deep[1_000:] = 200.0
    read = decoded(saved(Image.fromarray(deep), "TIFF"))
    assert (int(read.pixels[10, 10, 0]), int(read.pixels[-10, 10, 0])) == (0, 200)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_edges_of_alpha_have_no_fringe(file_format: str) -> None:
    """Between a colour and nothing, half-covered pixels are mixed of that colour and white, never of what is hidden."""
    alpha = np.zeros((64, 64), np.uint8)
    alpha[:, 20:], alpha[:, 40:] = 128, 255
    colour = np.full((64, 64, 3), (10, 200, 30), np.uint8)
    colour[:, :20] = (255, 0, 255)
    pixels = decoded(written(Image.fromarray(np.dstack([colour, alpha])), file_format)).pixels
    assert tuple(pixels[30, 10]) == (255, 255, 255)
    assert tuple(pixels[30, 50]) == (10, 200, 30)
    expected = [value * 128 / 255 + 255 * 127 / 255 for value in (10, 200, 30)]
    assert np.abs(pixels[30, 30] - np.array(expected)).max() <= 1


def test_premultiplied_colour_is_not_multiplied_twice() -> None:
    """TIFF with associated alpha (ExtraSamples 1): the stored colours are mixed with black already."""
    layered = COLOUR.convert("RGBA")
    layered.putalpha(128)
    body = bytearray(saved(layered, "TIFF"))
    place = body.index(struct.pack("<HHI", 338, 3, 1)) + 8
    assert struct.unpack_from("<H", body, place) == (2,)
    premultiplied = np.asarray(layered).copy()
    premultiplied[:, :, :3] = np.rint(premultiplied[:, :, :3] * (128 / 255))
    body = bytearray(saved(Image.fromarray(premultiplied), "TIFF"))
    struct.pack_into("<H", body, body.index(struct.pack("<HHI", 338, 3, 1)) + 8, 1)
    mixed = [tuple(round(value * 128 / 255 + 127) for value in colour) for colour in PATCHES]
    assert_true(decoded(bytes(body)), mixed)


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_palettes_with_a_transparent_entry(file_format: str) -> None:
    palette = COLOUR.quantize(16)
    body = saved(palette, file_format, transparency=palette.getpixel((5, 5)))
    assert_true(decoded(body), [(255, 255, 255), *PATCHES[1:]])


@pytest.mark.parametrize(("size", "works"), [((1, 1), False), ((40, 20_000), True), ((20_000, 40), True)])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
def test_extremes_of_size(file_format: str, size: tuple[int, int], works: bool) -> None:
    image = Image.fromarray(patches(width=size[0], height=size[1])) if works else Image.new("RGB", size)
    body = written(image, file_format)
    if works:
        assert_true(decoded(body))
    else:
        with pytest.raises(TooSmall):
            decoded(body)


TURNED = {1: (0, 1, 2, 3), 2: (1, 0, 3, 2), 3: (3, 2, 1, 0), 4: (2, 3, 0, 1)}
TURNED |= {5: (0, 2, 1, 3), 6: (2, 0, 3, 1), 7: (3, 1, 2, 0), 8: (1, 3, 0, 2)}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied_once_whatever_else_is_done(file_format: str, orientation: int) -> None:
    """Larger than a band, with a profile to convert: the rows land where they belong."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    meant = Image.fromarray(in_space(patches(MUTED, width=900, height=700), "adobe-rgb"))
    options: dict[str, object] = {"tiffinfo": {0x0112: orientation}} if file_format == "TIFF" else {"exif": exif}
    image = decoded(written(meant, file_format, icc_profile=rgb_profile("adobe-rgb"), **options))
    assert_true(image, [MUTED[number] for number in TURNED[orientation]])
    assert image.pixels.shape == ((700, 900, 3) if orientation < 5 else (900, 700, 3))


def _heic(orientation: int) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(patches(width=96, height=128)), "HEIF", quality=95, chroma=444, exif=exif.tobytes())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_of_phones_comes_upright_and_true(orientation: int) -> None:
    image = decoded(_heic(orientation))
    assert image.format == "heif"
    assert_true(image, [PATCHES[number] for number in TURNED[orientation]])


def test_heic_with_a_wide_gamut() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    meant = Image.fromarray(in_space(patches(MUTED, width=96, height=96), "display-p3"))
    body = saved(meant, "HEIF", quality=95, chroma=444, icc_profile=rgb_profile("display-p3"))
    assert_true(decoded(body), list(MUTED))


@pytest.mark.parametrize(
    "broken",
    [
        lambda profile: profile[:200],
        lambda profile: b"\0" * 400,
        lambda profile: profile.replace(b"curv", b"crrv"),
        lambda profile: profile[:16] + b"CMYK" + profile[20:],
        lambda profile: profile[:128] + b"\xff" * 100 + profile[228:],
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_broken_profile_is_flagged_and_the_numbers_stay(file_format: str, broken: Callable[[bytes], bytes]) -> None:
    image = decoded(written(COLOUR, file_format, icc_profile=broken(rgb_profile("adobe-rgb"))))
    assert_true(image)
    assert image.flags == ("icc_broken",)


def test_our_profiles_are_whole() -> None:
    for profile in (*(rgb_profile(space) for space in WIDE), grey_profile(2.0), cmyk_profile()):
        assert ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.version == 2.4
