"""Checks before a decoder sees a file: any bytes give a header within the limits or a typed refusal, in few steps."""

import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve import errors
from serve.images import header, unpacking, walks
from serve.images.header import FORMATS, HEIF, check_header, sniff
from serve.images.limits import DecodeLimits, Refusal
from tests.support.hostile import chunk, gif, handmade, honest, jpeg_of, page, png, tiff, webp

LIMITS = DecodeLimits()
ALL = (*FORMATS, HEIF)
STARTS = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"GIF89a", b"RIFF\xff\0\0\0WEBPVP8X", b"II*\0\x08\0\0\0"]
STARTS += [b"MM\0+\0\x08\0\0", b"BM", b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic", b""]


def refusal_of(body: bytes, limits: DecodeLimits = LIMITS) -> str | None:
    """The code of the refusal; None where the header is fine."""
    try:
        found = check_header(body, limits, ALL)
    except Refusal as error:
        return error.code
    assert found.format in ALL
    assert 0 <= found.claim.width * found.claim.height <= limits.max_pixels
    return None


@settings(deadline=None)
@given(st.sampled_from(STARTS), st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=60))
@example(b"MM\0+\0\x08\0\0", b"\0", 0, b"\x80" + bytes(6))
@example(b"II*\0\x08\0\0\0", b"\0\0\x08\0\0\0", 0, b"")
def test_any_bytes_give_a_header_or_a_typed_refusal(start: bytes, body: bytes, place: int, more: bytes) -> None:
    code = refusal_of(start + body[:place] + more + body[place:])
    assert code in {None, "corrupt_image", "unsupported_format", "too_many_pixels", "too_small", "decoder_memory"}


HONEST = honest()


@settings(deadline=None)
@given(st.sampled_from(sorted(HONEST)), st.data())
def test_any_change_of_an_honest_file_gives_a_header_or_a_typed_refusal(name: str, data: st.DataObject) -> None:
    """Numbers of the header are replaced by the largest and smallest ones, in either order of bytes."""
    body = bytearray(HONEST[name])
    place = data.draw(st.integers(0, min(len(body) - 8, 400)))
    value = data.draw(st.sampled_from([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
    body[place : place + 4] = struct.pack(data.draw(st.sampled_from(["<I", ">I"])), value)
    refusal_of(bytes(body))


@settings(deadline=None)
@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_sizes_in_headers_are_read_as_decoders_read_them(width: int, height: int) -> None:
    for body in (png(width=1, height=1), HONEST["jpeg"]):
        small = width & 0xFFFF, height & 0xFFFF
        changed = (
            jpeg_of(*small, body) if body[:2] == b"\xff\xd8" else body[:16] + struct.pack(">II", *small) + body[24:]
        )
        code = refusal_of(changed)
        if small[0] * small[1] > LIMITS.max_pixels:
            assert code == "too_many_pixels"


@pytest.mark.parametrize("name", sorted(HONEST))
def test_honest_files_pass(name: str) -> None:
    assert refusal_of(HONEST[name]) is None
    claim = check_header(HONEST[name], LIMITS, ALL).claim
    assert (claim.width, claim.height) in {(40, 48), (0, 0)}
    several = {"apng": 3, "gif": 3, "webp-animated": 3, "tiff-pages": 3}
    assert claim.frames == several.get(name, 1)


def test_the_format_is_that_of_the_bytes() -> None:
    assert {sniff(body) for body in HONEST.values()} == set(FORMATS)
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == HEIF
    assert sniff(b"\0\0\0\x1cftypisom\0\0\0\0isommp42") is None


def test_heic_without_its_extra_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal) as refusal:
        check_header(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf", LIMITS)
    assert refusal.value.code == "unsupported_format"
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    assert unpacking.supported() == FORMATS


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (png(chunk(b"tEXt", b"a\0" + b"b" * 900_000)), None),
        (png(chunk(b"tEXt", b"a\0" + b"b" * 600_000), chunk(b"tEXt", b"a\0" + b"b" * 600_000)), "corrupt_image"),
        (png(chunk(b"acTL", struct.pack(">II", 60_000, 0))), None),
        (png(chunk(b"acTL", struct.pack(">II", 70_000, 0))), "too_many_pixels"),
        (gif(1_000), None),
        (gif(70_000), "too_many_pixels"),
        (tiff(page(64, 64), page(64, 64), tail=bytes(12_288)), None),
        (tiff(*[page(64, 64)] * (walks.MOST_PAGES + 1), tail=bytes(12_288)), "corrupt_image"),
        (webp(b"VP8X", bytes(10), *[b"abcd" + bytes(4)] * 9), "too_small"),
        (webp(b"VP8X", bytes(10), *[b"abcd" + bytes(4)] * walks.MOST_BLOCKS), "corrupt_image"),
        (HONEST["jpeg-progressive"][:-2] + b"\xff\xda\0\2" * walks.MOST_SCANS, "corrupt_image"),
    ],
    ids=range(11),
)
def test_bounds(body: bytes, code: str | None) -> None:
    assert refusal_of(body) == code


def test_what_a_decoder_would_take_is_estimated() -> None:
    """A progressive JPEG is held as coefficients, of two bytes for each sample, beside the picture."""
    plain = check_header(HONEST["jpeg"], LIMITS).claim
    progressive = check_header(HONEST["jpeg-progressive"], LIMITS).claim
    assert (plain.working_bytes, progressive.working_bytes) == (4, 4 + 2 * 1.5)
    pixels = progressive.width * progressive.height
    assert refusal_of(HONEST["jpeg-progressive"], DecodeLimits(max_working_bytes=10 * pixels)) is None
    assert refusal_of(HONEST["jpeg-progressive"], DecodeLimits(max_working_bytes=10 * pixels - 1)) == "decoder_memory"


def test_every_refusal_has_an_error() -> None:
    """The words of the decode workers, which know none of our errors, are codes of errors."""
    known = {one.code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ServeError)}
    folder = Path(header.__file__).parent
    source = "".join((folder / name).read_text() for name in ("header.py", "walks.py", "unpacking.py", "worker.py"))
    found = {part.partition('"')[0] for part in source.split('Refusal("')[1:]}
    assert found
    assert found <= known


def test_the_handmade_files_are_looked_at_in_few_steps() -> None:
    codes = [refusal_of(body) for _, body in handmade()]
    assert codes.count(None) < len(codes) / 2
