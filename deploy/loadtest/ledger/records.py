"""What is known of every event of a run, as columns by its number: the one place through which observations enter."""

import math
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from deploy.loadtest.ledger.fates import DEAD, UNSENT
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.roster import Entry
from deploy.loadtest.measuring.histograms import empty_histogram
from deploy.loadtest.measuring.moment import Moment
from deploy.loadtest.measuring.observations import (
    NOWHERE,
    Answer,
    Letter,
    Observation,
    Sent,
    Taken,
    Unsent,
    Visibility,
)
from deploy.loadtest.workload.planned import Planned
from serve.schemas.outcome import Outcome

NS = 1_000_000_000
Column = NDArray[np.int64]
#: What "the last seconds" are, and how many events of them are looked at.
_RECENT_S = 10.0
_RECENT = 20_000
_CONSUMED, _PUBLISHED, _STARTED, _STORED, _FINISHED = range(5)
#: Times that other machines tell, in the order of the rows of `Records.told_ns`.
TOLD = ("consumed", "published", "started", "stored", "finished")


class Scheduled(Protocol):
    """An event and its time."""

    @property
    def at_s(self) -> float:
        """Seconds since the schedule began."""
        ...

    @property
    def event(self) -> Planned:
        """The event."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """Errors of one class, and the first event that had it."""

    where: str
    code: str
    count: int
    example: str


class Records:
    """Columns by event number, which begin at 1; times are CLOCK_MONOTONIC nanoseconds, 0 where nothing is known."""

    def __init__(self, ledger: Ledger, *, warmup_s: float = 0.0, duration_s: float = math.inf) -> None:
        """What counts are events that are due from `warmup_s` on, for `duration_s`."""
        self.ledger = ledger
        ledger.matched = self._matched
        self.warmup_s, self.duration_s = warmup_s, duration_s
        self.go_ns = 0
        #: Since the schedule began.
        self.due_ns: Column = np.zeros(1, np.int64)
        self.sent_ns = self.taken_ns = self.visible_ns = self.due_ns
        #: Nanoseconds since 1970 by a clock elsewhere; rows as in `TOLD`.
        self.told_ns: Column = np.zeros((len(TOLD), 1), np.int64)
        #: Boot ids; the columns hold their indexes, 0 for none.
        self.clocks: list[str] = [""]
        self.consumer_clock: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self.serve_clock = self.consumer_clock
        #: Microseconds of an event by stage, of events that count.
        self.stages: dict[str, HdrHistogram] = {}
        self.planned = 0
        self._due_sorted = self.due_ns
        self._errors: dict[tuple[str, str], list[Any]] = {}
        self._endings: Counter[str] = Counter()
        self._seen: deque[tuple[int, int]] = deque(maxlen=_RECENT)
        self._lags: deque[tuple[int, int]] = deque(maxlen=_RECENT)

    # -- before --

    def plan(self, schedule: Iterable[Scheduled]) -> None:
        """Enter all events of a schedule, numbered from 1 without gaps."""
        due = array("q", [0])
        for one in schedule:
            event = one.event
            if event.number != len(due):
                raise ValueError(f"event {event.number} stands at place {len(due)} of the schedule")
            due.append(round(one.at_s * NS))
            self.ledger.plan(
                Entry(
                    number=event.number,
                    place=NOWHERE,
                    kind=event.kind.value,
                    event_id=event.event_id,
                    listing=event.listing,
                    revision=event.revision,
                    loose=event.loose,
                )
            )
        self._allocate(np.array(due, np.int64))

    def _allocate(self, due_ns: Column) -> None:
        size = len(due_ns)
        self.due_ns, self.planned = due_ns, size - 1
        self.sent_ns, self.taken_ns, self.visible_ns = (np.zeros(size, np.int64) for _ in range(3))
        self.told_ns = np.zeros((len(TOLD), size), np.int64)
        self.consumer_clock, self.serve_clock = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        self._due_sorted = np.sort(due_ns[1:])

    def begin(self, go_ns: int) -> None:
        """The schedule begins at this time."""
        self.go_ns = go_ns

    # -- meanwhile --

    def note(self, observation: Observation) -> None:
        """Enter what a process has seen, in any order."""
        if isinstance(observation, Sent):
            self.sent_ns[observation.number] = observation.at_ns
            self.ledger.handed(observation.number)
            self._lags.append((observation.at_ns, observation.at_ns - self.intended_ns(observation.number)))
        elif isinstance(observation, Taken):
            self.taken_ns[observation.number] = observation.at_ns
            self.ledger.placed(observation.number, observation.place)
        elif isinstance(observation, Answer):
            self.ledger.answer(observation)
        elif isinstance(observation, Letter):
            self.ledger.letter(observation)
        else:
            self._note_unsent(observation)

    def _note_unsent(self, observation: Unsent) -> None:
        self.ledger.unsent(observation.number)
        self._error(UNSENT, observation.reason, observation.number)

    def _matched(self, number: int, came: Answer | Letter) -> None:
        if isinstance(came, Letter):
            self._error(DEAD, came.code, number)
        elif came.visibility is Visibility.REPEAT:
            return
        elif came.outcome in (Outcome.REJECTED, Outcome.FAILED):
            self._error(came.outcome.value, came.code or "", number)
        if self.visible_ns[number] == 0 and came.at_ns:
            self.visible_ns[number] = came.at_ns
            self._seen.append((came.at_ns, came.at_ns - self.intended_ns(number)))
            self._endings[self.ledger.ending(number)] += 1
            if isinstance(came, Answer):
                self._note_way(number, came)

    def _note_way(self, number: int, answer: Answer) -> None:
        told = answer.moments
        column = self.told_ns[:, number]
        column[_CONSUMED], column[_PUBLISHED] = told.consumed_ns, told.published_ns
        column[_STARTED], column[_STORED], column[_FINISHED] = told.started_ns, told.stored_ns, told.finished_ns
        self.consumer_clock[number] = self._clock(told.consumer_clock)
        self.serve_clock[number] = self._clock(told.serve_clock)
        if self.counts(number):
            for stage, took_ms in answer.timings_ms.items():
                histogram = self.stages.get(stage) or self.stages.setdefault(stage, empty_histogram())
                histogram.record_value(round(took_ms * 1000))

    def _clock(self, name: str) -> int:
        if name not in self.clocks and len(self.clocks) < 256:
            self.clocks.append(name)
        return self.clocks.index(name) if name in self.clocks else 0

    def _error(self, where: str, code: str, number: int) -> None:
        error = self._errors.setdefault((where, code), [0, self.ledger.roster.event_id(number)])
        error[0] += 1

    # -- what is known --

    def intended_ns(self, number: int) -> int:
        """When an event was to be sent."""
        return self.go_ns + int(self.due_ns[number])

    def counts(self, number: int) -> bool:
        """Whether an event is due within the measured window."""
        return self.warmup_s <= int(self.due_ns[number]) / NS < self.warmup_s + self.duration_s

    def window(self) -> NDArray[np.bool_]:
        """Which events are due within the measured window; number 0 is none of them."""
        due_s = self.due_ns / NS
        inside = (due_s >= self.warmup_s) & (due_s < self.warmup_s + self.duration_s)
        inside[0] = False
        return inside

    def out(self) -> NDArray[np.bool_]:
        """Which events were sent."""
        return np.array([self.ledger.is_sent(number) for number in range(self.planned + 1)], np.bool_)

    @property
    def sent(self) -> int:
        """Events that were sent, as far as we know."""
        return self.ledger.fates.sent

    @property
    def unsent(self) -> int:
        """Events that a driver could not send."""
        return self.ledger.fates.unsent

    @property
    def answered(self) -> int:
        """Events with a visible answer or a dead letter."""
        return self.ledger.answered

    @property
    def open(self) -> int:
        """Events that were sent and are awaited. `Ledger.settle` finds those whose acknowledgement was lost."""
        return self.sent - self.answered

    def unplaced(self) -> dict[int, str]:
        """Ids of the events, by number, of which nobody has said whether they were taken."""
        roster, fates = self.ledger.roster, self.ledger.fates
        numbers = (one for one in range(1, self.planned + 1) if fates.handed(one) and not roster.placed(one))
        return {one: roster.event_id(one) for one in numbers}

    @property
    def errors(self) -> list[Fault]:
        """Errors by class, the most frequent first."""
        faults = [Fault(where, code, count, first) for (where, code), (count, first) in self._errors.items()]
        return sorted(faults, key=lambda one: (-one.count, one.where, one.code))

    def moment(
        self,
        now_ns: int,
        *,
        samples: Mapping[str, float] | None = None,
        fault: str | None = None,
        healed: int = 0,
        faults: int = 0,
    ) -> Moment:
        """How far the run is; cheap."""
        elapsed_s = (now_ns - self.go_ns) / NS
        span_s = max(1e-3, min(_RECENT_S, elapsed_s))
        since = now_ns - round(span_s * NS)
        latencies, lags = _since(self._seen, since), _since(self._lags, since)
        due = np.searchsorted(self._due_sorted, (since - self.go_ns, now_ns - self.go_ns))
        return Moment(
            phase=self._phase(elapsed_s),
            elapsed_s=elapsed_s,
            planned_s=self.planned_s,
            planned=self.planned,
            sent=self.sent,
            unsent=self.unsent,
            answered=self.answered,
            offered=float(due[1] - due[0]) / span_s,
            delivered=len(latencies) / span_s,
            p50_ms=_share(latencies, 50),
            p99_ms=_share(latencies, 99),
            lag_p99_ms=_share(lags, 99),
            endings=dict(self._endings),
            samples=samples or {},
            fault=fault,
            healed=healed,
            faults=faults,
        )

    @property
    def planned_s(self) -> float:
        """How long the schedule is, warm-up included."""
        last_s = float(self._due_sorted[-1]) / NS if self.planned else 0.0
        return last_s if math.isinf(self.duration_s) else self.warmup_s + self.duration_s

    def _phase(self, elapsed_s: float) -> str:
        if elapsed_s < self.warmup_s:
            return "warm-up"
        return "measured" if elapsed_s < self.planned_s else "drain"


def _since(recent: deque[tuple[int, int]], since_ns: int) -> list[int]:
    found = []
    for at_ns, value in reversed(recent):
        if at_ns < since_ns:
            break
        found.append(value)
    return found


def _share(values: list[int], percent: float) -> float | None:
    return float(np.percentile(values, percent)) / 1e6 if values else None
