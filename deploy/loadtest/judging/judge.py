"""The judge: from all that a run has left to its document. Pure."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic_core import to_jsonable_python

from deploy.loadtest.document import (
    Broken,
    Drain,
    ErrorFigure,
    KindFigures,
    LedgerCounts,
    Mark,
    Percentiles,
    RunDocument,
    SloVerdict,
)
from deploy.loadtest.judging.columns import Columns, Mask, columns_of
from deploy.loadtest.judging.course import series
from deploy.loadtest.judging.evidence import Evidence
from deploy.loadtest.judging.percentiles import figures
from deploy.loadtest.judging.slo import judge_slo
from deploy.loadtest.judging.soak import trends
from deploy.loadtest.judging.validity import doubts
from deploy.loadtest.judging.way import Way
from deploy.loadtest.ledger.fates import DEAD, MISSING
from deploy.loadtest.ledger.records import NS, Records
from deploy.loadtest.options import Mode
from serve.schemas.outcome import Outcome

_REFUSED = frozenset({DEAD, Outcome.REJECTED.value, Outcome.FAILED.value})


def judge(evidence: Evidence) -> RunDocument:
    """The verdict and all figures."""
    options, records = evidence.options, evidence.records
    columns, totals = columns_of(records), records.ledger.totals()
    latency = _figures(columns, columns.counts, columns.latency_ms, columns.due_s)
    invalid = doubts(
        columns,
        options.duration_s,
        finished=evidence.finished,
        jumps=evidence.clock_watch.jumps,
        reasons=evidence.reasons,
    )
    way = Way(records, evidence.own_clock)
    begin_ns = records.go_ns + round(options.warmup_s * NS)
    end_ns = begin_ns + round(options.duration_s * NS)
    soaking = options.mode is Mode.SOAK
    return RunDocument(
        valid=not invalid,
        invalid=invalid,
        slo=_slo(evidence, columns, latency, totals),
        **_rates(columns, options.duration_s, evidence.slo.within_ms),
        within_ms=evidence.slo.within_ms,
        latency_ms=latency,
        service_ms=_figures(columns, columns.counts & columns.sent, columns.service_ms, columns.sent_s),
        ledger=totals,
        broken=_broken(records),
        generator_lag_ms=_lag(columns),
        kinds=_kinds(records, columns),
        stages=[*way.waits(), *way.work()],
        errors=[*_errors(records), *_deaths(evidence)],
        series=series(columns, evidence.samples, begin_ns, evidence.slo.within_ms),
        marks=_marks(evidence),
        clocks=way.clocks(),
        soak=trends(evidence.samples, begin_ns, end_ns) if soaking else [],
        drain=_drain(evidence, columns),
        harness_cores=evidence.harness_cpu_s / evidence.wall_s if evidence.wall_s else 0.0,
        seed=options.seed,
        schedule_sha256=evidence.schedule_sha256,
        started_at=evidence.started_at,
        duration_s=options.duration_s,
        revision=evidence.revision,
        environment=dict(evidence.environment),
        config=_config(evidence),
    )


def _figures(columns: Columns, among: Mask, values_ms: Any, at_s: Any) -> Percentiles:
    """Of these events; those without an answer count as later than everything."""
    told, never = among & columns.answered & ~np.isnan(at_s), among & ~columns.answered
    times = np.where(np.isnan(at_s), columns.due_s, at_s)
    return figures(values_ms[told], int(never.sum()), at_s=times[told], unanswered_at_s=times[never])


def _lag(columns: Columns) -> Percentiles:
    told = columns.counts & columns.sent & ~np.isnan(columns.lag_ms)
    return figures(columns.lag_ms[told], at_s=columns.due_s[told])


def _in_time(columns: Columns, within_ms: float) -> Mask:
    in_time: Mask = columns.counts & columns.good & (columns.latency_ms <= within_ms)
    return in_time


def _rates(columns: Columns, duration_s: float, within_ms: float) -> dict[str, float]:
    seen = (columns.visible_s >= 0) & (columns.visible_s < duration_s)
    counted = {"offered": columns.counts, "delivered": seen, "goodput": _in_time(columns, within_ms)}
    return {name: float(one.sum()) / duration_s for name, one in counted.items()}


def _slo(evidence: Evidence, columns: Columns, latency: Percentiles, totals: LedgerCounts) -> SloVerdict:
    ledger, offered = evidence.records.ledger, int(columns.counts.sum())
    good = float(_in_time(columns, evidence.slo.within_ms).sum()) / offered if offered else None
    rejected = sum(1 for one in ledger.out() if ledger.ending(one) in _REFUSED and not ledger.expected(one))
    return judge_slo(evidence.slo, latency, totals, good_share=good, rejected=rejected)


def _broken(records: Records) -> list[Broken]:
    found: dict[str, list[str]] = {}
    for one in records.ledger.verdict():
        found.setdefault(one.reason.value, []).append(one.what)
    return [Broken(reason=reason, count=len(some), example=some[0]) for reason, some in found.items()]


def _kinds(records: Records, columns: Columns) -> list[KindFigures]:
    ledger = records.ledger
    of_kind: dict[str, list[int]] = {}
    for number in range(1, records.planned + 1):
        of_kind.setdefault(ledger.roster.kind(number), []).append(number)
    told = []
    for kind, numbers in sorted(of_kind.items()):
        among = np.zeros(records.planned, np.bool_)
        among[np.array(numbers) - 1] = True
        sent = [number for number in numbers if ledger.is_sent(number)]
        told.append(
            KindFigures(
                kind=kind,
                sent=len(sent),
                endings=dict(Counter(ledger.ending(number) for number in sent)),
                latency_ms=_figures(columns, among & columns.counts, columns.latency_ms, columns.due_s),
            )
        )
    return told


def _errors(records: Records) -> list[ErrorFigure]:
    refused = {Outcome.REJECTED.value, Outcome.FAILED.value}
    told = [
        ErrorFigure(
            where="outcome" if one.where in refused else one.where,
            code=one.code or one.where,
            count=one.count,
            example=one.example,
        )
        for one in records.errors
    ]
    ledger = records.ledger
    missing = [number for number in ledger.out() if ledger.ending(number) == MISSING]
    if missing:
        first = ledger.roster.event_id(missing[0])
        told.append(ErrorFigure(where=MISSING, code="no_answer", count=len(missing), example=first))
    return told


def _deaths(evidence: Evidence) -> list[ErrorFigure]:
    if not evidence.died:
        return []
    return [ErrorFigure(where="system", code="died", count=len(evidence.died), example=evidence.died[0])]


def _marks(evidence: Evidence) -> list[Mark]:
    warmup_s = evidence.options.warmup_s
    return [
        Mark(at_s=one.at_s - warmup_s, took_s=one.took_s, fault=one.fault, phase=one.phase.value, what=one.what)
        for one in evidence.marks
    ]


def _drain(evidence: Evidence, columns: Columns) -> Drain | None:
    """From the release of the consumers to the last answer."""
    records = evidence.records
    if evidence.released_ns is None or not columns.answered.any():
        return None
    events = int(columns.answered.sum())
    took_s = (int(records.visible_ns.max()) - evidence.released_ns) / NS
    return Drain(events=events, seconds=took_s, rate=events / took_s) if took_s > 0 else None


def _config(evidence: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = to_jsonable_python({**asdict(evidence.options), **evidence.config})
    return told


def latency_series(records: Records) -> dict[str, tuple[Any, Any]]:
    """What `write_hlog` wants: by tag the times (seconds in the measured window) and the microseconds."""
    columns = columns_of(records)
    told = columns.counts & columns.answered & ~np.isnan(columns.sent_s)
    return {
        "intended": (columns.due_s[told], columns.latency_ms[told] * 1000),
        "service": (columns.sent_s[told], columns.service_ms[told] * 1000),
    }
