"""From the pages of many workers to one set of figures.

Workers come and go, and partitions move between them. A partition's backlog is the newest that anybody told; what the
counters have grown is added up per worker, so that a start from 0 takes nothing away. A worker that answers but does
not move any more (its counter of looks stands still) has told nothing.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from serve.scaling.figures import Figures
from serve.scaling.page import Page
from serve.scaling.settings import ScalingSettings


class _Told(NamedTuple):
    at: float
    events: float


class _Sum(NamedTuple):
    at: float
    arrivals: float
    served: float


@dataclass(slots=True)
class _Worker:
    page: Page
    #: When it last moved, and when it last answered.
    moved_at: float
    answered_at: float


class Tally:
    """Takes pages, round by round; `figures` says what they come to."""

    def __init__(self, settings: ScalingSettings) -> None:
        self._settings = settings
        self._workers: dict[str, _Worker] = {}
        self._backlog: dict[tuple[str, str], _Told] = {}
        self._sums: deque[_Sum] = deque()
        self._figures: Figures | None = None

    @property
    def figures(self) -> Figures | None:
        """The last that is known; None before anybody told anything."""
        return self._figures

    def take(self, pages: Iterable[Page], now: float) -> Figures | None:
        """The pages of one round; the figures as of the last round in which anybody told something."""
        arrivals = served = 0.0
        news = False
        for page in pages:
            before = self._workers.get(page.worker)
            if before is not None and before.page.looks == page.looks:
                before.answered_at = now
                continue
            news = True
            if before is not None:
                arrivals += max(0.0, page.arrivals - before.page.arrivals)
                served += max(0.0, page.served - before.page.served)
            self._workers[page.worker] = _Worker(page, now, now)
            self._backlog.update({place: _Told(now, events) for place, events in page.backlog.items()})
        if news:
            self._forget(now)
            self._add(now, arrivals, served)
            # Workers without a partition know nothing of the load.
            self._figures = self._sum_up(now, served) if self._backlog else self._figures
        return self._figures

    def _forget(self, now: float) -> None:
        forget_s = self._settings.forget_s
        # One that hangs is remembered as long as it answers, or it would come back as a new one.
        self._workers = {name: one for name, one in self._workers.items() if now - one.answered_at <= forget_s}
        self._backlog = {place: told for place, told in self._backlog.items() if now - told.at <= forget_s}

    def _add(self, now: float, arrivals: float, served: float) -> None:
        last = self._sums[-1] if self._sums else _Sum(now, 0.0, 0.0)
        self._sums.append(_Sum(now, last.arrivals + arrivals, last.served + served))
        # The youngest sum that is old enough stays: rates are taken from there.
        while len(self._sums) > 2 and now - self._sums[1].at >= self._settings.rate_window_s:
            self._sums.popleft()

    def _sum_up(self, now: float, served: float) -> Figures:
        stale_s = self._settings.stale_s
        workers = [one.page for one in self._workers.values() if now - one.moved_at <= stale_s]
        first, last = self._sums[0], self._sums[-1]
        seconds = max(last.at - first.at, self._settings.look_every_s)
        return Figures(
            at=now,
            backlog=sum(told.events for told in self._backlog.values()),
            in_flight=sum(page.in_flight for page in workers),
            arrival_rate=(last.arrivals - first.arrivals) / seconds,
            service_rate=(last.served - first.served) / seconds,
            served=served,
            oldest_s=max((page.oldest_s for page in workers), default=0.0),
            outage=any(page.outage for page in workers),
            complete=all(now - told.at <= stale_s for told in self._backlog.values()),
        )
