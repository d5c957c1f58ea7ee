"""Retry records carry an event and its tries there and back."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.core.actions import PublishRetry
from consumers.core.retry import Tries
from consumers.events import ListingEvent, parse
from consumers.headers import PREFIX
from consumers.records import Message, SourceRecord, TopicPartition
from consumers.retries import read, retry_record
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.listing_events import structured_bytes

OFFSET_S = 1_700_000_000.0
RETRY_TP = TopicPartition("listings.retry.30s", 2)
ERROR = ErrorInfo(code="x", retry=RetryClass.DELAYED, message="m")

names = st.text(st.characters(codec="ascii", categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=8)
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=20)), max_size=4, unique_by=lambda pair: pair[0])


def origin(key: bytes | None = b"k", own: tuple[tuple[str, bytes | None], ...] = ()) -> SourceRecord:
    return SourceRecord(TopicPartition("listings.new", 3), 41, key, structured_bytes("e1"), own, 1_700_000_005_000)


def message_of(record: SourceRecord, tries: Tries = Tries(delayed=1), first: float = 7.5) -> Message:  # noqa: B008
    event = parse(record)
    assert isinstance(event, ListingEvent)
    return retry_record(PublishRetry(1, record, event, ERROR, tries, first, 0), OFFSET_S, "1.0")


def arrived(message: Message, timestamp_s: float) -> SourceRecord:
    return SourceRecord(RETRY_TP, 9, message.key, message.value, message.headers, round(timestamp_s * 1000))


@given(key=st.none() | st.binary(max_size=9), own=headers, counts=st.tuples(*[st.integers(0, 9)] * 3))
def test_the_origin_and_the_tries_come_back(key, own, counts):
    record = origin(key, tuple(own))
    back = read(arrived(message_of(record, Tries(*counts)), OFFSET_S + 10), 30.0, OFFSET_S, 10.0)
    assert back.retried is not None
    assert back.retried.origin == record
    assert (back.retried.transient, back.retried.delayed, back.retried.broken) == counts
    assert abs(back.retried.first_failed_at - 7.5) < 0.001
    assert back.tp == RETRY_TP


def test_it_came_when_its_copy_came():
    copy = arrived(message_of(origin()), OFFSET_S)._replace(received_ns=77)
    assert read(copy, 30.0, OFFSET_S, 0.0).retried.origin == origin()._replace(received_ns=77)


def test_a_second_round_names_the_first_place():
    first = read(arrived(message_of(origin()), OFFSET_S), 30.0, OFFSET_S, 0.0)
    again = read(arrived(message_of(first.retried.origin), OFFSET_S), 300.0, OFFSET_S, 0.0)
    assert again.retried.origin == origin()


@given(clock_error_s=st.floats(-1e9, 1e9), now=st.floats(0, 1e6))
def test_no_clock_makes_it_wait_longer_than_the_delay(clock_error_s, now):
    back = read(arrived(message_of(origin()), OFFSET_S + now + clock_error_s), 30.0, OFFSET_S, now)
    assert now <= back.retried.due_at <= now + 30.0


def test_due_when_the_delay_has_passed_since_its_timestamp():
    back = read(arrived(message_of(origin()), OFFSET_S + 100), 30.0, OFFSET_S, 110.0)
    assert back.retried.due_at == 130.0


@given(st.sampled_from(["original-topic", "original-offset", "tries-delayed", "first-failed-at"]), st.booleans())
def test_a_foreign_record_is_an_event_of_its_own(name, missing):
    message = message_of(origin())
    broken = [
        (n, b"-x" if n == PREFIX + name else v) for n, v in message.headers if not (missing and n == PREFIX + name)
    ]
    if name == "original-topic" and not missing:
        return
    record = arrived(message._replace(headers=tuple(broken)), OFFSET_S)
    assert read(record, 30.0, OFFSET_S, 0.0) == record
