"""The implicit mark of GB 45438: seven fields, always."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.images.aigc import NAMESPACE, PREFIX, Aigc, parse_aigc
from serve.images.provenance import Provenance, parse_packet, xmp_packet

FIELDS = [
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
]
TEXT = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc", "Cn")), max_size=30)
MARK = Aigc(content_producer='影棚 "1" <&>', produce_id="shop/ab.jpg")


def test_all_seven_fields_stand_in_their_order() -> None:
    fields = json.loads(MARK.json())
    assert list(fields) == FIELDS
    assert fields["Label"] == "1"
    assert (fields["ContentProducer"], fields["ProduceID"]) == ('影棚 "1" <&>', "shop/ab.jpg")
    assert {fields[name] for name in FIELDS[3:]} == {""}


@given(st.builds(Aigc, label=TEXT, content_producer=TEXT, produce_id=TEXT, reserved_code1=TEXT, propagate_id=TEXT))
def test_what_is_written_is_read_back(mark: Aigc) -> None:
    assert parse_aigc(mark.json()) == mark


def test_it_stands_in_the_xmp_under_the_name_of_the_standard() -> None:
    provenance = Provenance(
        digital_source_type="trainedAlgorithmicMedia", models=(), seed=1, key="shop/ab.jpg", aigc=MARK
    )
    packet = xmp_packet(provenance)
    text = packet.decode()
    assert f'xmlns:{PREFIX}="{NAMESPACE}"' in text
    assert f"<{PREFIX}:AIGC>{{" in text
    assert parse_packet(packet) == provenance


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "7", '{"Label": "1"}', MARK.json().replace('"1"', "1", 1), "[" * 100_000],
)
def test_anything_less_is_no_mark(text: str) -> None:
    assert parse_aigc(text) is None


def test_a_packet_whose_mark_is_not_whole_is_not_whole() -> None:
    provenance = Provenance(digital_source_type="trainedAlgorithmicMedia", models=(), seed=1, key="k", aigc=MARK)
    assert parse_packet(xmp_packet(provenance).replace(b'"PropagateID"', b'"Propagate"')) is None
