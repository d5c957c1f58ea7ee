"""What strangers may write into a request: any bytes and any JSON are told apart into events and typed refusals."""

import contextlib
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from consumers.events import BadEvent, ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from serve.doors.events import MAX_EVENT_BYTES, MAX_EVENT_DEPTH, parse_items
from serve.errors import RequestError
from serve.schemas.exchange import EnrichItem
from tests.support.listing_events import envelope
from tests.support.small_studio import item

# Lone surrogates too: JSON can name them.
TEXT = st.text(st.characters(codec=None), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.integers(2**62, 2**70)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))
WELL_FORMED: dict[str, Any] = item("https://shop.example/a.jpg", offset=5, title="shirt").model_dump(mode="json")
PATHS = (
    ("event_id",),
    ("event_source",),
    ("type",),
    ("position",),
    ("position", "topic"),
    ("position", "partition"),
    ("position", "offset"),
    ("attempt",),
    ("listing",),
    *(("listing", name) for name in ("tenant_id", "listing_id", "revision", "title", "category", "attributes")),
    *(("listing", name) for name in ("images", "variants", "tags", "destination_profiles", "recipe", "whatever")),
)


def nested(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


def entry(path: tuple[str, ...], value: object, ref: int = 1) -> dict[str, Any]:
    """A good event with one value replaced."""
    event = json.loads(json.dumps(WELL_FORMED)) | {"ref": ref}
    place = event
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return event


def read(*entries: object) -> tuple[list[EnrichItem], dict[int, str]]:
    """The events, which could all be passed on, and the codes of those that were refused."""
    items, refused = parse_items(json.dumps({"items": entries}).encode())
    for one in items:
        # As the gateway sends them to a replica, and a replica reads them: whole, and in bounds.
        assert EnrichItem.model_validate_json(one.model_dump_json()).event_id == one.event_id
    for line in refused:
        line.model_dump_json()
        assert len(line.error.message) < 5000
    return items, {line.ref: line.error.code for line in refused}


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b'{"items": [{"ref": 1}], "items": 5}')
@example(b'{"items": [' + b"9" * 5000 + b"]}")
@example(b"[" * 200_000)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(RequestError):
        parse_items(raw)


@given(JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    with contextlib.suppress(RequestError):
        parse_items(json.dumps(value).encode())
    with contextlib.suppress(RequestError):
        parse_items(json.dumps({"items": value}).encode())


@given(st.sampled_from(PATHS), JSON)
@example(("listing", "title"), "\ud800")
@example(("listing", "attributes"), {"\udfff": 1})
@example(("listing", "attributes"), {"a": nested(300)})
@example(("listing", "attributes"), {"a": float("inf"), "b": float("nan")})
@example(("listing", "attributes"), {"a": 10**400})
@example(("listing", "revision"), 2**63)
@example(("listing", "images"), [{"url": "x", "updated_at": 1e300}])
@example(("position", "offset"), 2**70)
@example(("position", "topic"), "a\0b")
@example(("event_id",), "x" * 100_000)
@example(("attempt",), 10**30)
def test_a_strange_event_never_fails_its_neighbours(path: tuple[str, ...], value: object) -> None:
    items, refused = read(entry(path, value, ref=1), WELL_FORMED | {"ref": 2})
    assert 2 in {one.ref for one in items}
    assert {one.ref for one in items} | set(refused) == {1, 2}
    assert set(refused.values()) <= {"bad_request", "request_too_large"}


def test_positions_and_ids_stay_in_what_an_index_can_keep() -> None:
    for path, value in (
        (("position", "offset"), 2**63),
        (("position", "offset"), -1),
        (("position", "partition"), 2**31),
        (("position", "topic"), "a\0b"),
        (("position", "topic"), "x" * 250),
        (("event_id",), "x" * 257),
        (("event_id",), "a\0b"),
        (("event_source",), "x" * 2049),
    ):
        items, refused = read(entry(path, value))
        assert (items, refused) == ([], {1: "bad_request"}), path


def test_one_event_is_bounded_in_size_and_depth_and_its_neighbours_go_on() -> None:
    large = entry(("listing", "description"), "é" * (MAX_EVENT_BYTES // 2), ref=1)
    deep = entry(("listing", "attributes"), {"a": nested(MAX_EVENT_DEPTH)}, ref=2)
    fits = entry(("listing", "description"), "x" * (MAX_EVENT_BYTES - 2000), ref=3)
    less = entry(("listing", "attributes"), {"a": nested(MAX_EVENT_DEPTH - 4)}, ref=4)
    items, refused = read(large, deep, fits, less)
    assert {one.ref for one in items} == {3, 4}
    assert refused == {1: "request_too_large", 2: "request_too_large"}


# The consumers' side.

NAMES = TEXT | st.sampled_from(["ce_id", "ce_specversion", "ce_source", "ce_type", "content-type"])
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=30)), max_size=6)


def record(value: bytes | None, headers: object = ()) -> SourceRecord:
    return SourceRecord(TopicPartition("t", 0), 0, None, value, tuple(headers))  # type: ignore[arg-type]


@given(st.none() | st.binary(max_size=300), HEADERS)
def test_any_record_is_an_event_or_a_bad_one(value: bytes | None, headers: object) -> None:
    assert isinstance(parse(record(value, headers)), ListingEvent | BadEvent)


@given(st.sampled_from([*envelope("e"), "data_base64", "datacontenttype", "traceparent", "whatever"]), JSON)
def test_any_value_in_an_event_is_read_or_refused(name: str, value: object) -> None:
    document = json.dumps({**envelope("e"), name: value}).encode()
    for headers in ((), (("content-type", b"application/cloudevents+json"),)):
        assert isinstance(parse(record(document, headers)), ListingEvent | BadEvent)


@given(st.sampled_from(["tenant_id", "listing_id", "revision", "images", "attributes", "title", "category"]), JSON)
@example("attributes", {"a": nested(150)})
@example("title", "\ud800")
def test_what_the_consumers_let_pass_serve_reads_too(name: str, value: object) -> None:
    data = {"tenant_id": "acme", "listing_id": "l", "revision": 1, name: value}
    event = parse(record(json.dumps(envelope("e", data=data)).encode()))
    if isinstance(event, BadEvent):
        return
    sent = {**WELL_FORMED, "event_id": event.id, "listing": event.listing.model_dump(mode="json", exclude_unset=True)}
    items, refused = read(sent)
    assert len(items) + len(refused) == 1
    # Only for depth and size Serve is stricter: nothing else that passed one side fails at the other.
    assert set(refused.values()) <= {"request_too_large"}
