"""Rights fields of source photos: read from where they stand, cleaned, cut, and never a reason to fail."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from serve.images.decoding import decode
from serve.images.notices import MOST_CREATORS, NAMES, cleaned
from serve.images.rights import LONGEST, SourceRights, rights_of
from serve.interfaces import FetchedBytes
from tests.support.pictures import patches, saved

COLOUR = Image.fromarray(patches())
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 photoshop:Credit="Agency &lt;A&gt;" xmpRights:WebStatement="https://example.org/rights">
<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li>Grace</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Ada</rdf:li></rdf:Alt></dc:rights>
<xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">ask first</rdf:li></rdf:Alt></xmpRights:UsageTerms>
<e:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture</e:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()
WHOLE = SourceRights(
    creator=("Ada", "Grace"),
    copyright_notice="(c) Ada",
    credit="Agency <A>",
    usage_terms="ask first",
    web_statement="https://example.org/rights",
)


def notices(body: bytes) -> dict[str, tuple[str, ...]]:
    return dict(decode(FetchedBytes(body=body, sha256=""), "front").notices)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_is_read_from_every_format(file_format: str) -> None:
    options: dict[str, object] = {"xmp": PACKET}
    if file_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", PACKET.decode())
        options = {"pnginfo": text}
    elif file_format == "TIFF":
        options = {"tiffinfo": {700: PACKET}}
    found = notices(saved(COLOUR, file_format, **options))
    assert rights_of(found) == WHOLE
    assert found["digital_source_type"] == ("digitalCapture",)


def test_exif_and_png_texts() -> None:
    exif = Image.Exif()
    exif[0x013B], exif[0x8298], exif[0x010E] = "Ada", "(c) Ada", "a street where somebody lives"
    assert notices(saved(COLOUR, "JPEG", exif=exif)) == {"creator": ("Ada",), "copyright_notice": ("(c) Ada",)}
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Grace")
    text.add_text("Comment", "a secret")
    assert notices(saved(COLOUR, "PNG", pnginfo=text)) == {"creator": ("Grace",)}


def test_iim_of_newspapers() -> None:
    records = b"".join(
        b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(value)) + value
        for number, value in ((80, b"Ada"), (110, b"Agency"), (116, b"(c) Ada"), (90, b"a town"))
    )
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + bytes(len(records) % 2)
    segment = b"Photoshop 3.0\0" + block
    body = saved(COLOUR, "JPEG")
    body = body[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + body[2:]
    assert notices(body) == {"creator": ("Ada",), "copyright_notice": ("(c) Ada",), "credit": ("Agency",)}


def test_xmp_goes_before_exif() -> None:
    exif = Image.Exif()
    exif[0x013B] = "somebody else"
    assert notices(saved(COLOUR, "JPEG", exif=exif, xmp=PACKET))["creator"] == ("Ada", "Grace")


def test_content_credentials_are_noted() -> None:
    body = saved(COLOUR, "JPEG")
    box = b"JP\0\1\0\0\0\1" + b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"
    assert "c2pa" not in notices(body)
    found = notices(body[:2] + b"\xff\xeb" + struct.pack(">H", len(box) + 2) + box + body[2:])
    assert found == {"c2pa": ("present",)}


@pytest.mark.parametrize(
    "packet",
    [
        b"<x",
        PACKET[:300],
        PACKET.replace(b"<x:xmpmeta", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x:xmpmeta"),
        PACKET.replace(b"(c) Ada", b"a" * 300_000),
        PACKET.decode().encode("utf-16"),
        b"<a>" * 5_000,
    ],
    ids=range(6),
)
def test_broken_and_hostile_packets_give_nothing(packet: bytes) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet.decode("latin-1"))
    assert notices(saved(COLOUR, "PNG", pnginfo=text)) == {}


def test_texts_are_cleaned_and_cut() -> None:
    found = cleaned(
        {
            "creator": [f"name {number}" for number in range(30)] + [None, b"\xff\xfe"],
            "credit": ["a\x00b\x1b[31m\u202e c\n\td " + "e" * 9_000, "second"],
            "usage_terms": ["  \x07 "],
            "digital_source_type": ["http://cv.iptc.org/newscodes/digitalsourcetype/../x"],
            "gps": ["52.1, 4.3"],
        }
    )
    assert set(found) == {"creator", "credit"}
    assert len(found["creator"]) == MOST_CREATORS
    assert found["credit"][0].startswith("ab[31m c d eee")
    assert len(found["credit"][0]) == LONGEST


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.text() | st.binary() | st.none() | st.integers())))
def test_whatever_is_read_comes_out_clean(raw: dict[str, list[object]]) -> None:
    found = cleaned(raw)
    assert cleaned(found) == found
    assert all(text and len(text) <= LONGEST and text.isprintable() for texts in found.values() for text in texts)
    assert isinstance(rights_of(found), SourceRights)


def test_without_notices_there_are_no_rights() -> None:
    buffer = io.BytesIO(saved(COLOUR, "PNG"))
    assert notices(buffer.getvalue()) == {}
    assert not rights_of({})
