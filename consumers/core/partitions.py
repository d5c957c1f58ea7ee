"""The partitions that this worker has now, and what it received from them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from consumers.core import actions, signals
from consumers.core.flow import Buffer
from consumers.core.task import Assignment, Place, Task
from consumers.core.tracker import Snapshot, Tracker
from consumers.events import BadEvent, ListingEvent
from consumers.records import SourceRecord, TopicPartition

#: A retry topic is looked at again no sooner than this, however closely its records follow each other.
_HOLD_AT_LEAST_S = 0.2
#: What a replaced client had done is remembered so long.
_REMEMBER_S = 300.0


class Fresh(NamedTuple):
    """A record for which there is work to do."""

    home: Assignment
    record: SourceRecord


class Partitions:
    """Assignments by partition; every stay of a partition has an epoch of its own."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._epoch = 0
        self._remembered: dict[TopicPartition, tuple[float, Snapshot]] = {}
        self.owned: dict[TopicPartition, Assignment] = {}

    def assign(self, signal: signals.Assigned, now: float) -> None:
        """A stay begins where the last commit ends, or where this worker knows better."""
        until, known = self._remembered.pop(signal.tp, (0.0, None))
        self._begin(signal.tp, Tracker(signal.offset, signal.metadata, known if now < until else None))

    def reposition(self, signal: signals.Repositioned) -> None:
        """A stay begins elsewhere; nothing that was known of the partition counts."""
        self._begin(signal.tp, Tracker(signal.offset))

    def withdraw(self, tps: Iterable[TopicPartition], *, remember_at: float | None = None) -> list[Assignment]:
        """These stays are over, and their tasks are gone."""
        gone = [assignment for tp in tps if (assignment := self.owned.pop(tp, None)) is not None]
        for assignment in gone:
            for task in assignment.tasks.values():
                task.place = Place.GONE
                self._buffer.add(task, -1)
            if remember_at is not None and (snapshot := assignment.tracker.snapshot()) is not None:
                self._remembered[assignment.tp] = (remember_at + _REMEMBER_S, snapshot)
        return gone

    def receive(self, records: Sequence[SourceRecord], now: float) -> Iterator[Fresh | actions.Action]:
        """The records for which there is work to do, and what to do about the others."""
        passed: dict[TopicPartition, list[int]] = {}
        for record in records:
            home = self.owned.get(record.tp)
            if home is None or now < home.held_until or home.too_far is not None:
                continue
            if record.offset < home.tracker.expected:
                passed.setdefault(record.tp, []).append(record.offset)
            elif home.tracker.beyond(record.offset):
                home.too_far, home.too_far_since = record.offset, now
                yield actions.SeekBack(record.tp, record.offset)
            elif record.retried is not None and record.retried.due_at > now:
                home.held_until = max(record.retried.due_at, now + _HOLD_AT_LEAST_S)
                yield actions.SeekBack(record.tp, record.offset)
            elif home.tracker.deliver(record.offset):
                yield Fresh(home, record)
        for tp, offsets in passed.items():
            yield actions.WentBack(tp, offsets[0], self.owned[tp].tracker.expected, len(offsets))

    def keep(self, home: Assignment, record: SourceRecord, event: ListingEvent | BadEvent) -> Task:
        """The task for a received record, until it is done."""
        task = home.tasks[record.offset] = Task.of(home, record, event)
        self._buffer.add(task)
        return task

    def done(self, task: Task) -> None:
        """What the task ended in is with the broker."""
        task.place = Place.GONE
        del task.home.tasks[task.record.offset]
        task.home.tracker.complete(task.record.offset)
        self._buffer.add(task, -1)

    def _begin(self, tp: TopicPartition, tracker: Tracker) -> None:
        self._epoch += 1
        self.owned[tp] = Assignment(tp, self._epoch, tracker)
