"""What an image tells of itself: ours, foreign, edited, hostile."""

import io
import random
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from serve.catalog.marks import Marks
from serve.images.encoding import encode
from serve.images.finishing import Finisher
from serve.images.inspection import MEANINGS, inspect
from serve.images.leftovers import leftovers, tail_bytes
from serve.images.provenance import SOURCE_TYPES, Provenance
from serve.images.xmp_reading import properties
from serve.interfaces import Picture
from serve.schemas.result import ModelRef
from tests.support.photos import huge_header
from tests.support.pictures import patches, saved

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
FORMATS = ["jpeg", "png", "webp", "avif"]
PROVENANCE = Provenance(
    digital_source_type="compositeWithTrainedAlgorithmicMedia",
    models=(ModelRef(name="style", version="2"),),
    seed=3,
    key="shop/abcdef.jpg",
)
#: As other programs write it: properties as attributes, a foreign code, rights in a list.
FOREIGN = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:t="http://www.tc260.org.cn/ns/AIGC/1.0/">
<dc:creator><rdf:Seq><rdf:li>Ana</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>
<t:AIGC>{"Label":"2","ContentProducer":"p","ProduceID":"7","ReservedCode1":"","ContentPropagator":"q",
"PropagateID":"8","ReservedCode2":""}</t:AIGC>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


@pytest.fixture(scope="module")
def photo() -> Picture:
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    return np.asarray(small.resize((440, 420), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", FORMATS)
def test_images_of_ours_tell_all(name: str, photo: Picture) -> None:
    marks = Marks(label=("AI生成", ""), aigc_producer="Studio", watermark="code")
    found = inspect(Finisher().finish(photo, name, PROVENANCE, marks).body)
    assert found is not None
    assert (found.format, found.width, found.height, found.mode) == (name, 440, 420, "RGB")
    assert found.profile is not None
    assert "sRGB" in found.profile
    assert found.meaning == "a photo with parts that a trained model drew"
    assert found.provenance is not None
    assert (found.provenance.key, found.provenance.seed, found.provenance.models) == (
        PROVENANCE.key,
        PROVENANCE.seed,
        PROVENANCE.models,
    )
    assert found.aigc is not None
    assert found.aigc.content_producer == "Studio"
    assert found.label_stands_out
    assert found.watermark_fits
    assert (found.leftovers, found.damage, found.credentials) == ((), None, None)


def test_every_code_that_we_write_has_words() -> None:
    assert set(MEANINGS) >= SOURCE_TYPES


def test_a_watermark_of_another_key_is_told(photo: Picture) -> None:
    mine, other = (Provenance(digital_source_type="composite", models=(), seed=1, key=key) for key in ("a", "b"))
    marked = Finisher().finish(photo, "png", mine, Marks(watermark="code")).body
    with Image.open(io.BytesIO(marked)) as image:
        pixels = np.asarray(image)
    found = inspect(Finisher().finish(pixels, "png", other, Marks()).body)
    assert found is not None
    assert found.watermark_fits is False


def test_a_label_that_was_painted_over_is_told(photo: Picture) -> None:
    labelled = Finisher().finish(photo, "png", PROVENANCE, Marks(label=("AI生成", ""))).body
    with Image.open(io.BytesIO(labelled)) as image:
        packet, size = image.info["xmp"], image.size
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet.decode())
    found = inspect(saved(Image.new("RGB", size, "grey"), "PNG", pnginfo=text))
    assert found is not None
    assert found.label_stands_out is False


def test_a_label_in_letters_that_we_lack_is_not_judged(photo: Picture) -> None:
    told = Provenance(digital_source_type="composite", models=(), seed=1, key="k", label="人工智能")
    found = inspect(encode(photo, "png", told).body)
    assert found is not None
    assert found.label_stands_out is None


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_foreign_metadata_is_read(format: str) -> None:  # noqa: A002
    found = inspect(saved(Image.fromarray(patches()), format, xmp=FOREIGN))
    assert found is not None
    assert found.source_type == "trainedAlgorithmicMedia"
    assert found.meaning == "made by a trained model"
    assert found.rights.creator == ("Ana", "Bo")
    assert found.aigc is not None
    assert (found.aigc.label, found.aigc.propagate_id) == ("2", "8")
    assert found.provenance is None
    assert found.watermark_fits is None


def jpeg_with(**options: object) -> bytes:
    return saved(Image.fromarray(patches()), "JPEG", **options)


def exif(*, gps: bool = False) -> Image.Exif:
    data = Image.Exif()
    data[0x010F] = "Camera"
    if gps:
        data.get_ifd(0x8825)[1] = "N"
    return data


def png_text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "made with love")
    return text


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (jpeg_with(), set()),
        (jpeg_with(progressive=True), set()),
        (jpeg_with(comment=b"hello"), {"comment"}),
        (jpeg_with(exif=exif()), {"exif"}),
        (jpeg_with(exif=exif(gps=True)), {"exif", "gps"}),
        (jpeg_with() + b"PK\x03\x04 zip", {"tail 8 bytes"}),
        (jpeg_with(progressive=True) + b"tail", {"tail 4 bytes"}),
        (saved(Image.fromarray(patches()), "PNG", pnginfo=png_text()), {"text"}),
        (saved(Image.fromarray(patches()), "PNG", exif=exif()), {"exif"}),
        (saved(Image.fromarray(patches()), "PNG") + b"x" * 9, {"tail 9 bytes"}),
        (saved(Image.fromarray(patches()), "WEBP", exif=exif(gps=True)), {"exif", "gps"}),
        (saved(Image.fromarray(patches()), "WEBP") + b"x", {"tail 1 bytes"}),
        (saved(Image.fromarray(patches()), "AVIF", exif=exif()), {"exif"}),
        (saved(Image.fromarray(patches()), "AVIF") + b"x" * 7, {"tail 7 bytes"}),
    ],
)
def test_what_was_left_in_a_file_is_named(body: bytes, named: set[str]) -> None:
    assert set(leftovers(body)) == named
    found = inspect(body)
    assert found is not None
    assert set(found.leftovers) == named


