"""What a source file says of its rights and its origin: IPTC and XMP fields, EXIF and PNG texts, Content Credentials.

Texts of strangers: cleaned of control characters, cut, and few. Reading them never fails; what cannot be read is not
there. Sources: IPTC Photo Metadata Standard 2023.1 (XMP and IIM names), EXIF 2.32, C2PA 2.1 (places in files).
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from xml.etree import ElementTree as ET

from PIL import Image, IptcImagePlugin, JpegImagePlugin, TiffImagePlugin

from serve.images.rights import LONGEST

#: Names of the notices. The first five are the fields of `SourceRights`, of which all but `creator` have one text.
NAMES = (
    "creator",
    "copyright_notice",
    "credit",
    "usage_terms",
    "web_statement",
    # A code of the IPTC vocabulary DigitalSourceType.
    "digital_source_type",
    # "present" where the file carries a C2PA manifest; it is not verified.
    "c2pa",
)
MOST_CREATORS = 8
_MOST_XMP = 2**18
_DC, _PHOTOSHOP = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/photoshop/1.0/"
_RIGHTS, _IPTC = "http://ns.adobe.com/xap/1.0/rights/", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP_FIELDS = {
    f"{{{_DC}}}creator": "creator",
    f"{{{_DC}}}rights": "copyright_notice",
    f"{{{_PHOTOSHOP}}}Credit": "credit",
    f"{{{_RIGHTS}}}UsageTerms": "usage_terms",
    f"{{{_RIGHTS}}}WebStatement": "web_statement",
    f"{{{_IPTC}}}DigitalSourceType": "digital_source_type",
}
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_IIM_FIELDS = {(2, 80): "creator", (2, 116): "copyright_notice", (2, 110): "credit"}
_EXIF_FIELDS = {0x013B: "creator", 0x8298: "copyright_notice"}
_PNG_FIELDS = {"Author": "creator", "Copyright": "copyright_notice"}
_C2PA_PLACES = {
    "JPEG": b"c2pa",
    "MPO": b"c2pa",
    "PNG": b"caBX",
    "WEBP": b"C2PA",
    "TIFF": b"c2pa",
    "AVIF": bytes.fromhex("d8fec3d61b0e483c92975828877ec481"),
    "HEIF": bytes.fromhex("d8fec3d61b0e483c92975828877ec481"),
}

_WITH_IIM = (JpegImagePlugin.JpegImageFile, TiffImagePlugin.TiffImageFile)

Found = dict[str, tuple[str, ...]]


def read_notices(body: bytes, image: Image.Image) -> Found:
    """The notices of an opened and loaded file; XMP goes before IIM, that before EXIF and PNG texts."""
    readers: tuple[Callable[[], Iterable[tuple[str, object]]], ...] = (
        lambda: _from_xmp(image.info.get("xmp")),
        lambda: _from_iim(image),
        lambda: ((name, image.getexif().get(tag)) for tag, name in _EXIF_FIELDS.items()),
        lambda: ((name, image.info.get(key)) for key, name in _PNG_FIELDS.items()),
    )
    found: Found = {}
    for read in readers:
        try:
            fields = cleaned(_grouped(read()))
        except Exception:  # noqa: BLE001, S112 - broken metadata must not cost the picture
            continue
        found = fields | found
    if _has_c2pa(body, image.format or ""):
        found["c2pa"] = ("present",)
    return found


def cleaned(raw: Mapping[str, Iterable[object]]) -> Found:
    """Known names, readable texts, nothing long, nothing empty. Also for what a decode worker says it has read."""
    found: Found = {}
    for name in NAMES:
        texts = tuple(text for value in raw.get(name, ()) if (text := _text(value)))
        if name == "digital_source_type":
            texts = tuple(code for text in texts if (code := text.removeprefix(_SOURCE_TYPE)).isalpha())
        if texts:
            found[name] = texts[: MOST_CREATORS if name == "creator" else 1]
    return found


def _grouped(pairs: Iterable[tuple[str, object]]) -> dict[str, list[object]]:
    grouped: dict[str, list[object]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _text(value: object) -> str:
    """One line of readable text: no control, format, private or lone surrogate characters."""
    if isinstance(value, bytes):
        value = value[: 8 * LONGEST].decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    plain = unicodedata.normalize("NFC", value[: 4 * LONGEST])
    kept = ("" if unicodedata.category(letter)[0] == "C" and letter not in "\t\n\r" else letter for letter in plain)
    return " ".join("".join(kept).split())[:LONGEST].rstrip()


def _from_xmp(packet: object) -> Iterable[tuple[str, object]]:
    # The parser must never meet a document type: entities are how small XML grows large.
    if not isinstance(packet, bytes) or len(packet) > _MOST_XMP or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return
    # As text: in another encoding the words above would look otherwise.
    root = ET.fromstring(packet.strip(b"\0 \n").decode("utf-8"))  # noqa: S314
    for about in root.iter(f"{{{_RDF}}}Description"):
        for tag, name in _XMP_FIELDS.items():
            yield name, about.get(tag)
            for element in about.findall(tag):
                entries = list(element.iter(f"{{{_RDF}}}li"))
                yield from ((name, entry.text) for entry in entries or [element])


def _from_iim(image: Image.Image) -> Iterable[tuple[str, object]]:
    fields = IptcImagePlugin.getiptcinfo(image) or {} if isinstance(image, _WITH_IIM) else {}
    for key, name in _IIM_FIELDS.items():
        value = fields.get(key)
        yield from ((name, one) for one in (value if isinstance(value, list) else [value]))


def _has_c2pa(body: bytes, name: str) -> bool:
    mark = _C2PA_PLACES.get(name)
    return mark is not None and mark in body and (name in {"PNG", "AVIF", "HEIF"} or b"jumb" in body)
