"""One rate of a search, tried: what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from deploy.loadtest.document import Probe, RunDocument, Series

#: With less than this share of the offered events answered while more and more wait, a rate is above capacity.
_KEPT_UP = 0.97
#: A second half whose waiting events are fewer than this many above the first half's says nothing.
_GROWTH_EVENTS = 3.0


class Verdict(StrEnum):
    """What a probe says of its rate."""

    MET = "met"
    MISSED = "missed"
    #: The probe itself went wrong: no evidence, neither for nor against.
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """Figures of one probe; rates in events per second, over its measured window."""

    rate: float
    verdict: Verdict
    offered: float
    delivered: float
    goodput: float = 0.0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    #: More events waited at the end than in the middle.
    backlog_grew: bool = False
    note: str = ""

    @property
    def saturated(self) -> bool:
        """Whether the system did not keep up: then `delivered` is about its throughput, whatever the SLO allows."""
        return self.verdict is not Verdict.INVALID and self.backlog_grew and self.delivered < _KEPT_UP * self.offered

    @property
    def met(self) -> bool:
        """Whether the rate can be held and the SLO was met at it."""
        return self.verdict is Verdict.MET and not self.saturated

    def line(self) -> Probe:
        """As it stands in `search.json`."""
        verdict = Verdict.MISSED if self.saturated else self.verdict
        return Probe(
            rate=self.rate,
            offered=self.offered,
            delivered=self.delivered,
            goodput=self.goodput,
            p50_ms=self.p50_ms,
            p90_ms=self.p90_ms,
            p99_ms=self.p99_ms,
            verdict=verdict.value,
            note=self.note or ("saturated: the backlog grew" if self.saturated else ""),
        )


def result_of(rate: float, document: RunDocument) -> ProbeResult:
    """What a run at this rate says."""
    verdict = Verdict.INVALID
    if document.valid:
        verdict = Verdict.MET if document.slo.met else Verdict.MISSED
    missed = [one.name for one in document.slo.objectives if one.met is not True]
    return ProbeResult(
        rate=rate,
        verdict=verdict,
        offered=document.offered,
        delivered=document.delivered,
        goodput=document.goodput,
        p50_ms=document.latency_ms.p50,
        p90_ms=document.latency_ms.p90,
        p99_ms=document.latency_ms.p99,
        backlog_grew=backlog_grew(document.series),
        note="; ".join(document.invalid) if not document.valid else ", ".join(missed),
    )


def backlog_grew(series: Series) -> bool:
    """Whether clearly more events waited in the last quarter of the measured window than in its second one."""
    steps = [
        (offered - delivered) * series.step_s
        for at_s, offered, delivered in zip(series.at_s, series.offered, series.delivered, strict=True)
        if at_s >= 0 and offered > 0
    ]
    waiting = list(accumulate(steps))
    quarter = len(waiting) // 4
    if not quarter:
        return False
    earlier, later = _mean(waiting[quarter : 2 * quarter]), _mean(waiting[-quarter:])
    return later > earlier + max(_GROWTH_EVENTS, 0.25 * abs(earlier))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
