"""Observations in any order become columns, an account that adds up, and the figures of the moment."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.loadtest.ledger.account import rows
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.records import Records
from deploy.loadtest.measuring.observations import (
    NOWHERE,
    Answer,
    Letter,
    Moments,
    Observation,
    Place,
    Sent,
    Taken,
    Unsent,
    Visibility,
)
from deploy.loadtest.workload.planned import Kind, Planned
from serve.schemas.outcome import Outcome

MS = 1_000_000
SECOND = 1000 * MS
GO = 5000 * SECOND
ENDINGS = {"bare": frozenset({"rejected"}), "bad": frozenset({"dead"})}


@dataclass(frozen=True)
class Due:
    at_s: float
    event: Planned


def planned(number: int, kind: Kind = Kind.BARE, event_id: str | None = None) -> Planned:
    return Planned(
        number=number,
        topic="t",
        key=b"k",
        value=b"v",
        kind=kind,
        event_id=event_id or f"e{number}",
        listing=None if kind is Kind.BAD else f"t:l{number}",
        revision=1,
    )


def place(number: int) -> Place:
    return Place("t", number % 3, 1000 + number)


def answer(number: int, at_ns: int = GO + SECOND, **other: object) -> Answer:
    told = {
        "at_ns": at_ns,
        "place": place(number),
        "result_id": f"r{number}",
        "event_id": f"e{number}",
        "listing": f"t:l{number}",
        "revision": 1,
        "outcome": Outcome.REJECTED,
        **other,
    }
    return Answer(**told)


def begun(count: int, rate: float = 100.0, **options: float) -> Records:
    records = Records(Ledger(endings=lambda kind, loose: ENDINGS[kind]), **options)
    kinds = [Kind.BAD if number % 10 == 0 else Kind.BARE for number in range(count + 1)]
    records.plan(Due(number / rate, planned(number, kinds[number])) for number in range(1, count + 1))
    records.begin(GO)
    return records


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_in_any_order_everything_is_accounted_for(chance: random.Random, count: int) -> None:
    """Of every event any part may be missing, repeated or doubled; the ledger always adds up."""
    records, seen = begun(count), list[Observation]()
    fate: dict[int, str] = {}
    for number in range(1, count + 1):
        fate[number] = chance.choice(["never", "unsent", "lost", "answered", "twice", "repeat", "dead", "no ack"])
        if fate[number] == "never":
            continue
        seen.append(Sent(number, GO + number * 10 * MS))
        if fate[number] == "unsent":
            seen.append(Unsent(number, GO + SECOND, "timeout"))
            continue
        if fate[number] != "no ack":
            seen.append(Taken(number, GO + SECOND, place(number)))
        if fate[number] == "dead":
            seen.append(Letter(place=place(number), dead_id="d", code="c", at_ns=GO + SECOND))
        elif fate[number] != "lost":
            seen.append(answer(number))
        if fate[number] == "twice":
            seen.append(answer(number, result_id="another"))
        if fate[number] == "repeat":
            seen.append(answer(number, visibility=Visibility.REPEAT))
    strangers = chance.randint(0, 3)
    seen += [answer(count + 1 + one, event_id="x") for one in range(strangers)]
    chance.shuffle(seen)
    for one in seen:
        records.note(one)
    totals, fates = records.ledger.totals(), Counter(fate.values())
    assert totals.sent == count - fates["never"] - fates["unsent"]
    assert totals.sent == totals.rejected + totals.dead + totals.missing
    assert totals.missing == fates["lost"]
    assert totals.dead == fates["dead"]
    assert totals.visible_twice == fates["twice"]
    assert totals.repeats_hidden == fates["repeat"]
    assert totals.unsent == fates["never"] + fates["unsent"]
    assert totals.unknown == strangers
    rejected = sum(1 for number, what in fate.items() if number % 10 == 0 and what in GOOD)
    assert totals.unexpected == rejected + sum(1 for number in fate if number % 10 and fate[number] == "dead")
    account = list(rows(records))
    assert [row.number for row in account] == [*range(1, count + 1), *[-1] * strangers]
    assert Counter(row.ending for row in account) == Counter(
        [*(ROW_ENDINGS[what] for what in fate.values()), *["unknown"] * strangers]
    )
    assert {row.number for row in account if "twice" in row.flags.split()} == named(fate, "twice")
    assert {row.number for row in account if "hidden" in row.flags.split()} == named(fate, "repeat")
    assert records.open == fates["lost"]


GOOD = ("answered", "twice", "repeat", "no ack")
ROW_ENDINGS = {
    "never": "unsent",
    "unsent": "unsent",
    "lost": "missing",
    "dead": "dead",
    **dict.fromkeys(GOOD, "rejected"),
}


def named(fate: dict[int, str], what: str) -> set[int]:
    return {number for number, one in fate.items() if one == what}


def test_an_answer_may_be_seen_before_the_acknowledgement() -> None:
    records = begun(2)
    records.note(Sent(1, GO))
    records.note(answer(1, GO + 70 * MS))
    assert (records.answered, records.open) == (0, 1)
    records.note(Taken(1, GO + 80 * MS, place(1)))
    assert (records.answered, records.open) == (1, 0)
    assert records.visible_ns[1] == GO + 70 * MS
    row = next(rows(records))
    assert row.latency_ms == pytest.approx(60)
    assert (row.place, row.listing, row.at_s) == ("t[1]@1001", "t:l1", 0.01)


def test_what_an_answer_tells_is_kept_once() -> None:
    records = begun(3, warmup_s=0.015)
    told = Moments(consumed_ns=10, consumer_clock="a", started_ns=20, stored_ns=25, finished_ns=30, serve_clock="b")
    for number in (1, 2, 3):
        records.note(Sent(number, GO))
        records.note(Taken(number, GO, place(number)))
        records.note(answer(number, moments=told, timings_ms={"fetch": 1.5, "store": 10.0}))
    records.note(answer(2, result_id="second", moments=Moments(consumed_ns=99), timings_ms={"fetch": 1.5}))
    assert list(records.told_ns[:, 2]) == [10, 0, 20, 25, 30]
    assert records.clocks == ["", "a", "b"]
    assert (records.consumer_clock[2], records.serve_clock[2]) == (1, 2)
    # The first event is due in the warm-up.
    assert {name: one.get_total_count() for name, one in records.stages.items()} == {"fetch": 2, "store": 2}
    assert list(records.window()) == [False, False, True, True]


def test_errors_are_counted_by_class_with_the_first_as_example() -> None:
    records = begun(4)
    for number in (1, 2, 3):
        records.note(Sent(number, GO))
        records.note(Taken(number, GO, place(number)))
    records.note(answer(1, code="no_images"))
    records.note(answer(2, code="no_images"))
    records.note(Letter(place=place(3), dead_id="d", code="worker_lost", at_ns=GO))
    records.note(Unsent(4, GO, "refused"))
    assert [(one.where, one.code, one.count, one.example) for one in records.errors] == [
        ("rejected", "no_images", 2, "e1"),
        ("dead", "worker_lost", 1, "e3"),
        ("unsent", "refused", 1, "e4"),
    ]


def test_an_event_that_seemed_unsent_and_was_taken_counts_as_sent() -> None:
    records = begun(1)
    records.note(Sent(1, GO))
    records.note(Unsent(1, GO, "timeout"))
    records.note(answer(1))
    totals = records.ledger.totals()
    assert (totals.sent, totals.rejected, totals.unsent, totals.unknown) == (1, 1, 0, 0)
    assert (records.sent, records.unsent, records.open) == (1, 0, 0)


def test_an_event_that_was_taken_cannot_be_unsent() -> None:
    records = begun(1)
    for one in (Sent(1, GO), Taken(1, GO, place(1)), Unsent(1, GO, "closed")):
        records.note(one)
    assert (records.sent, records.unsent, records.ledger.totals().missing) == (1, 0, 1)


def test_answers_without_a_place_are_unknown_each() -> None:
    records = begun(1)
    records.note(Sent(1, GO))
    for _ in range(2):
        records.note(Letter(place=NOWHERE, dead_id="", code="", at_ns=GO))
    totals = records.ledger.totals()
    assert (totals.sent, totals.missing, totals.unknown) == (1, 1, 2)


def test_a_schedule_with_gaps_is_refused() -> None:
    records = Records(Ledger())
    with pytest.raises(ValueError, match="event 2 stands at place 1"):
        records.plan([Due(0.0, planned(2))])


def test_the_figures_of_a_moment() -> None:
    records = begun(2000, warmup_s=5.0, duration_s=15.0)
    for number in range(1, 1501):
        records.note(Sent(number, GO + number * 10 * MS + 2 * MS))
        records.note(Taken(number, GO + number * 10 * MS + 3 * MS, place(number)))
        if number <= 1000:
            records.note(answer(number, GO + number * 10 * MS + 40 * MS))
    moment = records.moment(GO + 15 * SECOND, samples={"lag_events": 5.0}, fault="kill_broker", healed=1, faults=3)
    assert (moment.phase, moment.elapsed_s, moment.planned_s) == ("measured", 15.0, 20.0)
    assert (moment.planned, moment.sent, moment.unsent, moment.answered) == (2000, 1500, 0, 1000)
    assert moment.offered == pytest.approx(100, rel=0.01)
    # Answers of the last 10 seconds: from 5 s to 10.04 s.
    assert moment.delivered == pytest.approx(50.4, rel=0.01)
    assert (moment.p50_ms, moment.p99_ms, moment.lag_p99_ms) == (40.0, 40.0, 2.0)
    assert moment.endings == {"rejected": 1000}
    assert (moment.samples, moment.fault, moment.healed, moment.faults) == ({"lag_events": 5.0}, "kill_broker", 1, 3)
    assert records.moment(GO + SECOND).phase == "warm-up"
    assert records.moment(GO + 21 * SECOND).phase == "drain"


def test_a_moment_before_the_beginning() -> None:
    moment = begun(10).moment(GO - SECOND)
    assert (moment.sent, moment.offered, moment.p50_ms) == (0, 0.0, None)
