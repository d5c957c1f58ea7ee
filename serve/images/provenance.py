"""What an image says of its own making: an XMP packet in the file, written last and read back from the final bytes.

Standards: XMP (ISO 16684-1); IPTC Photo Metadata, property `DigitalSourceType` with the NewsCodes vocabulary of the
same name; GB 45438 for `AIGC`; Dublin Core, Photoshop and XMP Rights for whose the photo is. Models, seed, key and the
marks in the pixels stand in a namespace of our own.
"""

import io
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from PIL import Image

from serve.images import aigc as gb
from serve.images.aigc import Aigc, parse_aigc
from serve.images.rights import SourceRights
from serve.schemas.result import ModelRef

SOURCE_TYPE_URI = "http://cv.iptc.org/newscodes/digitalsourcetype/"
#: The codes of the IPTC vocabulary that an output of ours can have.
SOURCE_TYPES = frozenset(
    {
        "algorithmicMedia",
        "algorithmicallyEnhanced",
        "composite",
        "compositeSynthetic",
        "compositeWithTrainedAlgorithmicMedia",
        "digitalCapture",
        "humanEdits",
        "trainedAlgorithmicMedia",
    }
)
_X = "adobe:ns:meta/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_VITRINE = "urn:vitrine:provenance:1#"
_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_PREFIXES = {
    "x": _X,
    "rdf": _RDF,
    "Iptc4xmpExt": _IPTC,
    "xmp": _XMP,
    "vitrine": _VITRINE,
    "dc": _DC,
    "photoshop": _PHOTOSHOP,
    "xmpRights": _RIGHTS,
    gb.PREFIX: gb.NAMESPACE,
}
#: Properties as they stand in files of anybody.
SOURCE_TYPE = f"{{{_IPTC}}}DigitalSourceType"
CREATOR, NOTICE = f"{{{_DC}}}creator", f"{{{_DC}}}rights"
CREDIT = f"{{{_PHOTOSHOP}}}Credit"
USAGE_TERMS, WEB_STATEMENT = f"{{{_RIGHTS}}}UsageTerms", f"{{{_RIGHTS}}}WebStatement"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
for _prefix, _uri in _PREFIXES.items():
    ET.register_namespace(_prefix, _uri)
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_TAIL = '<?xpacket end="r"?>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How an image came to be."""

    #: A code of the IPTC vocabulary, such as `algorithmicallyEnhanced`.
    digital_source_type: str
    models: tuple[ModelRef, ...]
    seed: int
    #: Object key of the image.
    key: str
    creator_tool: str = "Vitrine"
    #: The implicit mark of GB 45438, where a channel asks for it.
    aigc: Aigc | None = None
    #: What the visible label says, where there is one.
    label: str | None = None
    #: Payload of the invisible watermark, 0..2**32-1, where there is one.
    watermark: int | None = None
    #: Rights fields of the source photo, where the metadata policy keeps them.
    rights: SourceRights | None = None
    #: sha256 of the source file, and the IPTC code that it named, where the metadata policy keeps provenance.
    source: str | None = None
    source_type: str | None = None

    def __post_init__(self) -> None:
        if self.digital_source_type not in SOURCE_TYPES:
            raise ValueError(f"not an IPTC digital source type: {self.digital_source_type}")


def xmp_packet(provenance: Provenance) -> bytes:
    """The XMP packet, UTF-8; the same provenance gives the same bytes."""
    meta = ET.Element(f"{{{_X}}}xmpmeta")
    rdf = ET.SubElement(meta, f"{{{_RDF}}}RDF")
    about = ET.SubElement(rdf, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""})
    for name, text in (
        (SOURCE_TYPE, SOURCE_TYPE_URI + provenance.digital_source_type),
        (f"{{{_XMP}}}CreatorTool", provenance.creator_tool),
        (f"{{{_VITRINE}}}Key", provenance.key),
        (f"{{{_VITRINE}}}Seed", str(provenance.seed)),
    ):
        ET.SubElement(about, name).text = text
    sequence = ET.SubElement(ET.SubElement(about, f"{{{_VITRINE}}}Models"), f"{{{_RDF}}}Seq")
    for model in provenance.models:
        entry = ET.SubElement(sequence, f"{{{_RDF}}}li", {f"{{{_RDF}}}parseType": "Resource"})
        ET.SubElement(entry, f"{{{_VITRINE}}}Name").text = model.name
        ET.SubElement(entry, f"{{{_VITRINE}}}Version").text = model.version
    _add_marks(about, provenance)
    if provenance.rights:
        _add_rights(about, provenance.rights)
    return (_HEAD + ET.tostring(meta, encoding="unicode") + _TAIL).encode()


