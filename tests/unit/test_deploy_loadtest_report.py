"""The report of a chaos run says what happened; its events are found again in the logs."""

import io

import pytest
from rich.console import Console

from consumers.records import SourceRecord, TopicPartition
from deploy.loadtest.chaos.calm import item_of
from deploy.loadtest.chaos.census import sent_of
from deploy.loadtest.chaos.report import ChaosReport, tables, verdict
from deploy.loadtest.chaos.watch import place_of
from deploy.loadtest.faults.conductor import Mark, Phase
from deploy.loadtest.ledger.ledger import OVERTAKEN
from deploy.loadtest.ledger.violations import Reason, Violation
from deploy.loadtest.measuring.observations import NOWHERE, Place
from deploy.loadtest.sending.answers import letter_seen
from deploy.loadtest.workload.mix import BUILT_IN, load_mix
from deploy.loadtest.workload.planned import Kind, Planned
from deploy.loadtest.workload.traffic import Traffic


class Photos:
    """A source that nobody asks."""

    def url(self, name: str) -> str:
        return f"http://photos/{name}"


def traffic(seed: int, count: int = 2000) -> list[Planned]:
    return list(Traffic(load_mix(BUILT_IN["chaos"]), seed, Photos()).events(count))


def record(event: Planned, number: int | None = None) -> SourceRecord:
    headers = (("loadtest-number", str(number or event.number).encode()),)
    return SourceRecord(TopicPartition(event.topic, 0), event.number, event.key, event.value, headers)


class Received:
    """A record as the client gives it."""

    def __init__(self, source: SourceRecord) -> None:
        self.topic, self.partition = source.tp
        self.offset, self.headers, self.value = source.offset, source.headers, source.value


def test_an_event_is_found_again_in_the_log() -> None:
    event = traffic(1, 1)[0]
    found = sent_of(Received(record(event)), {event.number: event})
    assert found.place == Place(event.topic, 0, event.number)
    assert (found.event_id, found.listing) == (event.event_id, event.listing)
    with pytest.raises(Exception, match="not of this run"):
        sent_of(Received(record(event, number=99)), {event.number: event})


def test_the_calm_run_asks_for_the_same_listing() -> None:
    event = next(one for one in traffic(1) if one.kind is Kind.PHOTOS)
    item = item_of(sent_of(Received(record(event)), {event.number: event}), event)
    assert item.listing.key == event.listing
    assert item.position.offset == event.number


def test_answers_without_a_place_are_at_no_place() -> None:
    assert place_of(b"no result") == NOWHERE
    assert letter_seen((), 0).place.partition == -1


def report(*violations: Violation, **counts: int) -> ChaosReport:
    mark = Mark(at_s=1, took_s=0.1, fault="kill_broker", phase=Phase.STRIKE, what="2", answered=10)
    return ChaosReport(
        seed=7,
        delivery="effectively_once",
        phases={"work": 12.34},
        kinds={"bare": 30, "bad": 2},
        endings={"rejected": 30, "dead letter": 2},
        counts=counts,
        marks=[mark],
        violations=violations,
    )


def shown(one: ChaosReport) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(tables(one))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_good_report_names_the_seed_and_the_faults() -> None:
    text = shown(report())
    assert "seed 7, effectively_once: 32 events, 1 faults: every event has exactly one visible outcome; no" in text
    assert "kill_broker" in text
    assert report().to_json()["ok"] is True


def test_what_was_overtaken_between_topics_is_not_hidden() -> None:
    assert "(3 as stale" in verdict(report(**{OVERTAKEN: 3}))


def test_a_bad_report_lists_what_was_broken() -> None:
    many = [Violation(Reason.LOST, f"event {number}", number) for number in range(50)]
    one = report(*many, Violation(Reason.OFFSETS, "t[0]"))
    text = shown(one)
    assert "51 violations (50 lost, 1 offsets)" in text
    assert "and 11 more" in text
    assert len(one.to_json()["violations"]) == 51
    assert one.to_json()["violations"][3] == {"reason": "lost", "what": "event 3", "event": 3}
