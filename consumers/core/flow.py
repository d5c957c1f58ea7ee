"""Flow control: how much may be with Serve, and which partitions may be fetched."""

from collections.abc import Iterable

from consumers.core.limits import Limits
from consumers.core.task import Assignment
from consumers.records import TopicPartition
from serve.schemas.outcome import Outcome

#: Answers that took a store and an index that work.
_PROOFS = frozenset((Outcome.ENRICHED, Outcome.REVIEW_REQUIRED))


class Credit:
    """The window of work that may be with Serve, in events and bytes, and the gate that back-pressure closes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._capacity = min(limits.initial_in_flight, limits.max_in_flight)
        self.per_request = limits.max_events_per_request
        self._open_at = 0.0
        #: Back-pressure answers since the last success.
        self.waits = 0
        #: Events that got through, all the way into the store.
        self.proofs = 0

    def tell(self, max_in_flight: int, max_events_per_request: int) -> None:
        """Serve's own numbers; ours cap them. One event may always be tried, or nothing would notice room again."""
        self._capacity = max(1, min(max_in_flight, self._limits.max_in_flight))
        self.per_request = max(1, min(max_events_per_request, self._limits.max_events_per_request))

    def items(self, in_flight: int) -> int:
        """How many more events may be sent."""
        return max(0, self._capacity - in_flight)

    def fits(self, in_flight_bytes: int, size: int) -> bool:
        """Whether an event of this size may be sent; one larger than the whole cap goes when it is alone."""
        return in_flight_bytes == 0 or in_flight_bytes + size <= self._limits.max_in_flight_bytes

    def is_open(self, now: float) -> bool:
        """Whether anything may be sent at all."""
        return now >= self._open_at

    def close(self, now: float, delay_s: float) -> None:
        """Hold everything back. Refusals of what was already under way do not make the wait longer."""
        if self.is_open(now):
            self._open_at = now + delay_s
            self.waits += 1

    def relieve(self, outcome: Outcome | None = None) -> None:
        """Serve answered, with this outcome or an error: the next wait is short again."""
        self.waits = 0
        self.proofs += outcome in _PROOFS


class Watermarks:
    """Which partitions are paused. Each mark has hysteresis: paused at high, resumed at low."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._full = False
        self.paused: set[TopicPartition] = set()

    def assign(self, tp: TopicPartition) -> None:
        """A new partition comes paused."""
        self.paused.add(tp)

    def withdraw(self, tp: TopicPartition) -> None:
        """The partition is gone."""
        self.paused.discard(tp)

    def update(
        self, assignments: Iterable[Assignment], items: int, size: int, *, stop: bool
    ) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """The partitions to pause and those to resume, given what is buffered; `stop` pauses all."""
        limits = self._limits
        if items >= limits.buffered_high or size >= limits.buffered_bytes_high:
            self._full = True
        elif items < limits.buffered_low and size < limits.buffered_bytes_low:
            self._full = False
        pause, resume = [], []
        for assignment in assignments:
            tp, tracked, was = assignment.tp, assignment.tracker.tracked, assignment.tp in self.paused
            high = limits.window - limits.poll_batch
            mark = high // 2 if was else high
            wanted = stop or self._full or tracked > mark
            if wanted and not was:
                pause.append(tp)
            elif was and not wanted:
                resume.append(tp)
        self.paused.update(pause)
        self.paused.difference_update(resume)
        return pause, resume
