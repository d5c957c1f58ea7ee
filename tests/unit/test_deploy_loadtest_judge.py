"""The judge finds what simulated systems do: they freeze, lose, answer twice, are slow now and then, cap their rate."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validate

from deploy.contracts.json_schemas import json_schemas
from deploy.loadtest.document import RunDocument
from deploy.loadtest.faults.conductor import Mark, Phase
from deploy.loadtest.judging.evidence import Evidence
from deploy.loadtest.judging.judge import judge, latency_series
from deploy.loadtest.judging.slo import Slo
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.records import Records
from deploy.loadtest.measuring.clock_watch import ClockWatch
from deploy.loadtest.measuring.clocks import OwnClock
from deploy.loadtest.measuring.observations import Answer, Letter, Moments, Place, Sent, Taken
from deploy.loadtest.measuring.samples import Sample
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.workload.planned import Kind, Planned
from serve.schemas.outcome import Outcome

GO = 7_000 * 1_000_000_000
SINCE_1970 = 1_790_000_000 * 1_000_000_000
ENDINGS = {"photos": frozenset({"enriched"}), "bad": frozenset({"dead"})}
#: When events come into sight that were sent at these times.
System = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Due:
    at_s: float
    event: Planned


@dataclass
class Stub:
    """A run against a system that is only a formula."""

    system: System
    rate: float = 100.0
    duration_s: float = 60.0
    warmup_s: float = 5.0
    lag_s: float = 0.001
    lost: frozenset[int] = frozenset()
    twice: frozenset[int] = frozenset()
    moments: Callable[[float, float], Moments] = lambda sent, seen: Moments()
    evidence: dict[str, object] = field(default_factory=dict)
    mode: Mode = Mode.STEADY
    slo: Slo = field(default_factory=Slo)

    def due_s(self) -> np.ndarray:
        chance = np.random.default_rng(4)
        count = int(self.rate * (self.duration_s + self.warmup_s))
        return np.sort(chance.uniform(0, self.duration_s + self.warmup_s, count))

    def records(self) -> Records:
        ledger = Ledger(endings=lambda kind, loose: ENDINGS[kind])
        records = Records(ledger, warmup_s=self.warmup_s, duration_s=self.duration_s)
        due = self.due_s()
        records.plan(Due(at, planned(number)) for number, at in enumerate(due, 1))
        records.begin(GO)
        sent = due + self.lag_s
        for number, (at, seen) in enumerate(zip(sent, self.system(sent), strict=True), 1):
            for one in self.observations(number, float(at), float(seen)):
                records.note(one)
        return records

    def observations(self, number: int, sent: float, seen: float) -> Iterable[Sent | Taken | Answer | Letter]:
        place, seen_ns = Place("t", 0, number), GO + round(seen * 1e9)
        yield Sent(number, GO + round(sent * 1e9))
        yield Taken(number, GO + round(sent * 1e9) + 500_000, place)
        if number in self.lost:
            return
        if number % 20 == 0:
            yield Letter(place=place, dead_id=f"d{number}", code="invalid_event", at_ns=seen_ns)
            return
        for result in range(2 if number in self.twice else 1):
            yield Answer(
                at_ns=seen_ns,
                place=place,
                result_id=f"{number}-{result}",
                event_id=f"e{number}",
                listing=f"t:l{number}",
                revision=1,
                outcome=Outcome.ENRICHED,
                moments=self.moments(sent, seen),
                timings_ms={"fetch": 10.0, "store": 20.0},
            )

    def run(self) -> RunDocument:
        return judge(self.given())

    def given(self) -> Evidence:
        options = RunOptions(
            driver=DriverKind.KAFKA,
            rate=self.rate,
            duration_s=self.duration_s,
            seed=4,
            out=Path("out"),
            warmup_s=self.warmup_s,
            mode=self.mode,
        )
        told = Evidence(
            options=options,
            slo=self.slo,
            records=self.records(),
            started_at=datetime(2026, 11, 22, tzinfo=UTC),
            revision="abc",
            schedule_sha256="00",
            harness_cpu_s=12.0,
            wall_s=60.0,
        )
        return replace(told, **self.evidence)


def planned(number: int) -> Planned:
    bad = number % 20 == 0
    return Planned(
        number=number,
        topic="t",
        key=b"",
        value=b"",
        kind=Kind.BAD if bad else Kind.PHOTOS,
        event_id=f"e{number}",
        listing=None if bad else f"t:l{number}",
        revision=1,
    )


def prompt(sent: np.ndarray) -> np.ndarray:
    return sent + 0.05


def test_a_good_run() -> None:
    found = Stub(prompt).run()
    assert (found.valid, found.invalid, found.slo.met) == (True, [], True)
    inside = int((Stub(prompt).due_s() >= 5).sum())
    assert found.offered == pytest.approx(inside / 60)
    assert found.delivered == pytest.approx(found.offered, rel=0.01)
    assert found.goodput == found.offered
    assert found.latency_ms.p50 == pytest.approx(51)
    assert found.service_ms.p50 == pytest.approx(50)
    assert found.generator_lag_ms.p99 == pytest.approx(1)
    assert found.latency_ms.n == inside
    assert (found.ledger.sent, found.ledger.enriched, found.ledger.dead) == (6500, 6175, 325)
    assert (found.ledger.missing, found.ledger.unexpected, found.broken) == (0, 0, [])
    assert {one.kind: one.endings for one in found.kinds} == {"bad": {"dead": 325}, "photos": {"enriched": 6175}}
    assert [(one.where, one.code, one.count) for one in found.errors] == [("dead", "invalid_event", 325)]
    assert found.harness_cores == pytest.approx(0.2)
    assert (found.config["driver"], found.config["rate"], found.seed) == ("kafka", 100.0, 4)
    assert RunDocument.model_validate_json(found.model_dump_json()) == found
    validate(json.loads(found.model_dump_json()), json_schemas()["loadtest-run"])


def test_a_frozen_system_is_seen_from_the_intended_time() -> None:
    """100/s for 20 s, the system frozen for 2 s, then it answers all at once: p95 is about 1 s, p99 1.8 s."""

    def frozen(sent: np.ndarray) -> np.ndarray:
        return np.where((sent >= 10) & (sent < 12), 12.0, sent + 0.002)

    stub = Stub(frozen, duration_s=20, warmup_s=0)
    found = stub.run()
    assert found.valid
    assert found.latency_ms.p99 == pytest.approx(1800, rel=0.1)
    latencies = latency_series(stub.records())["intended"][1]
    assert np.percentile(latencies, 95) == pytest.approx(1.0e6, rel=0.1)


def test_a_generator_that_waited_is_found_out() -> None:
    """A closed loop: while the system stands still nothing is sent, so that the service time knows of no pause."""

    def closed() -> Records:
        stub = Stub(prompt, duration_s=20, warmup_s=0)
        records = Records(Ledger(endings=lambda kind, loose: ENDINGS[kind]), duration_s=20)
        due = stub.due_s()
        records.plan(Due(at, planned(number)) for number, at in enumerate(due, 1))
        records.begin(GO)
        for number, at in enumerate(due, 1):
            sent = 12.0 if 10 <= at < 12 else at
            for one in stub.observations(number, sent, sent + 0.002):
                records.note(one)
        return records

    found = Stub(prompt, duration_s=20, warmup_s=0, evidence={"records": closed()}).run()
    assert found.service_ms.p99 == pytest.approx(2)
    assert found.latency_ms.p99 == pytest.approx(1800, rel=0.1)
    assert not found.valid
    assert found.invalid[0].startswith("The generator was late")


def test_one_in_500_that_is_lost_is_found() -> None:
    lost = frozenset(range(7, 6501, 500))
    found = Stub(prompt, lost=lost).run()
    assert (found.ledger.missing, found.slo.met) == (13, False)
    assert found.valid
    missing = next(one for one in found.errors if one.where == "missing")
    assert (missing.count, missing.example) == (13, "e7")
    assert {one.reason: one.count for one in found.broken}["lost"] == 13
    assert found.latency_ms.unanswered == sum(1 for one in lost if Stub(prompt).due_s()[one - 1] >= 5)
    # Later than everything: the largest is not known.
    assert (found.latency_ms.max, found.latency_ms.p99) == (None, pytest.approx(51))


def test_answers_that_come_twice_are_found() -> None:
    found = Stub(prompt, twice=frozenset({11, 1011, 2011})).run()
    assert (found.ledger.visible_twice, found.slo.met) == (3, False)
    assert found.ledger.enriched == 6175
    assert {one.reason: one.count for one in found.broken} == {"twice": 3}


def test_a_system_that_is_slow_once_a_minute_is_found() -> None:
    def slow(sent: np.ndarray) -> np.ndarray:
        return np.where(sent % 60 < 2, sent - sent % 60 + 2.0, sent) + 0.05

    found = Stub(slow, rate=40, duration_s=200, slo=Slo(latency_ms={"p99": 500})).run()
    assert not found.slo.met
    assert found.latency_ms.p50 == pytest.approx(51)
    assert found.latency_ms.p99 is not None
    assert found.latency_ms.p99 > 500
    # Five seconds of warm-up: the slow ones begin 55 s after the window did.
    slowest = [at for at, p99 in zip(found.series.at_s, found.series.p99_ms, strict=True) if p99 and p99 > 500]
    assert {int(at) % 60 for at in slowest} <= {54, 55, 56}
    assert len(slowest) >= 3


def test_a_system_that_caps_its_rate_delivers_less_than_is_offered() -> None:
    def capped(sent: np.ndarray) -> np.ndarray:
        seen = np.empty_like(sent)
        free = 0.0
        for number, at in enumerate(sent):
            free = seen[number] = max(free, at) + 1 / 60
        return seen

    found = Stub(capped, slo=Slo.model_validate({"goodput": {"within_ms": 1000, "at_least": 0.99}})).run()
    assert found.offered == pytest.approx(100, rel=0.03)
    assert found.delivered == pytest.approx(60, rel=0.02)
    assert found.goodput < 5
    assert found.ledger.missing == 0
    assert not found.slo.met


def test_poison_on_purpose_is_no_reject() -> None:
    found = Stub(prompt, slo=Slo(reject_rate=0.0)).run()
    assert found.ledger.dead == 325
    assert found.slo.met


def test_what_makes_a_run_invalid_is_told() -> None:
    watch = ClockWatch(jumps=["the machine slept 5.00 s, 9 s after the first look"])
    stub = Stub(prompt, evidence={"clock_watch": watch, "reasons": ["The receiver broke."], "finished": False})
    found = stub.run()
    assert not found.valid
    assert len(found.invalid) == 3


def test_nothing_at_all_is_a_document_too() -> None:
    records = Records(Ledger())
    records.plan([])
    found = Stub(prompt, evidence={"records": records}).run()
    assert found.invalid == ["Nothing was sent in the measured window."]
    assert (found.offered, found.latency_ms.n, found.series.at_s) == (0, 0, [])


def test_series_cover_warm_up_and_drain_in_at_most_240_steps() -> None:
    samples = [Sample(GO + at * 1_000_000_000, {"lag_events": float(at)}) for at in range(0, 700, 2)]
    found = Stub(lambda sent: sent + 20, rate=10, duration_s=600, evidence={"samples": samples}).run().series
    assert len(found.at_s) <= 240
    assert found.at_s[0] <= -5 < found.at_s[1]
    assert found.at_s[-1] >= 600
    counted = sum(found.offered) * found.step_s
    assert counted == pytest.approx(6050)
    assert sum(found.delivered) * found.step_s == pytest.approx(6050)
    lengths = {len(one) for one in (found.offered, found.goodput, found.p50_ms, *found.samples.values())}
    assert lengths == {len(found.at_s)}
    at = found.at_s.index(100.0)
    # 105 s after the schedule began; the samples of a step are averaged.
    assert found.samples["lag_events"][at] == pytest.approx(106, abs=2)


def test_marks_are_told_from_the_beginning_of_the_window() -> None:
    mark = Mark(at_s=12.0, took_s=0.5, fault="kill_broker", phase=Phase.STRIKE, what="2", answered=9)
    [found] = Stub(prompt, evidence={"marks": [mark]}).run().marks
    assert (found.at_s, found.fault, found.phase) == (7.0, "kill_broker", "strike")


def told_at(consumers_s: float, serve_s: float) -> Callable[[float, float], Moments]:
    """Consumed after 10 ms, started after 20, finished 10 before the end; their clocks are ahead by so many seconds."""

    def told(sent: float, seen: float) -> Moments:
        base = SINCE_1970 + GO
        consumers, serve = base + round(consumers_s * 1e9), base + round(serve_s * 1e9)
        return Moments(
            consumed_ns=consumers + round((sent + 0.010) * 1e9),
            consumer_clock="c",
            published_ns=consumers + round((seen - 0.005) * 1e9),
            started_ns=serve + round((sent + 0.020) * 1e9),
            finished_ns=serve + round((seen - 0.010) * 1e9),
            serve_clock="s",
        )

    return told


@settings(max_examples=10, deadline=None)
@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_waits_are_measured_with_clocks_of_other_machines(consumers_s: int, serve_s: int) -> None:
    found = Stub(prompt, rate=40, duration_s=10, moments=told_at(consumers_s, serve_s)).run()
    waits = {one.name: one for one in found.stages if one.sort == "wait"}
    assert list(waits) == [
        "intended → sent",
        "sent → acknowledged",
        "acknowledged → consumed",
        "consumed → started",
        "started → finished",
        "finished → published",
        "published → visible",
    ]
    # All of them together are the latency.
    assert sum(one.mean_ms for one in waits.values()) == pytest.approx(51, abs=1e-3)
    consumed = waits["acknowledged → consumed"]
    assert abs(consumed.mean_ms - 9.5) <= consumed.clock_error_ms + 1e-3
    # Between 10 ms after the sending and 5 ms before the answer nobody knows better.
    assert consumed.clock_error_ms == pytest.approx(7.5, abs=1e-3)
    for clock, ahead in zip(found.clocks, (consumers_s, serve_s), strict=True):
        assert clock.offset_ms is not None
        assert clock.error_ms is not None
        assert abs(clock.offset_ms + SINCE_1970 / 1e6 + ahead * 1e3) <= clock.error_ms + 1
    work = {one.name: one for one in found.stages if one.sort == "work"}
    assert work["store"].p50_ms == pytest.approx(20, rel=1e-3)


def test_our_own_clock_needs_no_estimate() -> None:
    own = OwnClock("c", -SINCE_1970)
    found = Stub(prompt, rate=40, duration_s=10, moments=told_at(0, 77), evidence={"own_clock": own}).run()
    waits = {one.name: one for one in found.stages}
    assert waits["acknowledged → consumed"].mean_ms == pytest.approx(9.5, abs=1e-3)
    assert waits["acknowledged → consumed"].clock_error_ms == 0.0
    assert waits["consumed → started"].clock_error_ms > 0


def test_what_a_contradicting_clock_tells_is_left_out() -> None:
    def set_meanwhile(sent: float, seen: float) -> Moments:
        return told_at(0, 0 if sent < 8 else 500)(sent, seen)

    found = Stub(prompt, rate=40, duration_s=10, moments=set_meanwhile).run()
    serve = next(one for one in found.clocks if one.role == "serve")
    assert (serve.offset_ms, serve.error_ms) == (None, None)
    assert serve.contradicting > 100
    names = [one.name for one in found.stages if one.sort == "wait"]
    assert "consumed → published" in names
    assert not any("started" in name for name in names)


def memory(grown: Callable[[np.ndarray], np.ndarray]) -> list[Sample]:
    hours = np.linspace(0, 2, 1000)
    mb = 500 + grown(hours) + np.random.default_rng(2).normal(0, 5, 1000)
    at_ns = GO + (hours * 3600e9).astype(np.int64)
    return [Sample(int(at), {"rss_mb.serve": float(one)}) for at, one in zip(at_ns, mb, strict=True)]


@pytest.mark.parametrize(
    ("grown", "leaks"),
    [
        (lambda hours: 60 * hours, True),
        (lambda hours: 0 * hours, False),
        (lambda hours: -60 * hours, False),
        # Certain, and too little to matter.
        (lambda hours: 5 * hours, False),
        # A cache that fills up and stays.
        (lambda hours: 150 * np.minimum(1, hours / 0.5), False),
    ],
    ids=["leak", "level", "shrinks", "little", "cache"],
)
def test_memory_over_a_soak(grown: Callable[[np.ndarray], np.ndarray], leaks: bool) -> None:
    soak = Stub(prompt, rate=0.1, duration_s=7200, warmup_s=0, mode=Mode.SOAK, evidence={"samples": memory(grown)})
    [trend] = soak.run().soak
    assert (trend.role, trend.leaks) == ("serve", leaks)
    assert trend.interval.low <= trend.slope_mb_per_h <= trend.interval.high
    assert replace(soak, mode=Mode.STEADY).run().soak == []


def test_a_backlog_is_timed_from_the_release_to_the_last_answer() -> None:
    def drained(sent: np.ndarray) -> np.ndarray:
        return 80 + np.arange(sent.size) / 200

    stub = Stub(drained, mode=Mode.BACKLOG, evidence={"released_ns": GO + 79_000_000_000})
    found = stub.run().drain
    assert found is not None
    assert found.events == 6500
    assert found.seconds == pytest.approx(1 + 6499 / 200)
    assert found.rate == pytest.approx(6500 / found.seconds)


def test_the_log_has_what_counts_from_both_times() -> None:
    told = latency_series(Stub(prompt, lost=frozenset({3000})).records())
    at_s, values = told["intended"]
    assert len(at_s) == len(values) == Stub(prompt).run().latency_ms.n - 1
    assert np.median(values) == pytest.approx(51_000)
    assert np.median(told["service"][1]) == pytest.approx(50_000)
    assert min(at_s) >= 0


def test_what_is_sampled_seldom_holds_until_the_next_look_and_not_for_ever() -> None:
    samples = [Sample(GO + at * 1_000_000_000, {"lag_events": float(at)}) for at in (2, 4, 6, 30)]
    found = Stub(prompt, rate=10, duration_s=60, warmup_s=0, evidence={"samples": samples}).run().series
    lag = dict(zip(found.at_s, found.samples["lag_events"], strict=True))
    assert found.step_s == 1
    assert [lag[at] for at in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)] == [None, 2, 2, 4, 4, 6]
    assert (lag[9.0], lag[12.0], lag[30.0]) == (6, None, 30)
