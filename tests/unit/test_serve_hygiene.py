"""Nothing of a source file but its pixels reaches a finished one, whatever the source carries and wherever."""

import io
import struct

import pytest
from PIL import Image, PngImagePlugin

from serve.images.decoding import decode
from serve.images.encoding import encode
from serve.images.provenance import Provenance
from serve.interfaces import FetchedBytes
from tests.support.pictures import patches, saved

SECRETS = (b"SECRETdescription", b"SECRETcomment", b"SECRETxmp", b"SECRETtail", b"SECRETmaker", b"SECRETprofile")
COLOUR = Image.fromarray(patches())
PROVENANCE = Provenance(digital_source_type="algorithmicallyEnhanced", models=(), seed=1, key="k/1")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:p="urn:p" p:note="SECRETxmp"/></rdf:RDF></x:xmpmeta>'
)


def _exif() -> Image.Exif:
    """A description, a maker's note, a place in Berlin, and the thumbnail that phones add."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0110] = "SECRETdescription", "Phone"
    exif.get_ifd(0x8769)[0x927C] = b"SECRETmaker"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (52.0, 31.0, 12.0), "E", (13.0, 24.0, 36.0)
    return exif


def _source(file_format: str) -> bytes:
    options: dict[str, object] = {"exif": _exif(), "xmp": XMP}
    match file_format:
        case "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_text("Comment", "SECRETcomment", zip=True)
            text.add_itxt("XML:com.adobe.xmp", XMP.decode())
            options = {"pnginfo": text, "exif": _exif()}
        case "JPEG":
            options["comment"] = b"SECRETcomment"
        case "GIF":
            options = {"comment": b"SECRETcomment"}
        case "TIFF":
            options = {"tiffinfo": {270: "SECRETdescription", 700: XMP}}
        case "BMP":
            options = {}
    body = saved(COLOUR, file_format, **options)
    if file_format == "JPEG":
        icc = b"ICC_PROFILE\0\1\1SECRETprofile" + bytes(100)
        body = body[:2] + b"\xff\xe2" + struct.pack(">H", len(icc) + 2) + icc + body[2:]
    return body + b"SECRETtail PK\x03\x04"


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_nothing_of_the_source_but_its_pixels_survives(file_format: str, output: str) -> None:
    body = _source(file_format)
    assert any(secret in body for secret in SECRETS)
    source = decode(FetchedBytes(body=body, sha256=""), "front")
    finished = encode(source.pixels, output, PROVENANCE).body
    assert [secret for secret in SECRETS if secret in finished] == []
    with Image.open(io.BytesIO(finished)) as image:
        image.load()
        assert dict(image.getexif()) == {}
        assert not {"comment", "exif", "Comment", "photoshop", "mp"} & set(image.info)
        assert "icc_profile" in image.info
        assert b"sRGB" in image.info["icc_profile"].replace(b"\0", b"")
        assert image.format == output.upper()


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
def test_the_same_pixels_of_another_file_give_the_same_bytes(output: str) -> None:
    """What a file carries beside its pixels cannot show in any way: not in a length, not in an order."""
    plain = decode(FetchedBytes(body=saved(COLOUR, "PNG"), sha256=""), "front")
    laden = decode(FetchedBytes(body=_source("PNG"), sha256=""), "front")
    assert encode(plain.pixels, output, PROVENANCE).body == encode(laden.pixels, output, PROVENANCE).body
