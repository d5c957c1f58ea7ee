"""What results and dead letters say, whether they are of this run, and what the shipped reader makes of them."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from consumers.core.actions import PublishDead
from consumers.dead_letters import dead_letter
from consumers.events import BadCode, BadEvent, ListingEvent, parse, structured
from consumers.reader import Visible
from consumers.records import SourceRecord, TopicPartition
from consumers.results import parse_result, result_event
from consumers.settings import ConsumerSettings
from deploy.loadtest.measuring.observations import (
    NOWHERE,
    UNTOLD,
    Answer,
    Letter,
    Moments,
    Observation,
    Place,
    Visibility,
)
from deploy.loadtest.sending.answers import Headers, is_ours, item_of, letter_seen, line_seen, place_of, result_seen
from deploy.loadtest.sending.receiver import Receiver
from deploy.loadtest.workload.planned import NUMBER, Kind, Planned
from serve.schemas.exchange import EnrichItem, ErrorLine, ResultLine
from serve.schemas.listing import EventType, Listing
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.result import ErrorInfo, ListingResult, Position

MOMENT = datetime(2026, 11, 22, 12, 0, 0, 250_001, tzinfo=UTC)


def event(number: int = 1, *, revision: int = 1, listing: str = "l-1") -> ListingEvent:
    data = Listing(tenant_id="run-t", listing_id=listing, revision=revision)
    return ListingEvent(f"run-{number}", "//loadtest", EventType.UPDATED, data)


def result(of: ListingEvent, outcome: Outcome = Outcome.ENRICHED, **more: Any) -> ListingResult:
    return ListingResult(
        event_id=of.id,
        event_source=of.source,
        tenant_id=of.listing.tenant_id,
        listing_id=of.listing.listing_id,
        revision=of.listing.revision,
        outcome=outcome,
        finished_at=MOMENT,
        vitrine_version="1",
        **more,
    )


def record(of: ListingEvent, offset: int, headers: Headers = (), outcome: Outcome = Outcome.ENRICHED) -> Any:
    message = result_event(result(of, outcome), Position(topic="new", partition=2, offset=offset), of)
    return SimpleNamespace(value=message.value, headers=[*message.headers, *headers])


def seen(one: Any, visible: Visible, at_ns: int = 7) -> Answer:
    parsed = parse_result(one.value)
    assert parsed is not None
    return result_seen(parsed, one.headers, visible, at_ns)


def test_an_answer_says_where_its_event_stands_and_what_became_of_it() -> None:
    answer = seen(record(event(), 40, outcome=Outcome.STALE), Visible(), at_ns=99)
    assert (answer.at_ns, answer.place, answer.event_id) == (99, Place("new", 2, 40), "run-1")
    assert (answer.listing, answer.revision, answer.outcome) == ("run-t:l-1", 1, Outcome.STALE)
    assert (answer.visibility, answer.images, answer.reused) == (Visibility.SHOWN, 0, 0)


def test_the_shipped_reader_hides_repeats_and_shows_what_was_overtaken_as_stale() -> None:
    visible = Visible()
    newer, older = record(event(2, revision=2), 41), record(event(1), 40)
    shown = [seen(one, visible).visibility for one in (newer, older, newer, older)]
    assert shown == [Visibility.SHOWN, Visibility.OVERTAKEN, Visibility.REPEAT, Visibility.REPEAT]


def test_two_answers_to_an_event_from_two_places_are_both_visible() -> None:
    visible = Visible()
    answers = [seen(record(event(), offset), visible) for offset in (1, 2)]
    assert [one.visibility for one in answers] == [Visibility.SHOWN] * 2
    assert answers[0].result_id != answers[1].result_id


def test_moments_are_taken_from_the_header_and_from_the_result() -> None:
    told = json.dumps({"clock": "boot-a", "consumed_ns": 5, "published_ns": 9}).encode()
    moments = seen(record(event(), 1, [("vitrine-moments", told)]), Visible()).moments
    finished_ns = round(MOMENT.timestamp()) * 10**9 + 250_001_000
    assert moments == UNTOLD._replace(consumed_ns=5, consumer_clock="boot-a", published_ns=9, finished_ns=finished_ns)


@pytest.mark.parametrize("told", [b"", b"{", b"[1]", b'"x"', b"null"])
def test_a_header_that_says_nothing_sensible_is_as_good_as_none(told: bytes) -> None:
    moments = seen(record(event(), 1, [("vitrine-moments", told)]), Visible()).moments
    assert isinstance(moments, Moments)
    assert (moments.consumed_ns, moments.consumer_clock) == (0, "")


def dead(value: bytes | None, error: ErrorInfo, *, key: bytes | None = b"run-t:l-1", number: bool = True) -> list[Any]:
    headers = ((NUMBER, b"12"),) if number else ()
    came = SourceRecord(TopicPartition("new", 2), 41, key, value, headers)
    parsed = parse(came)
    letter = PublishDead(1, came, parsed, error, attempts=1, first_failed_at=0.0, last_failed_at=0.0)
    return list(dead_letter(letter, 0.0, "1").headers)


BAD = ErrorInfo(code="invalid_json", retry=RetryClass.PERMANENT, message="no JSON")


def test_a_dead_letter_says_where_its_event_stood() -> None:
    letter = letter_seen(dead(b"{", BAD), 8)
    assert (letter.place, letter.code, letter.at_ns) == (Place("new", 2, 41), "invalid_json", 8)
    assert letter.dead_id


def test_a_letter_without_a_place_is_from_nowhere() -> None:
    assert letter_seen([], 8) == Letter(place=NOWHERE, dead_id="", code="", at_ns=8)


@pytest.mark.parametrize(
    ("namespace", "value", "key", "number", "ours"),
    [
        # Its id says it.
        ("run-", structured(event()).value, b"x", False, True),
        ("other-", structured(event()).value, b"run-t:l-1", True, False),
        # It cannot be read; the key says it.
        ("run-", b"{", b"run-t:l-1", False, True),
        ("other-", b"{", b"run-t:l-1", True, False),
        # Neither: only that it is of a load test.
        ("run-", b"{", None, True, True),
        ("run-", b"{", None, False, False),
    ],
)
def test_letters_of_others_are_told_apart(
    namespace: str, value: bytes, key: bytes | None, number: bool, ours: bool
) -> None:
    assert is_ours(namespace, dead(value, BAD, key=key, number=number)) is ours


@pytest.mark.parametrize(("namespace", "numbers"), [("run-1", [1]), ("run-", [1, 2]), ("", [1, 2, 3])])
def test_a_receiver_passes_over_the_results_of_others(namespace: str, numbers: list[int]) -> None:
    reported: list[Observation] = []
    receiver = Receiver(ConsumerSettings(), namespace, reported.append)
    foreign = event(3)
    events = [event(1), event(2, listing="l-2"), ListingEvent("x-3", foreign.source, foreign.type, foreign.listing)]
    records = [record(one, offset) for offset, one in enumerate(events, 1)]
    receiver.see([*records, SimpleNamespace(value=b"no result", headers=[])], 5, dead=False)
    assert [one.place.offset for one in reported if isinstance(one, Answer)] == numbers


def planned(value: bytes) -> Planned:
    return Planned(number=12, topic="new", key=b"run-t:l-1", value=value, kind=Kind.BARE, event_id="run-1")


def test_an_event_is_asked_of_serve_as_a_consumer_would() -> None:
    one = planned(structured(event()).value or b"")
    item = item_of(one, place_of("http", one))
    assert isinstance(item, EnrichItem)
    assert (item.ref, item.event_id, item.attempt, item.final) == (12, "run-1", 1, False)
    assert item.position == Position(topic="http", partition=0, offset=12)
    assert item.listing == event().listing


def test_what_is_no_event_is_not_asked() -> None:
    one = planned(b"{")
    bad = item_of(one, place_of("http", one))
    assert isinstance(bad, BadEvent)
    assert bad.code is BadCode.INVALID_JSON


def test_a_line_of_serve_is_an_answer_or_stands_for_a_dead_letter() -> None:
    answer = line_seen("http", ResultLine(ref=12, result=result(event(), timings_ms={"fetch": 3.5})), 6)
    assert isinstance(answer, Answer)
    assert (answer.place, answer.at_ns, answer.timings_ms) == (Place("http", 0, 12), 6, {"fetch": 3.5})
    error = ErrorInfo(code="overloaded", retry=RetryClass.BACK_PRESSURE, message="no room")
    letter = line_seen("http", ErrorLine(ref=12, error=error), 6)
    assert letter == Letter(place=Place("http", 0, 12), dead_id="http[0]@12", code="overloaded", at_ns=6)
