"""Flow control: how much may be with Serve, and which partitions may be fetched."""

from collections import Counter
from collections.abc import Collection

from consumers.core.breaker import Breaker
from consumers.core.limits import Limits
from consumers.core.task import Assignment, Task
from consumers.records import TopicPartition
from serve.schemas.outcome import Outcome

#: Answers that took a store and an index that work.
_PROOFS = frozenset((Outcome.ENRICHED, Outcome.REVIEW_REQUIRED))


class Credit:
    """The window of work that may be with Serve, in events and bytes, behind the breaker."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._capacity = min(limits.initial_in_flight, limits.max_in_flight)
        self.per_request = limits.max_events_per_request
        self.breaker = Breaker()
        #: Events that got through, all the way into the store.
        self.proofs = 0

    def tell(self, max_in_flight: int, max_events_per_request: int) -> None:
        """Serve's own numbers; ours cap them.

        0: no replica is there, so nothing is sent; it would only grow old in a queue. The next number ends that.
        """
        self._capacity = max(0, min(max_in_flight, self._limits.max_in_flight))
        self.per_request = max(1, min(max_events_per_request, self._limits.max_events_per_request))

    def room(self, now: float, in_flight: int, *, probing: bool) -> int:
        """How many more events may be sent now; one in an outage, unless a probe is under way."""
        if self._capacity == 0 or not self.breaker.passes(now):
            return 0
        if self.breaker.tripped:
            return 0 if probing else 1
        return max(0, self._capacity - in_flight)

    def fits(self, in_flight_bytes: int, size: int) -> bool:
        """Whether an event of this size may be sent; one larger than the whole cap goes when it is alone."""
        return in_flight_bytes == 0 or in_flight_bytes + size <= self._limits.max_in_flight_bytes

    def answered(self, outcome: Outcome | None = None) -> None:
        """Serve answered, with this outcome or an error of the event."""
        self.breaker.answered()
        self.proofs += outcome in _PROOFS


class Buffer:
    """What is received and not done, in events and bytes, over all and by topic."""

    def __init__(self) -> None:
        self.items: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.all_items = 0
        self.all_bytes = 0

    def add(self, task: Task, sign: int = 1) -> None:
        """The task came; with -1 it left."""
        topic, size = task.home.tp.topic, task.size
        self.items[topic] += sign
        self.bytes[topic] += sign * size
        self.all_items += sign
        self.all_bytes += sign * size


class Watermarks:
    """Which partitions are paused. Each mark has hysteresis: paused at high, resumed at low.

    A topic that has filled its share of the memory is paused by itself: a backlog of unimportant events leaves room
    for the important ones.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        #: Topics that are above their share; None stands for all together.
        self._full: set[str | None] = set()
        self.paused: set[TopicPartition] = set()

    def assign(self, tp: TopicPartition) -> None:
        """A new partition comes paused."""
        self.paused.add(tp)

    def withdraw(self, tp: TopicPartition) -> None:
        """The partition is gone."""
        self.paused.discard(tp)

    def update(
        self, now: float, assignments: Collection[Assignment], buffer: Buffer, *, stop: bool
    ) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """The partitions to pause and those to resume, given what is buffered; `stop` pauses all."""
        self._measure({assignment.tp.topic for assignment in assignments}, buffer)
        stop = stop or None in self._full
        high = self.window_high
        pause, resume = [], []
        for assignment in assignments:
            tp, was = assignment.tp, assignment.tp in self.paused
            mark = high // 2 if was else high
            if assignment.too_far is not None and not assignment.tracker.beyond(assignment.too_far):
                assignment.too_far = None
            full = stop or tp.topic in self._full or assignment.tracker.tracked > mark
            wanted = full or now < assignment.held_until or assignment.too_far is not None
            if wanted and not was:
                pause.append(tp)
            elif was and not wanted:
                resume.append(tp)
        self.paused.update(pause)
        self.paused.difference_update(resume)
        return pause, resume

    @property
    def window_high(self) -> int:
        """Offsets in work at which a partition is paused: one more poll still fits into the window."""
        return self._limits.window - self._limits.poll_batch

    def _measure(self, topics: set[str], buffer: Buffer) -> None:
        weights = {topic: self._limits.weights.get(topic, 1) for topic in topics}
        total = sum(weights.values())
        self._full &= {None, *topics}
        self._mark(None, buffer.all_items, buffer.all_bytes, 1.0)
        for topic, weight in weights.items():
            self._mark(topic, buffer.items[topic], buffer.bytes[topic], weight / total)

    def _mark(self, name: str | None, items: int, size: int, share: float) -> None:
        limits = self._limits
        if items >= limits.buffered_high * share or size >= limits.buffered_bytes_high * share:
            self._full.add(name)
        elif items < limits.buffered_low * share and size < limits.buffered_bytes_low * share:
            self._full.discard(name)
