"""Dead letters read back: the record comes out as it went in, and nothing that lies there breaks the reader."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.headers import PREFIX
from consumers.records import SourceRecord
from consumers.tools.dead_letter_reader import (
    REPLAYED_FROM,
    Letters,
    Place,
    Wanted,
    again,
    letter_in,
    mark,
    mark_in,
    original_in,
    shown,
)
from tests.support.dead_letters import DEAD, NEW, died, event
from tests.support.listing_events import structured_bytes

NAMES = st.text(st.characters(codec="ascii", exclude_characters=",", min_codepoint=33), min_size=1, max_size=5)
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(min_size=1, max_size=8)), max_size=4)
RECORDS = st.builds(
    SourceRecord,
    tp=st.just(NEW),
    offset=st.integers(0, 2**40),
    key=st.none() | st.binary(max_size=8) | st.just(b"acme:l1"),
    value=st.none() | st.binary(max_size=30) | st.just(structured_bytes("e1")),
    headers=HEADERS.map(tuple),
    timestamp_ms=st.integers(0, 2**41),
    retried=st.none(),
    # When a copy came says nothing of the record itself.
    received_ns=st.just(0),
)


@settings(deadline=None)
@given(record=RECORDS)
def test_the_record_that_died_comes_back_byte_for_byte(record: SourceRecord) -> None:
    assert original_in(died(record)) == record


@settings(deadline=None)
@given(record=RECORDS)
def test_sent_again_it_is_the_same_but_for_what_the_client_cannot_send(record: SourceRecord) -> None:
    message = again(record, "dead", Place(0, 4))
    assert message.key == record.key
    assert (message.value or b"") == (record.value or b"")
    own = [(name, body) for name, body in message.headers if not name.startswith(PREFIX)]
    assert own == [(name, body or b"") for name, body in record.headers]
    assert dict(message.headers)[REPLAYED_FROM] == b"dead/0/4"
    assert all(body is not None for _, body in message.headers)
    assert not (message.key is None and message.value is None), "the client refuses that"


def test_a_record_that_dies_a_second_time_does_not_drag_headers_along() -> None:
    first = again(event(), "dead", Place(0, 4))
    second = died(SourceRecord(NEW, 9, first.key, first.value, first.headers, 6))
    assert again(original_in(second) or event(), "dead", Place(0, 5)).headers == (
        ("a", b"1"),
        (REPLAYED_FROM, b"dead/0/5"),
    )


def test_a_letter_says_what_is_known() -> None:
    letter = letter_in(died(event(), offset=12))
    assert (str(letter.place), letter.at_ms, letter.event_id, letter.code) == ("0/12", 1012, "e1", "bad_listing")
    assert (letter.tenant, letter.listing) == ("acme", "l1"), "of the event, whatever its key"
    assert (letter.attempts, letter.message, letter.retry_class) == (2, "no good", "permanent")
    assert letter.origin is not None
    assert letter.origin.model_dump() == {"topic": "listings.new", "partition": 3, "offset": 7}
    assert (letter.bare, letter.truncated) == (False, ())


def test_a_bare_letter_knows_its_hash_and_no_bytes() -> None:
    record = event()
    copy = died(record, bare=True)
    letter = letter_in(copy)
    assert original_in(copy) is None
    assert letter.bare
    assert letter.truncated == ("value", "headers")
    assert letter.sha256 == hashlib.sha256(record.value or b"").hexdigest()
    assert (letter.tenant, letter.listing) == ("other", "key"), "all that is left is the key"


@settings(deadline=None)
@given(
    key=st.none() | st.binary(max_size=5),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["original-topic", "original-offset", "original-partition", "attempts", "truncated"]).map(
                PREFIX.__add__
            ),
            st.none() | st.binary(max_size=4) | st.just(b"-1"),
        ),
        max_size=5,
    ),
)
def test_whatever_lies_in_the_topic_is_listed(key: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    record = SourceRecord(DEAD, 1, key, b"\xff{", tuple(headers), 2**62)
    assert letter_in(record).place == Place(0, 1)
    assert shown(record)["value"] == "\\xff{"


def test_marks_are_no_letters_and_say_what_was_sent_again() -> None:
    one, two = died(event(), offset=0), died(event("e2"), offset=1)
    note = mark(letter_in(one), "listings.new/3/99", 0.0)
    marked = SourceRecord(DEAD, 2, note.key, note.value, note.headers, 2000)
    letters = Letters.gather([two, one, marked], Wanted())
    assert [letter.place.offset for letter in letters.found] == [0, 1]
    assert letters.replayed == {Place(0, 0): "listings.new/3/99"}
    assert mark_in(one) is None
    damaged = marked._replace(headers=((PREFIX + "replayed", b"nowhere"),))
    assert mark_in(damaged) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [0, 1, 2]),
        (Wanted(codes=frozenset(["worker_lost"])), [1]),
        (Wanted(since_ms=1001), [1, 2]),
        (Wanted(until_ms=1001), [0]),
        (Wanted(since_ms=1001, until_ms=1002), [1]),
        (Wanted(tenant="acme", listing="l2"), [2]),
        (Wanted(tenant="nobody"), []),
        (Wanted(event_id="e1"), [1]),
        (Wanted(places=frozenset([Place(0, 2), Place(1, 0)])), [2]),
        (Wanted(listing="l2", event_id="e1"), []),
    ],
)
def test_filters_are_all_to_hold(wanted: Wanted, found: list[int]) -> None:
    records = [
        died(event("e0"), offset=0),
        died(event("e1"), offset=1, code="worker_lost"),
        died(event("e2", "l2"), offset=2),
    ]
    assert [letter.place.offset for letter in Letters.gather(records, wanted).found] == found


@pytest.mark.parametrize("text", ["", "x", "1/", "/-1", "1/2/3", "-1", "1.5", "a/1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no position"):
        Place.of(text)


def test_places_are_read_as_they_are_shown() -> None:
    assert [Place.of("3/17"), Place.of("17"), Place.of(str(Place(1, 2)))] == [(3, 17), (0, 17), (1, 2)]