def test_a_polyglot_is_seen() -> None:
    archive = b"PK\x05\x06" + bytes(18)
    assert leftovers(saved(Image.fromarray(patches()), "PNG") + archive) == ("tail 22 bytes",)


@pytest.mark.parametrize("body", [b"", b"no image", b"%PDF-1.7", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image_is_none(body: bytes) -> None:
    assert inspect(body) is None


def test_a_pixel_bomb_is_not_unpacked() -> None:
    found = inspect(huge_header(9000, 8000))
    assert found is not None
    assert (found.width, found.damage, found.watermark) == (9000, "too_many_pixels", None)
    assert inspect(huge_header()) is None


def test_a_cut_file_is_damaged() -> None:
    body = saved(Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)), "JPEG")
    found = inspect(body[: len(body) // 2])
    assert found is not None
    assert found.damage == "corrupt_image"


def test_a_text_bomb_is_no_image() -> None:
    body = bytearray(saved(Image.fromarray(patches()), "PNG"))
    packed = b"Comment\0\0" + zlib.compress(bytes(200 * 2**20))
    chunk = b"zTXt" + packed
    bomb = body[:33] + len(packed).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + body[33:]
    assert inspect(bytes(bomb)) is None


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF", b"\0\0\0\x18ftypavif"]),
)
@STEADY
def test_any_bytes_can_be_looked_at(tail: bytes, head: bytes) -> None:
    inspect(head + tail)
    assert 0 <= tail_bytes(head + tail) <= len(head + tail)
    assert isinstance(leftovers(head + tail), tuple)
    properties(tail)


@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bits_and_cuts_never_raise(name: str) -> None:
    whole = saved(Image.fromarray(patches()), name.upper(), xmp=FOREIGN, exif=exif(gps=True))
    rng = random.Random(3)
    for _ in range(40):
        body = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
        for _ in range(rng.randrange(1, 6)):
            if body:
                body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        inspect(bytes(body))


@pytest.mark.parametrize(
    "packet",
    [b"", b"<a>", b"<!DOCTYPE x []>" + FOREIGN, b" " * 2**20 + FOREIGN, FOREIGN[:-60], b"\xff\xfe", b"<a/>" * 3],
)
def test_packets_that_are_no_honest_xmp_say_nothing(packet: bytes) -> None:
    assert properties(packet) == {}
