"""Which record a replay hands to the engine when. No I/O, no clock.

The engine sees one topic that does not exist: each record is, as one from a retry topic, a copy that says where the
event stood first. So the feed alone decides the order:

- Of one listing one event at a time. The engine would call the older ones of several `superseded`; a replay wants all.
- An event with a delayed error comes again when it is due, as a new record; until then nothing waits for it but its
  listing. There are no retry topics in a replay.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from consumers.core.actions import PublishRetry
from consumers.core.retry import Tries
from consumers.events import BadEvent, ListingEvent, parse
from consumers.records import Retried, SourceRecord, TopicPartition

#: The partition that the engine believes in. No topic of Kafka has such a name.
VIRTUAL = TopicPartition("(replay)", 0)

Event = ListingEvent | BadEvent
Place = tuple[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event that is not handed over."""

    origin: SourceRecord
    event: Event
    tries: Tries
    first_failed_at: float | None = None


class Feed:
    """The events of a replay that are read and not done."""

    def __init__(self, parser: Callable[[SourceRecord], Event] = parse) -> None:
        self._parser = parser
        self._lanes: dict[str, deque[_Waiting]] = {}
        #: Lanes of which no event is under way.
        self._free: deque[str] = deque()
        self._under_way: dict[Place, str] = {}
        self._later: list[tuple[float, int, _Waiting]] = []
        self._events: dict[int, Event] = {}
        self._numbers = 0
        #: Bytes of the events that wait for their listing's turn.
        self.held_bytes = 0
        self.held = 0

    @property
    def busy(self) -> bool:
        """Whether anything is read and not done."""
        return bool(self.held or self._under_way)

    @property
    def delayed(self) -> int:
        """Events that wait for another try."""
        return len(self._later)

    def add(self, records: Iterable[SourceRecord]) -> None:
        """Records were read."""
        for record in records:
            event = self._parser(record)
            key = _lane(record, event)
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = deque()
                self._free.append(key)
            lane.append(_Waiting(record, event, Tries()))
            self.held += 1
            self.held_bytes += record.size

    def next(self, now: float) -> SourceRecord | None:
        """The next record for the engine, if one may go now."""
        if self._later and self._later[0][0] <= now:
            return self._copy(heapq.heappop(self._later)[2], now)
        if not self._free:
            return None
        key = self._free.popleft()
        waiting = self._lanes[key].popleft()
        self.held -= 1
        self.held_bytes -= waiting.origin.size
        self._under_way[waiting.origin.tp, waiting.origin.offset] = key
        return self._copy(waiting, now)

    def event(self, record: SourceRecord) -> Event:
        """The event in a record that was handed over: the engine's parser. Each is asked for once."""
        return self._events.pop(record.offset)

    def later(self, retry: PublishRetry, due_at: float) -> None:
        """The event is to be tried again at this time."""
        waiting = _Waiting(retry.record, retry.event, retry.tries, retry.first_failed_at)
        self._numbers += 1
        heapq.heappush(self._later, (due_at, self._numbers, waiting))

    def done(self, origin: SourceRecord) -> None:
        """The event has its end; the next of its listing may go."""
        key = self._under_way.pop((origin.tp, origin.offset))
        if self._lanes[key]:
            self._free.append(key)
        else:
            del self._lanes[key]

    def _copy(self, waiting: _Waiting, now: float) -> SourceRecord:
        self._numbers += 1
        self._events[self._numbers] = waiting.event
        origin, tries = waiting.origin, waiting.tries
        first = now if waiting.first_failed_at is None else waiting.first_failed_at
        told = Retried(origin, tries.transient, tries.delayed, tries.broken, first, due_at=now)
        return origin._replace(tp=VIRTUAL, offset=self._numbers, retried=told)


def _lane(record: SourceRecord, event: Event) -> str:
    # A bad event has no listing: it has a lane of its own, with a name that no listing can have.
    if isinstance(event, BadEvent):
        return f"\0{record.tp.topic}/{record.tp.partition}/{record.offset}"
    return event.listing.key
