"""Decoding: a matrix of formats, modes and orientations with known colours; damaged files only give typed errors."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from serve.errors import CorruptImage, SourceError, TooManyPixels, TooSmall, UnsupportedFormat
from serve.images.decoding import DecodeLimits, decode
from serve.interfaces import FetchedBytes, SourceImage
from tests.support.pictures import GREYS, PATCHES, centres, furthest, greys, patches, saved

LOSSY = {"quality": 95, "subsampling": "4:4:4"}
COLOUR = Image.fromarray(patches())
GREY = Image.fromarray(greys()).convert("L")
PALETTE = COLOUR.quantize(16)


def decoded(body: bytes, limits: DecodeLimits | None = None) -> SourceImage:
    fetched = FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest())
    return decode(fetched, "front", limits or DecodeLimits())


def assert_colours(image: SourceImage, expected: list[tuple[int, ...]], tolerance: int) -> None:
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    assert furthest(centres(image.pixels), expected) <= tolerance


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("JPEG", LOSSY, 3),
        ("JPEG", {**LOSSY, "progressive": True}, 3),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 8),
        ("GIF", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("BMP", {}, 0),
        ("AVIF", LOSSY, 4),
    ],
)
def test_formats_keep_colours(file_format: str, options: dict[str, object], tolerance: int) -> None:
    image = decoded(saved(COLOUR, file_format, **options))
    assert_colours(image, list(PATCHES), tolerance)
    assert (image.format, image.image_id, image.flags) == (file_format.lower(), "front", ())


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_grey_stays_grey(file_format: str) -> None:
    image = decoded(saved(GREY, file_format, **({"lossless": True} if file_format == "WEBP" else {})))
    assert_colours(image, centres(greys()), 2)


@pytest.mark.parametrize(
    ("file_format", "modes"), [("PNG", ["P", "1", "LA", "RGBA"]), ("TIFF", ["P", "1", "LA", "RGBA"])]
)
def test_odd_modes(file_format: str, modes: list[str]) -> None:
    for mode in modes:
        stored = PALETTE if mode == "P" else (COLOUR if mode == "RGBA" else GREY).convert(mode)
        image = decoded(saved(stored, file_format))
        if mode == "1":
            assert set(np.unique(image.pixels)) <= {0, 255}
        else:
            assert_colours(image, list(PATCHES) if mode in {"P", "RGBA"} else centres(greys()), 1)
        assert "alpha_flattened" not in image.flags


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("top", "dtype"), [(65535, np.uint16)])
def test_sixteen_bit_grey_is_scaled_by_its_range(file_format: str, top: int, dtype: type) -> None:
    deep = (np.asarray(GREY).astype(np.float64) / 255 * top).astype(dtype)
    image = decoded(saved(Image.fromarray(deep), file_format))
    assert_colours(image, centres(greys()), 1)
    assert "range_scaled" in image.flags


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(top: float) -> None:
    deep = np.asarray(GREY).astype(np.float32) / 255 * top
    assert_colours(decoded(saved(Image.fromarray(deep), "TIFF")), centres(greys()), 1)


def test_floats_without_a_number_do_no_harm() -> None:
    deep = np.asarray(GREY).astype(np.float32) / 255
    deep[0, 0], deep[0, 1] = np.nan, np.inf
    assert_colours(decoded(saved(Image.fromarray(deep), "TIFF")), centres(greys()), 1)


def test_integers_of_unknown_range_are_stretched() -> None:
    deep = (np.asarray(GREY).astype(np.int64) * 8_000_000).astype(np.int32)
    pixels = decoded(saved(Image.fromarray(deep), "TIFF")).pixels
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)


def _png(depth: int, colour_type: int, rows: bytes, width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bit_colour_is_scaled_by_its_range() -> None:
    pixels = patches()
    deep = (pixels.astype(">u2") * 257).tobytes()
    stride = pixels.shape[1] * 6
    rows = b"".join(b"\0" + deep[start : start + stride] for start in range(0, len(deep), stride))
    image = decoded(_png(16, 2, rows, pixels.shape[1], pixels.shape[0]))
    assert_colours(image, list(PATCHES), 1)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_colour_hidden_under_alpha_becomes_white(file_format: str) -> None:
    layered = COLOUR.convert("RGBA")
    layered.paste((200, 0, 0, 0), (0, 0, 24, 32))
    image = decoded(saved(layered, file_format, **({"lossless": True} if file_format == "WEBP" else {})))
    assert_colours(image, [(255, 255, 255), *PATCHES[1:]], 1)
    assert "alpha_flattened" in image.flags


def test_half_alpha_is_mixed_with_white() -> None:
    layered = COLOUR.convert("RGBA")
    layered.putalpha(128)
    mixed = [tuple(round(value * 128 / 255 + 127) for value in colour) for colour in PATCHES]
    assert_colours(decoded(saved(layered, "PNG")), mixed, 1)


def test_grey_alpha_and_transparent_keys() -> None:
    layered = GREY.convert("LA")
    layered.putalpha(0)
    assert set(np.unique(decoded(saved(layered, "PNG")).pixels)) == {255}
    keyed = decoded(saved(GREY, "PNG", transparency=GREYS[0]))
    assert centres(keyed.pixels)[0] == (255, 255, 255)
    palette = PALETTE
    index = palette.getpixel((5, 5))
    assert centres(decoded(saved(palette, "PNG", transparency=index)).pixels)[0] == (255, 255, 255)
    assert centres(decoded(saved(palette, "GIF", transparency=index)).pixels)[0] == (255, 255, 255)
    deep = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
    keyed = decoded(saved(deep, "PNG", transparency=GREYS[0] * 257))
    assert centres(keyed.pixels)[0] == (255, 255, 255)


TURNED = {1: (0, 1, 2, 3), 2: (1, 0, 3, 2), 3: (3, 2, 1, 0), 4: (2, 3, 0, 1)}
TURNED |= {5: (0, 2, 1, 3), 6: (2, 0, 3, 1), 7: (3, 1, 2, 0), 8: (1, 3, 0, 2)}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_comes_upright(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"JPEG": LOSSY, "AVIF": LOSSY, "WEBP": {"lossless": True}}.get(file_format, {})
    options = {"tiffinfo": {0x0112: orientation}} if file_format == "TIFF" else {**options, "exif": exif}
    image = decoded(saved(COLOUR, file_format, **options))
    expected = [PATCHES[number] for number in TURNED[orientation]]
    assert_colours(image, expected, 4)
    upright = COLOUR.size if orientation < 5 else COLOUR.size[::-1]
    assert image.pixels.shape[1::-1] == upright


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_a_senseless_orientation_is_passed_over(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_colours(decoded(saved(COLOUR, "JPEG", exif=exif, **LOSSY)), list(PATCHES), 3)


def test_broken_exif_costs_nothing() -> None:
    body = saved(COLOUR, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken", **LOSSY)
    assert_colours(decoded(body), list(PATCHES), 3)


def _swapped_profile() -> bytes:
    """sRGB with the red and green primaries exchanged: what is stored as red is meant as green."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for place in range(132, 132 + 12 * int.from_bytes(profile[128:132]), 12):
        tags[bytes(profile[place : place + 4])] = place
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    red_entry, green_entry = profile[red + 4 : red + 12], profile[green + 4 : green + 12]
    profile[red + 4 : red + 12], profile[green + 4 : green + 12] = green_entry, red_entry
    # A name without "sRGB" in it; it is stored as UTF-16.
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "none".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [("JPEG", "RGB"), *((name, mode) for name in ("PNG", "WEBP", "TIFF", "AVIF") for mode in ("RGB", "RGBA"))],
)
def test_profiles_are_converted_to_srgb(file_format: str, mode: str) -> None:
    options: dict[str, object] = {"JPEG": LOSSY, "AVIF": LOSSY, "WEBP": {"lossless": True}}.get(file_format, {})
    stored = COLOUR.convert(mode)
    image = decoded(saved(stored, file_format, icc_profile=_swapped_profile(), **options))
    assert_colours(image, [(green, red, blue) for red, green, blue in PATCHES], 4)
    assert "icc_converted" in image.flags


