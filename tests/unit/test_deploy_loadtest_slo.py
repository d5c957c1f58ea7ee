"""SLO files, and what they make of a run."""

from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.loadtest.document import LedgerCounts, Objective, Percentiles
from deploy.loadtest.judging.percentiles import figures
from deploy.loadtest.judging.slo import Slo, judge_slo, read_slo

FILE = """
latency_ms: {p50: 100, p99: 2000}
loss: 0
visible_twice: 0
unexpected: 0.01
goodput: {within_ms: 1500, at_least: 0.99}
reject_rate: 0.005
"""
GOOD = figures([float(one) for one in range(1, 1001)])


def judged(slo: Slo, latency: Percentiles = GOOD, rejected: int = 0, **ledger: int) -> dict[str, Objective]:
    counts = LedgerCounts(sent=1000, enriched=1000 - ledger.get("missing", 0)).model_copy(update=ledger)
    verdict = judge_slo(slo, latency, counts, good_share=0.95, rejected=rejected)
    assert verdict.met == all(one.met for one in verdict.objectives)
    return {one.name: one for one in verdict.objectives}


def test_a_file_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text(FILE)
    slo = read_slo(path)
    assert slo.latency_ms == {"p50": 100, "p99": 2000}
    assert slo.within_ms == 1500
    assert (slo.loss, slo.unexpected) == (0, 0.01)


def test_without_a_file_nothing_may_be_lost_doubled_or_unexpected() -> None:
    assert {name: one.met for name, one in judged(read_slo(None)).items()} == {
        "loss": True,
        "visible_twice": True,
        "unexpected": True,
    }
    assert judged(Slo(), missing=1)["loss"].met is False
    assert judged(Slo(), visible_twice=1)["visible_twice"].met is False
    assert judged(Slo(), unexpected=1)["unexpected"].met is False


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("latency_ms: {p98: 1}", "latency_ms.p98"),
        ("latency_ms: {p99: -1}", "latency_ms.p99"),
        ("los: 0", "los"),
        ("loss: 1.5", "loss"),
        ("loss: [", "no YAML"),
        ("- 1", "the file"),
    ],
)
def test_a_wrong_file_is_named_with_its_mistake(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text(text)
    with pytest.raises(DeployError, match=r"slo\.yaml") as caught:
        read_slo(path)
    assert what in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="cannot be read"):
        read_slo(tmp_path / "none.yaml")


def test_latencies_are_held_against_their_limits() -> None:
    found = judged(Slo(latency_ms={"p50": 500, "p90": 899, "max": 1000}))
    assert found["latency_ms.p50"].met is True
    assert found["latency_ms.p90"].met is False
    assert (found["latency_ms.p90"].measured, found["latency_ms.p90"].required) == (900, "<= 899 ms")
    assert found["latency_ms.max"].met is True


def test_a_withheld_percentile_is_not_judged_and_the_slo_not_met() -> None:
    found = judged(Slo(latency_ms={"p99": 1e6}), figures([1.0] * 100))["latency_ms.p99"]
    assert found.met is None
    assert "662 are needed" in found.note


def test_a_percentile_among_the_unanswered_misses_every_limit() -> None:
    found = judged(Slo(latency_ms={"p99": 1e6, "max": 1e6, "p999": 1e6}), figures([1.0] * 900, unanswered=100))
    assert found["latency_ms.p99"].met is False
    assert found["latency_ms.max"].met is False
    assert found["latency_ms.p999"].met is None
    assert "without an answer" in found["latency_ms.p99"].note


def test_whole_numbers_are_events_and_fractions_shares() -> None:
    assert judged(Slo(loss=2), missing=2)["loss"].met is True
    assert judged(Slo(loss=2), missing=3)["loss"].met is False
    assert judged(Slo(loss=0.002), missing=2)["loss"].met is True
    share = judged(Slo(loss=0.002), missing=3)["loss"]
    assert (share.met, share.measured, share.note) == (False, 0.003, "3 of 1000 events")


def test_goodput_and_rejects() -> None:
    slo = Slo.model_validate({"goodput": {"at_least": 0.95}, "reject_rate": 0.01, "latency_ms": {"p99": 30, "p50": 20}})
    assert slo.within_ms == 20
    assert Slo().within_ms == 10_000
    assert judged(slo, rejected=10)["goodput"].met is True
    assert judged(slo, rejected=10)["reject_rate"].met is True
    assert judged(slo, rejected=11)["reject_rate"].met is False
    assert judged(Slo.model_validate({"goodput": {"at_least": 0.96}}))["goodput"].met is False
