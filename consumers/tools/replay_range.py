"""From where to where events are replayed: offsets or times, turned into spans of partitions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from consumers.records import TopicPartition
from consumers.tools.log_reader import LogReader, Span


class Point(NamedTuple):
    """A border of a range: an offset, the same in each partition, or a time in ms since 1970."""

    offset: int | None = None
    time_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What is to be read, fixed when the replay begins: what is produced meanwhile is no part of it."""

    spans: dict[TopicPartition, Span] = field(default_factory=dict)
    #: Topics that there are not.
    missing: tuple[str, ...] = ()
    #: Offsets that were asked for by number and that retention has removed.
    removed: int = 0

    @property
    def size(self) -> int:
        """Offsets in it; some may hold no event."""
        return sum(span.size for span in self.spans.values())


def find(reader: LogReader, topics: Iterable[str], start: Point, end: Point | None) -> Range:
    """The range between two points, with `start` in it and `end` not; without an end up to now."""
    found = reader.layout(topics)
    bounds = reader.bounds(tp for tps in found.values() for tp in tps)
    starts = _offsets(reader, bounds, start)
    ends = {tp: span.end for tp, span in bounds.items()} if end is None else _offsets(reader, bounds, end)
    missing = tuple(topic for topic, tps in found.items() if not tps)
    return between(bounds, starts, ends, missing)


def between(
    bounds: Mapping[TopicPartition, Span],
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    missing: tuple[str, ...] = (),
) -> Range:
    """The part of what was asked for that the topics hold."""
    spans, removed = {}, 0
    for tp, held in bounds.items():
        asked = Span(starts[tp], min(ends[tp], held.end))
        removed += Span(asked.start, min(asked.end, held.start)).size
        there = Span(max(asked.start, held.start), asked.end)
        if there.size:
            spans[tp] = there
    return Range(spans=spans, missing=missing, removed=removed)


def _offsets(reader: LogReader, bounds: Mapping[TopicPartition, Span], point: Point) -> dict[TopicPartition, int]:
    if point.time_ms is not None:
        return reader.first_since(bounds, point.time_ms)
    return dict.fromkeys(bounds, point.offset or 0)