def _add_marks(about: ET.Element, provenance: Provenance) -> None:
    for name, value in (
        (f"{{{gb.NAMESPACE}}}AIGC", provenance.aigc.json() if provenance.aigc else None),
        (f"{{{_VITRINE}}}Label", provenance.label),
        (f"{{{_VITRINE}}}Source", provenance.source),
        (f"{{{_VITRINE}}}SourceType", provenance.source_type),
        (f"{{{_VITRINE}}}Watermark", None if provenance.watermark is None else f"{provenance.watermark:08x}"),
    ):
        if value is not None:
            ET.SubElement(about, name).text = value


def _add_rights(about: ET.Element, rights: SourceRights) -> None:
    if rights.creator:
        names = ET.SubElement(ET.SubElement(about, CREATOR), f"{{{_RDF}}}Seq")
        for name in rights.creator:
            ET.SubElement(names, f"{{{_RDF}}}li").text = name
    for place, text in ((NOTICE, rights.copyright_notice), (USAGE_TERMS, rights.usage_terms)):
        if text is not None:
            either = ET.SubElement(ET.SubElement(about, place), f"{{{_RDF}}}Alt")
            ET.SubElement(either, f"{{{_RDF}}}li", {_LANGUAGE: "x-default"}).text = text
    for place, text in ((CREDIT, rights.credit), (WEB_STATEMENT, rights.web_statement)):
        if text is not None:
            ET.SubElement(about, place).text = text


def parse_packet(packet: bytes) -> Provenance | None:
    """The provenance in an XMP packet; None if it is not ours or not whole."""
    # The parser must never meet a document type: entities are how small XML grows large.
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None
    try:
        about = ET.fromstring(packet.strip(b"\0 \n").decode()).find(f".//{{{_RDF}}}Description")  # noqa: S314
        if about is None:
            return None
        models = tuple(
            ModelRef(name=_text(entry, _VITRINE, "Name"), version=_text(entry, _VITRINE, "Version"))
            for entry in about.iterfind(f"{{{_VITRINE}}}Models/{{{_RDF}}}Seq/{{{_RDF}}}li")
        )
        return Provenance(
            digital_source_type=_text(about, _IPTC, "DigitalSourceType").removeprefix(SOURCE_TYPE_URI),
            models=models,
            seed=int(_text(about, _VITRINE, "Seed")),
            key=_text(about, _VITRINE, "Key"),
            creator_tool=_text(about, _XMP, "CreatorTool"),
            aigc=_aigc(about),
            label=_optional(about, f"{{{_VITRINE}}}Label"),
            watermark=None if (payload := _optional(about, f"{{{_VITRINE}}}Watermark")) is None else int(payload, 16),
            rights=_rights(about) or None,
            source=_optional(about, f"{{{_VITRINE}}}Source"),
            source_type=_optional(about, f"{{{_VITRINE}}}SourceType"),
        )
    except (ET.ParseError, ValueError):
        return None


def read_provenance(body: bytes) -> Provenance | None:
    """Read the provenance back from the final bytes of a JPEG, PNG, WebP or AVIF file; None if it has none."""
    try:
        with Image.open(io.BytesIO(body), formats=_FORMATS) as image:
            packet = image.info.get("xmp")
    except Exception:  # noqa: BLE001 - decoders raise anything on damaged files
        return None
    return parse_packet(packet) if isinstance(packet, bytes) else None


def _aigc(about: ET.Element) -> Aigc | None:
    text = _optional(about, f"{{{gb.NAMESPACE}}}AIGC")
    if text is None:
        return None
    if (fields := parse_aigc(text)) is None:
        raise ValueError("AIGC is not whole")
    return fields


def _rights(about: ET.Element) -> SourceRights:
    item = f"{{{_RDF}}}li"
    return SourceRights(
        creator=tuple(name.text or "" for name in about.iterfind(f"{CREATOR}/{{{_RDF}}}Seq/{item}")),
        copyright_notice=_optional(about, f"{NOTICE}/{{{_RDF}}}Alt/{item}"),
        credit=_optional(about, CREDIT),
        usage_terms=_optional(about, f"{USAGE_TERMS}/{{{_RDF}}}Alt/{item}"),
        web_statement=_optional(about, WEB_STATEMENT),
    )


def _optional(parent: ET.Element, path: str) -> str | None:
    found = parent.find(path)
    return None if found is None else found.text or ""


def _text(parent: ET.Element, namespace: str, name: str) -> str:
    found = parent.find(f"{{{namespace}}}{name}")
    if found is None:
        raise ValueError(f"{name} is missing")
    return found.text or ""
