"""Two runs side by side: real changes are found, noise is not taken for one, unlike runs are refused."""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from deploy.loadtest.document import LedgerCounts, Percentiles, RunDocument, Series, SloVerdict
from deploy.loadtest.judging.comparison import Comparison, Line, compare
from deploy.loadtest.judging.percentiles import figures
from deploy.loadtest.measuring.histograms import counted, histogram_of
from deploy.loadtest.measuring.hlog import Hlog, Stretch

SECONDS, RATE = 120, 50


@cache
def run(seed: int, factor: float = 1.0, unanswered: int = 0) -> tuple[RunDocument, Hlog]:
    """Latencies around 100 ms that wander from second to second, `factor` times as long."""
    chance = np.random.default_rng(seed)
    at_s = np.arange(SECONDS * RATE) / RATE
    level = np.repeat(chance.normal(1, 0.05, SECONDS), RATE)
    latency_ms = factor * level * chance.lognormal(np.log(100), 0.4, at_s.size)
    stretches = [
        Stretch(second, 1.0, *counted(histogram_of(latency_ms[at_s.astype(int) == second] * 1000)))
        for second in range(SECONDS)
    ]
    told = figures(latency_ms, unanswered)
    return document(told, [float(one) for one in chance.poisson(RATE, SECONDS)]), {
        "intended": stretches,
        "service": stretches,
    }


def document(latency: Percentiles, delivered: list[float], **other: object) -> RunDocument:
    nothing: list[float | None] = [None] * SECONDS
    told = {
        "valid": True,
        "invalid": [],
        "slo": SloVerdict(met=True, objectives=[]),
        "offered": RATE,
        "delivered": np.mean(delivered),
        "goodput": np.mean(delivered),
        "within_ms": 1000,
        "latency_ms": latency,
        "service_ms": latency,
        "ledger": LedgerCounts(sent=6000, enriched=6000),
        "generator_lag_ms": Percentiles(),
        "series": Series(
            step_s=1.0,
            at_s=[float(one) for one in range(SECONDS)],
            offered=delivered,
            delivered=delivered,
            goodput=delivered,
            p50_ms=nothing,
            p99_ms=nothing,
        ),
        "harness_cores": 0.1,
        "seed": 1,
        "schedule_sha256": "",
        "started_at": datetime(2026, 11, 22, tzinfo=UTC),
        "duration_s": SECONDS,
        "revision": "",
        "environment": {},
        "config": {"driver": "kafka", "mode": "steady", "rate": RATE, "arrivals": "poisson", "mix": None},
    }
    return RunDocument.model_validate({**told, **other})


def lines(found: Comparison) -> dict[str, Line]:
    return {one.name: one for one in found.lines}


def test_a_run_is_the_same_as_itself() -> None:
    one, log = run(1)
    found = compare(one, one, log, log)
    assert (found.regressed, found.refused) == (False, None)
    # A p999 needs more samples than these.
    assert {name: line.verdict for name, line in lines(found).items() if line.verdict != "same"} == {
        "latency_ms.p999": "unknown",
        "service_ms.p999": "unknown",
    }
    assert lines(found)["latency_ms.p99"].ratio == 1.0


def test_two_runs_of_the_same_system_do_not_regress() -> None:
    found = [compare(run(seed)[0], run(seed + 1)[0], run(seed)[1], run(seed + 1)[1]) for seed in range(0, 16, 2)]
    assert not any(one.regressed for one in found)
    held = sum(line.low <= 1 <= line.high for one in found for line in one.lines if line.low and line.high)
    counted_lines = sum(1 for one in found for line in one.lines if line.low and line.high)
    # 95 % intervals: of 64 hold 1 at least 54, but for one time in a thousand.
    assert counted_lines == 64
    assert held >= 54


def test_what_became_slower_is_worse_and_the_other_way_round_better() -> None:
    (one, log), (slow, slow_log) = run(1), run(2, 1.3)
    worse = compare(one, slow, log, slow_log)
    assert worse.regressed
    for name in ("latency_ms.p50", "latency_ms.p99", "service_ms.p90"):
        line = lines(worse)[name]
        assert line.verdict == "worse"
        assert line.low is not None
        assert line.high is not None
        assert line.low <= 1.3 <= line.high
        assert lines(compare(slow, one, slow_log, log))[name].verdict == "better"
    assert not compare(slow, one, slow_log, log).regressed


def test_a_change_within_the_tolerance_is_none() -> None:
    (one, log), (slow, slow_log) = run(1), run(2, 1.3)
    assert not compare(one, slow, log, slow_log, tolerance=0.5).regressed


def test_less_throughput_is_worse() -> None:
    (one, log), latency = run(1), run(1)[0].latency_ms
    less = document(latency, [float(one) for one in np.random.default_rng(5).poisson(0.7 * RATE, SECONDS)])
    found = compare(one, less, log, log)
    assert {name for name, line in lines(found).items() if line.verdict == "worse"} == {"delivered", "goodput"}
    more = compare(less, one, log, log)
    assert lines(more)["goodput"].verdict == "better"
    assert not more.regressed


@pytest.mark.parametrize(("missing", "verdict"), [(0, "same"), (1, "same"), (12, "worse")])
def test_losses_that_are_no_chance_are_worse(missing: int, verdict: str) -> None:
    one, log = run(1)
    lossy = one.model_copy(update={"ledger": LedgerCounts(sent=6000, enriched=6000 - missing, missing=missing)})
    loss = lines(compare(one, lossy, log, log))["loss"]
    assert loss.verdict == verdict
    assert (loss.a, loss.b) == (0.0, missing / 6000)


def test_percentiles_among_the_unanswered_are_not_compared() -> None:
    (one, log), (lossy, lossy_log) = run(1), run(1, 1.0, 600)
    found = lines(compare(one, lossy, log, lossy_log))
    assert lossy.latency_ms.p99 is None
    assert found["latency_ms.p99"].verdict == "unknown"
    # A tenth of the events is later than all others: half of them all is more than half of those in the log.
    shifted = found["latency_ms.p50"]
    assert shifted.low is not None
    assert shifted.high is not None
    assert shifted.low <= shifted.ratio <= shifted.high


def test_unlike_and_invalid_runs_are_refused_unless_forced() -> None:
    one, log = run(1)
    faster = one.model_copy(update={"config": {**one.config, "rate": 51}})
    assert compare(one, faster, log, log).refused == "the runs differ in rate: 50 and 51"
    invalid = one.model_copy(update={"valid": False, "invalid": ["It slept."]})
    refused = compare(one, invalid, log, log)
    assert (refused.refused, refused.lines) == ("the second run is INVALID: It slept.", [])
    assert compare(one, invalid, log, log, force=True).lines