def test_a_palette_with_a_profile_is_converted() -> None:
    image = decoded(saved(PALETTE, "PNG", icc_profile=_swapped_profile()))
    assert_colours(image, [(green, red, blue) for red, green, blue in PATCHES], 4)


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = decoded(saved(COLOUR, "PNG", icc_profile=profile))
    assert_colours(image, list(PATCHES), 0)
    assert image.flags == ()


@pytest.mark.parametrize("profile", [b"junk", b"\0" * 200, _swapped_profile()[:200]])
def test_a_broken_profile_is_flagged_and_passed_over(profile: bytes) -> None:
    image = decoded(saved(COLOUR, "PNG", icc_profile=profile))
    assert_colours(image, list(PATCHES), 0)
    assert image.flags == ("icc_broken",)


def test_a_profile_of_another_colour_space_is_flagged() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert decoded(saved(COLOUR, "PNG", icc_profile=lab)).flags == ("icc_broken",)


def test_grey_with_an_rgb_profile_stays_grey() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_colours(decoded(saved(GREY, "PNG", icc_profile=profile)), centres(greys()), 1)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_without_profile_looks_like_its_picture(file_format: str) -> None:
    image = decoded(saved(COLOUR.convert("CMYK"), file_format, **(LOSSY if file_format == "JPEG" else {})))
    assert_colours(image, list(PATCHES), 4)
    assert "cmyk_without_profile" in image.flags


