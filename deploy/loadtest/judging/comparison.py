"""Two runs side by side: what became better, what worse. Pure.

A figure is worse where it is worse by more than the tolerance and its 95 % interval excludes that nothing changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deploy.loadtest.document import Percentiles, RunDocument
from deploy.loadtest.judging.percentiles import SHARES, BlockTable
from deploy.loadtest.measuring.hlog import Hlog

Verdict = Literal["better", "same", "worse", "unknown"]
#: What must be alike: else the runs were asked for different things.
_ALIKE = ("driver", "mode", "rate", "arrivals", "mix")
#: By the name in SLO files the field of the ledger.
_COUNTED = {"loss": "missing", "visible_twice": "visible_twice", "unexpected": "unexpected"}
_MIN_STEPS = 10
_DRAWS = 2000
_TAIL = 0.025

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure of both runs; the ratio is b to a, `low` and `high` its 95 % interval, None where there is none."""

    name: str
    a: float | None
    b: float | None
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All figures; `refused` says why the runs cannot be compared."""

    lines: Sequence[Line]
    regressed: bool
    refused: str | None = None


def compare(
    a: RunDocument, b: RunDocument, hlog_a: Hlog, hlog_b: Hlog, tolerance: float = 0.1, *, force: bool = False
) -> Comparison:
    """What became of `a` in `b`; a tolerance of 0.1 is 10 %. `force` compares what is otherwise refused."""
    if not force and (refused := _refused(a, b)) is not None:
        return Comparison(lines=[], regressed=False, refused=refused)
    lines = [
        *_latencies("latency_ms", "intended", (a.latency_ms, b.latency_ms), (hlog_a, hlog_b), tolerance),
        *_latencies("service_ms", "service", (a.service_ms, b.service_ms), (hlog_a, hlog_b), tolerance),
        *(_throughput(name, a, b, tolerance) for name in ("delivered", "goodput")),
        *(_counted(name, a, b, tolerance) for name in _COUNTED),
    ]
    return Comparison(lines=lines, regressed=any(one.verdict == "worse" for one in lines))


def _refused(a: RunDocument, b: RunDocument) -> str | None:
    for name, run in (("first", a), ("second", b)):
        if not run.valid:
            return f"the {name} run is INVALID: {' '.join(run.invalid)}"
    for name in _ALIKE:
        one, other = a.config.get(name), b.config.get(name)
        if one != other:
            return f"the runs differ in {name}: {one} and {other}"
    return None


def _latencies(
    name: str, tag: str, figures: tuple[Percentiles, Percentiles], hlogs: tuple[Hlog, Hlog], tolerance: float
) -> Iterator[Line]:
    tables = [BlockTable.from_stretches(hlog.get(tag, ())) for hlog in hlogs]
    drawn = [
        table.drawn(_among_answered(one), seed) for seed, (table, one) in enumerate(zip(tables, figures, strict=True))
    ]
    for column, percentile in enumerate(SHARES):
        one, other = (getattr(run, percentile) for run in figures)
        ratios: Floats = np.zeros(0)
        if one and other is not None and all(some.size for some in drawn):
            ratios = drawn[1][:, column] / np.maximum(drawn[0][:, column], 1e-9)
        yield _line(f"{name}.{percentile}", one, other, ratios, tolerance, more_is_better=False)


def _among_answered(run: Percentiles) -> list[float]:
    """The shares of the percentiles among the answered events, which alone are in a log."""
    answered = max(1, run.n - run.unanswered)
    return [min(1.0, share * run.n / answered) for share in SHARES.values()]


def _throughput(name: str, a: RunDocument, b: RunDocument, tolerance: float) -> Line:
    one, other = getattr(a, name), getattr(b, name)
    drawn = [_means(_steps(run, name), seed) for seed, run in enumerate((a, b))]
    ratios: Floats = np.zeros(0)
    if all(some.size for some in drawn) and (drawn[0] > 0).all():
        ratios = drawn[1] / drawn[0]
    return _line(name, one, other, ratios, tolerance, more_is_better=True)


def _steps(run: RunDocument, name: str) -> Floats:
    """What a figure was in the full steps of the measured window."""
    series = run.series
    told = zip(series.at_s, getattr(series, name), strict=True)
    return np.array([rate for at, rate in told if at >= 0 and at + series.step_s <= run.duration_s + 1e-6])


def _means(steps: Floats, seed: int) -> Floats:
    if steps.size < _MIN_STEPS:
        return np.zeros(0)
    chance = np.random.default_rng(seed)
    means: Floats = steps[chance.integers(0, steps.size, (_DRAWS, steps.size))].mean(axis=1)
    return means


def _counted(name: str, a: RunDocument, b: RunDocument, tolerance: float) -> Line:
    """A share of the events sent, which may be none at all: what shares would give these counts as well (Jeffreys)."""
    counts = [int(getattr(run.ledger, _COUNTED[name])) for run in (a, b)]
    sent = [run.ledger.sent for run in (a, b)]
    one, other = (count / whole if whole else None for count, whole in zip(counts, sent, strict=True))
    if one == other or not all(sent):
        verdict: Verdict = "same" if one == other else "unknown"
        ratio = 1.0 if one == other and one else None
        return Line(name=name, a=one, b=other, ratio=ratio, low=None, high=None, verdict=verdict)
    drawn = [
        np.random.default_rng(seed).beta(count + 0.5, whole - count + 0.5, _DRAWS)
        for seed, (count, whole) in enumerate(zip(counts, sent, strict=True))
    ]
    return _line(name, one, other, drawn[1] / drawn[0], tolerance, more_is_better=False)


def _line(
    name: str, a: float | None, b: float | None, ratios: Floats, tolerance: float, *, more_is_better: bool
) -> Line:
    ratio = b / a if a and b is not None else None
    if not ratios.size or not np.isfinite(ratios).all():
        return Line(name=name, a=a, b=b, ratio=ratio, low=None, high=None, verdict="unknown")
    low, high = (float(one) for one in np.quantile(ratios, (_TAIL, 1 - _TAIL)))
    verdict = _verdict(float("inf") if ratio is None else ratio, low, high, tolerance, more_is_better=more_is_better)
    return Line(name=name, a=a, b=b, ratio=ratio, low=low, high=high, verdict=verdict)


def _verdict(ratio: float, low: float, high: float, tolerance: float, *, more_is_better: bool) -> Verdict:
    if ratio > 1 + tolerance and low > 1:
        return "better" if more_is_better else "worse"
    if ratio < 1 / (1 + tolerance) and high < 1:
        return "worse" if more_is_better else "better"
    return "same"
