"""Provenance: the packet, its reader, and hostile packets."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.catalog.operations import Recolor, Studio, Style
from serve.images.aigc import Aigc
from serve.images.provenance import SOURCE_TYPES, Provenance, parse_packet, read_provenance, xmp_packet
from serve.images.rights import LONGEST, MOST_CREATORS, SourceRights
from serve.schemas.result import ModelRef

STEADY = settings(deadline=None, derandomize=True)
# What XML 1.0 can carry; control characters and surrogates cannot be written.
TEXT = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc", "Cn")), max_size=40)
FIELD = st.none() | st.text(max_size=600)
RIGHTS = st.builds(
    SourceRights,
    creator=st.lists(st.text(max_size=40), max_size=4).map(tuple),
    copyright_notice=FIELD,
    credit=FIELD,
    usage_terms=FIELD,
    web_statement=FIELD,
)
PROVENANCE = st.builds(
    Provenance,
    digital_source_type=st.sampled_from(sorted(SOURCE_TYPES)),
    models=st.lists(st.builds(ModelRef, name=TEXT, version=TEXT), max_size=4).map(tuple),
    seed=st.integers(0, 2**64 - 1),
    key=TEXT,
    creator_tool=TEXT,
    aigc=st.none() | st.builds(Aigc, content_producer=TEXT, produce_id=TEXT),
    label=st.none() | TEXT,
    watermark=st.none() | st.integers(0, 2**32 - 1),
    rights=st.none() | RIGHTS.filter(bool),
    source=st.none() | TEXT,
    source_type=st.none() | TEXT,
)
EXAMPLE = Provenance(
    digital_source_type="algorithmicallyEnhanced",
    models=(ModelRef(name="grabcut", version="1"),),
    seed=7,
    key="shop/ab/cd.jpg",
)


@given(PROVENANCE)
@STEADY
def test_what_is_written_is_read_back(provenance: Provenance) -> None:
    packet = xmp_packet(provenance)
    assert parse_packet(packet) == provenance
    assert xmp_packet(provenance) == packet


def test_the_packet_says_the_iptc_uri_under_the_iptc_name() -> None:
    text = xmp_packet(EXAMPLE).decode()
    uri = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
    assert f"<Iptc4xmpExt:DigitalSourceType>{uri}</Iptc4xmpExt:DigitalSourceType>" in text
    assert text.startswith("<?xpacket begin=")
    root = ET.fromstring(text)
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


@pytest.mark.parametrize("operation", [Recolor, Studio, Style])
def test_every_operation_has_a_source_type_of_the_vocabulary(operation: type[Recolor | Studio | Style]) -> None:
    assert operation.digital_source_type in SOURCE_TYPES


def test_a_type_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="handMade"):
        Provenance(digital_source_type="handMade", models=(), seed=1, key="k")


def test_a_document_type_is_never_parsed() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    assert parse_packet(bomb + xmp_packet(EXAMPLE)) is None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"no xml",
        b"\xff\xfe\x00",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        xmp_packet(EXAMPLE)[:-80],
        xmp_packet(EXAMPLE).replace(b"<vitrine:Seed>7", b"<vitrine:Seed>seven"),
        xmp_packet(EXAMPLE).replace(b"algorithmicallyEnhanced", b"madeUp"),
        xmp_packet(EXAMPLE).replace(b"vitrine:Key", b"vitrine:Lock"),
    ],
)
def test_packets_that_are_not_ours_or_not_whole_say_nothing(packet: bytes) -> None:
    assert parse_packet(packet) is None


@given(st.binary(max_size=200))
@STEADY
def test_any_bytes_can_be_asked(body: bytes) -> None:
    assert read_provenance(body) is None
    assert parse_packet(body) is None


@given(RIGHTS)
@STEADY
def test_rights_of_strangers_are_cleaned_and_bounded(rights: SourceRights) -> None:
    texts = [*rights.creator, rights.copyright_notice, rights.credit, rights.usage_terms, rights.web_statement]
    for text in filter(None, texts):
        assert len(text) <= LONGEST
        assert text == " ".join(text.split())
        assert text.isprintable() or all(
            letter.isprintable() or letter.isspace() or ord(letter) > 127 for letter in text
        )
    assert None not in rights.creator


def test_empty_rights_are_no_rights() -> None:
    assert not SourceRights(creator=("", " \n"), copyright_notice="\x00", credit="")
    assert len(SourceRights(creator=("Ana",) * 1000).creator) == MOST_CREATORS
    assert SourceRights(copyright_notice="x" * 9000).copyright_notice == "x" * LONGEST


def test_an_unmarked_packet_names_no_mark() -> None:
    text = xmp_packet(EXAMPLE).decode()
    assert not any(word in text for word in ("AIGC", "Label", "Watermark", "dc:", "photoshop", "xmpRights"))
