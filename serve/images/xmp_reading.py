"""Reads any XMP packet, whoever wrote it: properties written as elements or as attributes, plain or in a list."""

from xml.etree import ElementTree as ET

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
#: Larger packets are nobody's honest metadata.
LARGEST = 2**20
_MOST_PROPERTIES = 500


def properties(packet: bytes) -> dict[str, tuple[str, ...]]:
    """Texts by `{namespace}name`; empty for what is no XMP, is larger than `LARGEST`, or has a document type."""
    if len(packet) > LARGEST or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return {}
    try:
        root = ET.fromstring(packet.strip(b"\0 \r\n").decode())  # noqa: S314 - entities were refused above
    except (ET.ParseError, ValueError):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for about in root.iter(f"{_RDF}Description"):
        for name, text in about.attrib.items():
            if not name.startswith(_RDF):
                found.setdefault(name, (text,))
        for child in about:
            items = [(item.text or "").strip() for item in child.iter(f"{_RDF}li")]
            found.setdefault(child.tag, tuple(items or [(child.text or "").strip()]))
        if len(found) > _MOST_PROPERTIES:
            break
    return found