def test_lab_tiff_is_converted() -> None:
    lab = ImageCms.profileToProfile(
        COLOUR, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    assert_colours(decoded(saved(lab, "TIFF")), list(PATCHES), 8)  # 8-bit LAB is coarse


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_animations_give_their_first_frame(file_format: str) -> None:
    others = [Image.new("RGB", COLOUR.size, (level, 0, 0)) for level in (10, 20)]
    options: dict[str, object] = {"AVIF": LOSSY, "WEBP": {"lossless": True}}.get(file_format, {})
    image = decoded(saved(COLOUR, file_format, save_all=True, append_images=others, **options))
    assert_colours(image, list(PATCHES), 4)
    assert image.flags == ("first_frame",)


def test_mpo_counts_as_jpeg() -> None:
    image = decoded(saved(COLOUR, "MPO", save_all=True, append_images=[COLOUR], **LOSSY))
    assert image.format == "jpeg"
    assert_colours(image, list(PATCHES), 3)


def test_limits_are_judged_by_the_header() -> None:
    with pytest.raises(TooManyPixels, match="10000 x 8000"):
        decoded(_png(8, 2, b"", 10_000, 8_000))
    for width, height in ((10_000, 10_000), (20_000, 15_000), (60_000, 60_000)):  # past both alarms of Pillow
        with pytest.raises(TooManyPixels):
            decoded(_png(8, 2, b"", width, height))
    body = saved(COLOUR, "PNG")
    pixels = COLOUR.width * COLOUR.height
    assert decoded(body, DecodeLimits(max_pixels=pixels, max_decoded_bytes=3 * pixels)).format == "png"
    with pytest.raises(TooManyPixels):
        decoded(body, DecodeLimits(max_pixels=pixels - 1))
    with pytest.raises(TooManyPixels, match="bytes"):
        decoded(body, DecodeLimits(max_decoded_bytes=3 * pixels - 1))


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (500, 31)])
def test_tiny_pictures_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(TooSmall):
        decoded(saved(Image.new("RGB", size), "PNG"))
    assert decoded(saved(Image.new("RGB", size), "PNG"), DecodeLimits(min_side=1)).pixels.shape[1::-1] == size


@pytest.mark.parametrize(
    "body",
    [b"", b"hello, this is text named .jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"PK\x03\x04"],
)
def test_what_is_no_image_is_unsupported(body: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        decoded(body)


@pytest.mark.parametrize("file_format", ["ICO", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "EPS"])
def test_formats_off_the_list_are_unsupported(file_format: str) -> None:
    with pytest.raises(UnsupportedFormat):
        decoded(saved(COLOUR, file_format))


NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(file_format: str, share: float) -> None:
    body = saved(NOISE, file_format)
    with pytest.raises(CorruptImage):
        decoded(body[: int(len(body) * share)])


def test_a_tiff_whose_strips_do_not_cover_it_is_refused() -> None:
    """A few hundred bytes must not stand for fifty million black pixels."""
    body = bytearray(saved(COLOUR, "TIFF"))
    height = body.index(struct.pack("<HHI", 257, 4, 1)) + 8
    assert struct.unpack_from("<I", body, height) == (COLOUR.height,)
    struct.pack_into("<I", body, height, 500_000)
    with pytest.raises(CorruptImage, match="cover"):
        decoded(bytes(body))


def test_a_text_bomb_in_a_png_is_refused() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("bomb", "a" * 3_000_000, zip=True)
    with pytest.raises(CorruptImage):
        decoded(saved(COLOUR, "PNG", pnginfo=text))


def test_what_hangs_behind_the_picture_is_not_looked_at() -> None:
    assert_colours(decoded(saved(COLOUR, "PNG") + b"PK\x03\x04 a zip archive"), list(PATCHES), 0)


def _outcome(body: bytes) -> SourceImage | None:
    try:
        return decoded(body)
    except SourceError:
        return None


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"])
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_random_bytes_give_typed_errors_only(tail: bytes, head: bytes) -> None:
    image = _outcome(head + tail)
    assert image is None or image.pixels.shape[2] == 3


VALID = {
    file_format: saved(NOISE, file_format) for file_format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
}


@given(
    st.sampled_from(sorted(VALID)), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=6)
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_flipped_bits_give_a_picture_or_a_typed_error(file_format: str, flips: list[tuple[float, int]]) -> None:
    body = bytearray(VALID[file_format])
    for share, mask in flips:
        # Squared: headers lie in front and deserve most of the damage.
        body[int(share * share * (len(body) - 1))] ^= mask
    image = _outcome(bytes(body))
    assert image is None or (image.pixels.ndim == 3 and image.pixels.dtype == np.uint8)


def test_decoding_does_not_depend_on_the_file_name_or_type() -> None:
    body = io.BytesIO(saved(COLOUR, "WEBP", lossless=True)).getvalue()
    fetched = FetchedBytes(body=body, sha256="00", content_type="image/jpeg")
    assert decode(fetched, "front").format == "webp"
