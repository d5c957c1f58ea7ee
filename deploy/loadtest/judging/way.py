"""Where the time of events goes: the waits between the points that they pass, and the work of the stages. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from deploy.loadtest.document import ClockFigure, StageFigure
from deploy.loadtest.judging.percentiles import exact, samples_needed
from deploy.loadtest.ledger.records import TOLD, Records
from deploy.loadtest.measuring.clocks import Offset, OwnClock, estimate
from deploy.loadtest.measuring.histograms import counted, quantile

_CONSUMERS, _SERVE = ("consumed", "published"), ("started", "stored", "finished")
#: In the order in which an event passes them.
_ORDER = ("consumed", "started", "stored", "finished", "published")


@dataclass(frozen=True, slots=True)
class _Clock:
    name: str
    role: str
    offset: Offset


class Way:
    """The points that the events of the measured window passed, by our clock."""

    def __init__(self, records: Records, own: OwnClock | None) -> None:
        self._records = records
        #: What our own time of day lacks to CLOCK_MONOTONIC.
        self._own_ns = 0 if own is None else own.offset_ns
        inside = records.window() & (records.visible_ns > 0) & (records.sent_ns > 0)
        #: Numbers of the events that count and have an answer.
        self._numbers = np.nonzero(inside)[0]
        self._clocks = [
            *self._known("consumers", records.consumer_clock, _CONSUMERS, own),
            *self._known("serve", records.serve_clock, _SERVE, own),
        ]

    def _told(self, name: str) -> NDArray[np.int64]:
        told: NDArray[np.int64] = self._records.told_ns[TOLD.index(name), self._numbers]
        return told

    def _known(
        self, role: str, column: NDArray[np.uint8], points: Sequence[str], own: OwnClock | None
    ) -> Iterator[_Clock]:
        times = np.stack([self._told(name) for name in points])
        first = np.where(times > 0, times, np.iinfo(np.int64).max).min(axis=0)
        last = times.max(axis=0)
        for index in np.unique(column[self._numbers]):
            here = (column[self._numbers] == index) & (last > 0)
            name = self._records.clocks[int(index)]
            if index == 0 or not here.any():
                continue
            numbers = self._numbers[here]
            offset = estimate(
                self._records.sent_ns[numbers], first[here], last[here], self._records.visible_ns[numbers]
            )
            if own is not None and name == own.name:
                offset = Offset(offset_ns=own.offset_ns, error_ns=0, n=offset.n, contradicting=offset.contradicting)
            yield _Clock(name, role, offset)

    def clocks(self) -> list[ClockFigure]:
        """How far the clocks are from our time of day; from CLOCK_MONOTONIC where that is not known."""
        return [
            ClockFigure(
                clock=one.name,
                role=one.role,
                offset_ms=None if one.offset.offset_ns is None else (one.offset.offset_ns - self._own_ns) / 1e6,
                error_ms=None if one.offset.offset_ns is None else one.offset.error_ns / 1e6,
                n=one.offset.n,
                contradicting=one.offset.contradicting,
            )
            for one in self._clocks
        ]

    def _ours(self, name: str) -> tuple[NDArray[np.float64], float]:
        """When events passed a point, NaN where nobody knows; and the largest error of the clocks, ms."""
        role = "consumers" if name in _CONSUMERS else "serve"
        column = (self._records.consumer_clock if role == "consumers" else self._records.serve_clock)[self._numbers]
        told, error_ns = self._told(name), 0
        ours = np.full(told.size, np.nan)
        for one in self._clocks:
            if one.role == role and one.offset.offset_ns is not None:
                here = (column == self._records.clocks.index(one.name)) & (told > 0)
                # Whole numbers first: nanoseconds since 1970 are too many for the digits of a float.
                ours[here] = (told[here] + one.offset.offset_ns - self._records.go_ns) / 1e6
                error_ns = max(error_ns, one.offset.error_ns)
        return ours, error_ns / 1e6

    def waits(self) -> list[StageFigure]:
        """The waits one after the other; what nobody told, or by an unknown clock, is left out."""
        records, numbers = self._records, self._numbers
        passed = [("intended", records.due_ns[numbers] / 1e6, 0.0)]
        for name, times in (("sent", records.sent_ns), ("acknowledged", records.taken_ns)):
            at = times[numbers]
            passed.append((name, np.where(at > 0, (at - records.go_ns) / 1e6, np.nan), 0.0))
        passed += [(name, *self._ours(name)) for name in _ORDER]
        passed.append(("visible", (records.visible_ns[numbers] - records.go_ns) / 1e6, 0.0))
        return list(_between([one for one in passed if np.isfinite(one[1]).any()]))

    def work(self) -> list[StageFigure]:
        """What the stages did."""
        return [_work(name, histogram) for name, histogram in self._records.stages.items()]


def _between(points: Sequence[tuple[str, NDArray[np.float64], float]]) -> Iterator[StageFigure]:
    if not points:
        return
    name_before, before, error_before = points[0]
    for name, at, error in points[1:]:
        # An acknowledgement may come later than the consumer had the event; nothing waits for less than no time.
        after = np.fmax(at, before)
        took = (after - before)[np.isfinite(at) & np.isfinite(before)]
        if took.size:
            yield StageFigure(
                name=f"{name_before} → {name}",
                sort="wait",
                n=took.size,
                mean_ms=float(took.mean()),
                p50_ms=exact(took, 0.5) if took.size >= samples_needed(0.5) else None,
                p99_ms=exact(took, 0.99) if took.size >= samples_needed(0.99) else None,
                clock_error_ms=error + error_before,
            )
        name_before, before, error_before = name, np.where(np.isfinite(at), after, np.nan), error


def _work(name: str, histogram: HdrHistogram) -> StageFigure:
    values, counts = counted(histogram)
    n = int(counts.sum())

    def told(share: float) -> float | None:
        found = quantile(histogram, share)
        return None if found is None or n < samples_needed(share) else found / 1000

    mean = float((values * counts).sum()) / n / 1000 if n else 0.0
    return StageFigure(name=name, sort="work", n=n, mean_ms=mean, p50_ms=told(0.5), p99_ms=told(0.99))
