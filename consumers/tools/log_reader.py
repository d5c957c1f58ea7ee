"""Partitions read from here to there, for tools: no group, no commits, and nobody else notices."""

import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.errors import KafkaError, KafkaTimeoutError, OffsetOutOfRangeError

from consumers.records import SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals

_POLL_MS = 200
#: So long was nothing found though something must be there.
_STUCK_S = 30.0
_BATCH = 500


class Span(NamedTuple):
    """Offsets from `start` up to, and without, `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Offsets in it; some may hold no record (compaction, transaction markers)."""
        return max(0, self.end - self.start)


class LogReader:
    """Reads spans of partitions. For one thread."""

    def __init__(self, settings: ConsumerSettings, *, batch: int = _BATCH) -> None:
        kafka_internals.mend()
        self._consumer = KafkaConsumer(
            **settings.client(),
            group_id=None,
            # Never moved in silence: what retention takes away while it is read is counted.
            auto_offset_reset="none",
            enable_auto_commit=False,
            isolation_level=settings.isolation_level,
            max_poll_records=batch,
            fetch_max_bytes=settings.fetch_max_bytes,
        )
        self._ends: dict[TopicPartition, int] = {}
        #: Time spent in polls that found nothing; whoever reads may pause between them as long as they like.
        self._in_vain_s = 0.0
        self._positions_before: dict[TopicPartition, int] = {}
        #: Offsets that were removed from the topics before they were read.
        self.removed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close(autocommit=False)

    def layout(self, topics: Iterable[str]) -> dict[str, list[TopicPartition]]:
        """The partitions of each topic; none where it is missing."""
        wanted = list(topics)
        # Asked for as a whole: a broker may make the topic that it is asked about.
        there = self._consumer.topics() if wanted else set()
        return {topic: self._partitions(topic) if topic in there else [] for topic in wanted}

    def partitions(self, topic: str) -> list[TopicPartition]:
        """The partitions of a topic; none where it is missing."""
        return self.layout([topic])[topic]

    def bounds(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Span]:
        """First offset and end of each partition."""
        wanted = [KafkaPartition(*tp) for tp in tps]
        if not wanted:
            return {}
        begins, ends = self._consumer.beginning_offsets(wanted), self._consumer.end_offsets(wanted)
        return {TopicPartition(*tp): Span(begins[tp], ends[tp]) for tp in wanted}

    def first_since(self, bounds: Mapping[TopicPartition, Span], time_ms: int) -> dict[TopicPartition, int]:
        """Offset of the first record stamped at this time or later, per partition; its end where there is none."""
        if not bounds:
            return {}
        found = self._consumer.offsets_for_times({KafkaPartition(*tp): time_ms for tp in bounds})
        return {
            tp: bounds[tp].end if (at := found.get(KafkaPartition(*tp))) is None else min(at.offset, bounds[tp].end)
            for tp in bounds
        }

    def start(self, spans: Mapping[TopicPartition, Span]) -> None:
        """Read these spans from now on."""
        self._ends = {tp: span.end for tp, span in spans.items() if span.size}
        self._in_vain_s = 0.0
        self._consumer.assign([KafkaPartition(*tp) for tp in self._ends])
        for tp in self._ends:
            self._consumer.seek(KafkaPartition(*tp), spans[tp].start)
            # A partition that was read before is still paused.
            self._consumer.resume(KafkaPartition(*tp))

    @property
    def done(self) -> bool:
        """Whether all spans are read."""
        return not self._ends

    def poll(self, timeout_ms: int = _POLL_MS) -> list[SourceRecord]:
        """The next records of the spans; `KafkaError` where none come though there must be some."""
        if self.done:
            return []
        began = time.monotonic()
        try:
            batches = self._consumer.poll(timeout_ms=timeout_ms)
        except OffsetOutOfRangeError as error:
            self._catch_up(error)
            batches = {}
        except KafkaError as error:
            if not error.retriable:
                raise
            batches = {}
        records = [_record(one) for batch in batches.values() for one in batch]
        found = [record for record in records if record.offset < self._ends.get(record.tp, 0)]
        positions = self._positions()
        self._in_vain_s = 0.0 if positions != self._positions_before else self._in_vain_s + time.monotonic() - began
        self._positions_before = positions
        if self._in_vain_s > _STUCK_S:
            raise KafkaTimeoutError(f"nothing came for {_STUCK_S:g} s from {', '.join(map(str, self._ends))}")
        self.leave([tp for tp, position in positions.items() if position >= self._ends[tp]])
        return found

    def leave(self, tps: Iterable[TopicPartition]) -> None:
        """Read no more of these."""
        for tp in tps:
            if self._ends.pop(tp, None) is not None:
                self._consumer.pause(KafkaPartition(*tp))

    def read(self, spans: Mapping[TopicPartition, Span]) -> Iterator[SourceRecord]:
        """All records of these spans."""
        self.start(spans)
        while not self.done:
            yield from self.poll()

    def at(self, tp: TopicPartition, offset: int) -> SourceRecord | None:
        """The record at this place; None where it is gone, or never was."""
        if tp not in self.partitions(tp.topic):
            return None
        bounds = self.bounds([tp])[tp]
        if not bounds.start <= offset < bounds.end:
            return None
        found = next(self.read({tp: Span(offset, offset + 1)}), None)
        return found if found is not None and found.offset == offset else None

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in sorted(self._consumer.partitions_for_topic(topic))]

    def _positions(self) -> dict[TopicPartition, int]:
        # Past the last record there may be offsets without one: only the position passes them.
        return {tp: self._consumer.position(KafkaPartition(*tp)) for tp in self._ends}

    def _catch_up(self, error: OffsetOutOfRangeError) -> None:
        for partition, offset in dict(error.args[0]).items():
            begin = self._consumer.beginning_offsets([partition])[partition]
            end = self._ends.get(TopicPartition(*partition), offset)
            self.removed += max(0, min(begin, end) - offset)
            self._consumer.seek(partition, begin)


def _record(record: Any) -> SourceRecord:
    tp = TopicPartition(record.topic, record.partition)
    return SourceRecord(tp, record.offset, record.key, record.value, tuple(record.headers), record.timestamp)
