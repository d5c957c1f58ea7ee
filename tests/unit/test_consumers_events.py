"""Listing events in both content modes, and bad ones as values."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.events import BadCode, BadEvent, ListingEvent, parse, structured
from consumers.records import SourceRecord, TopicPartition
from consumers.results import TYPE_OF, UNCHANGED, parse_result, result_event, result_id
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult, Position
from tests.support.listing_events import CREATED, envelope, structured_bytes

TP = TopicPartition("listings.new", 0)
BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_source", b"//shop/1"),
    ("ce_type", CREATED.encode()),
    ("content-type", b"application/json; charset=utf-8"),
)
DATA = json.dumps(envelope("e-1")["data"]).encode()


def read(value: bytes | None, headers=()) -> ListingEvent | BadEvent:
    return parse(SourceRecord(TP, 0, None, value, tuple(headers)))


def test_structured_and_binary_mode_say_the_same():
    extra = {"time": "2026-11-21T10:00:00Z", "subject": "l1", "sequence": "7", "traceparent": "00-a-b-01"}
    headers = (*BINARY, *((f"ce_{name}", value.encode()) for name, value in extra.items()))
    event = read(structured_bytes("e-1", **extra))
    assert event == read(DATA, headers)
    assert event == ListingEvent(
        "e-1",
        "//shop/1",
        EventType.CREATED,
        event.listing,
        datetime(2026, 11, 21, 10, tzinfo=UTC),
        "00-a-b-01",
        {"subject": "l1", "sequence": "7"},
    )
    assert event.listing.key == "acme:l1"


def test_the_content_type_header_chooses_the_mode():
    assert read(structured_bytes("inside"), (*BINARY, ("Content-Type", b"application/cloudevents+json"))).id == "inside"
    assert read(DATA, BINARY).id == "e-1"


def test_trace_context_may_be_a_plain_kafka_header():
    assert read(structured_bytes("e"), [("traceparent", b"00-x-y-01")]).traceparent == "00-x-y-01"


def test_unknown_fields_survive():
    document = envelope("e", dataschema="urn:s")
    document["data"] |= {"newfield": {"deep": [1, None]}, "images": [{"url": "s3://b/k", "licence": "x"}]}
    event = read(json.dumps(document).encode())
    again = read(structured(event).value)
    assert again == event
    assert json.loads(structured(event).value)["data"] == document["data"]
    assert event.listing.model_extra == {"newfield": {"deep": [1, None]}}


def test_base64_data():
    document = envelope("e")
    document["data_base64"] = base64.b64encode(json.dumps(document.pop("data")).encode()).decode()
    assert read(json.dumps(document).encode()).listing.listing_id == "l1"


BAD = {
    "empty": (None, (), BadCode.INVALID_EVENT),
    "tombstone in binary mode": (None, BINARY, BadCode.INVALID_EVENT),
    "not JSON": (b"{", (), BadCode.INVALID_JSON),
    "binary, not JSON": (b"\xff\xfe", BINARY, BadCode.INVALID_JSON),
    "too deep": (b"[" * 100_000, (), BadCode.INVALID_JSON),
    "lone surrogate": (b'{"specversion":"1.0","id":"\\ud800"}', (), BadCode.INVALID_JSON),
    "NaN": (structured_bytes("e", price=float("nan")), (), BadCode.INVALID_JSON),
    "not an object": (b"[1]", (), BadCode.INVALID_EVENT),
    "not a CloudEvent": (DATA, (), BadCode.INVALID_EVENT),
    "batch mode": (b"[]", [("content-type", b"application/cloudevents-batch+json")], BadCode.INVALID_EVENT),
    "Avro": (b"x", [*BINARY[:4], ("content-type", b"application/avro")], BadCode.INVALID_EVENT),
    "other version": (structured_bytes("e", specversion="0.3"), (), BadCode.INVALID_EVENT),
    "no id": (structured_bytes(""), (), BadCode.INVALID_EVENT),
    "number as id": (structured_bytes("e", id=5), (), BadCode.INVALID_EVENT),
    "id too long": (structured_bytes("e" * 257), (), BadCode.INVALID_EVENT),
    "NUL in id": (structured_bytes("a\0b"), (), BadCode.INVALID_EVENT),
    "time without zone": (structured_bytes("e", time="2026-11-21T10:00:00"), (), BadCode.INVALID_EVENT),
    "unknown type": (structured_bytes("e", type="com.other.v1", data=3), (), BadCode.UNKNOWN_EVENT_TYPE),
    "no data": (structured_bytes("e", data=None), (), BadCode.INVALID_EVENT),
    "no listing": (structured_bytes("e", data={"tenant_id": "acme", "revision": 1}), (), BadCode.INVALID_EVENT),
    "bad base64": (structured_bytes("e", data_base64="*"), (), BadCode.INVALID_EVENT),
    "header not UTF-8": (DATA, [*BINARY, ("ce_subject", b"\xff")], BadCode.INVALID_EVENT),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_events_have_a_code(case):
    value, headers, code = BAD[case]
    bad = read(value, headers)
    assert isinstance(bad, BadEvent)
    assert bad.code is code
    assert bad.message


def test_a_bad_event_tells_its_id_if_it_can_be_read():
    assert read(structured_bytes("e-9", type="x")).id == "e-9"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
names = (
    st.sampled_from(["ce_specversion", "ce_id", "ce_type", "content-type", "traceparent", "CE_TIME", "x"]) | st.text()
)
attributes = st.sampled_from([*envelope("e"), "time", "traceparent", "data_base64", "datacontenttype", "dataschema"])


@given(
    st.none() | st.binary() | st.dictionaries(attributes | st.text(), json_values).map(json.dumps).map(str.encode),
    st.lists(st.tuples(names, st.none() | st.binary())),
)
@example(b"\xef\xbb\xbf{}", [])
def test_parse_never_raises(value, headers):
    assert isinstance(read(value, headers), ListingEvent | BadEvent)


@given(st.dictionaries(attributes, json_values), st.dictionaries(st.text(), json_values))
def test_parse_never_raises_near_a_valid_event(attributes, data):
    document = envelope("e")
    document["data"] |= data
    event = read(json.dumps(document | attributes).encode())
    if isinstance(event, ListingEvent):
        assert read(structured(event).value) == event


POSITION = Position(topic="listings.new", partition=3, offset=12)


def listing_result(outcome: Outcome) -> ListingResult:
    return ListingResult(
        event_id="e-1",
        event_source="//shop/1",
        tenant_id="acme",
        listing_id="l1",
        revision=1,
        outcome=outcome,
        finished_at=datetime(2026, 11, 21, tzinfo=UTC),
        vitrine_version="1",
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_result_event(outcome):
    event = read(structured_bytes("e-1", traceparent="00-a-b-01"))
    message = result_event(listing_result(outcome), POSITION, event)
    document = json.loads(message.value)
    assert message.key == b"acme:l1"
    assert document["causationid"] == "e-1"
    assert document["subject"] == "l1"
    assert document["traceparent"] == "00-a-b-01"
    assert document["type"] == TYPE_OF[outcome]
    assert document["data"]["position"] == POSITION.model_dump()
    assert parse_result(message.value).data.outcome is outcome
    # Who subscribes to images never gets an event that says nothing about them.
    assert (document["type"] == UNCHANGED) == (not outcome.carries_images)


def test_result_ids_name_an_event_at_a_position():
    same = result_id("s", "e", POSITION)
    assert len(same) == 32
    assert same == result_id("s", "e", POSITION)
    others = [
        result_id("s", "e", POSITION.model_copy(update={"offset": 13})),
        result_id("s", "e", POSITION.model_copy(update={"partition": 4})),
        result_id("s", "f", POSITION),
        result_id("se", "", POSITION),
    ]
    assert len({same, *others}) == 5


@pytest.mark.parametrize("value", [None, b"", b"{}", b"\xff", structured_bytes("e")])
def test_foreign_messages_are_no_results(value):
    assert parse_result(value) is None
