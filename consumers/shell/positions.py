"""Where fetching goes on: after an assignment, and where the log does not have the offset that was to come next.

Nothing may be lost, so where in doubt it goes on earlier: repeats have the ids that they had, and are dropped by them.

- no commit: `offset_reset`. Its `latest` holds for partitions that were there when the worker started; one that
  is added later is read from its start. And where it starts at the end, that is committed at once: otherwise a crash
  before the first commit would skip what came meanwhile.
- the offset lies before the log's start (retention): the start. It is a gap like others: what was received is still
  worked on, what is known to be done stays done.
- it lies past the log's end: the topic was deleted and made anew, or the log lost its end. From here both look alike,
  and in the first case no record was seen yet: the start.
- the topic was made anew, and the offset lies within the new log: the topic's id tells; the start.
- the broker tells where the log was cut and went on differently (KIP-320): there.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from consumers.core import signals
from consumers.records import TopicPartition
from consumers.shell import kafka_internals
from consumers.shell.consumer import own
from consumers.shell.notices import LogMadeAnew, OffsetMissing

log = logging.getLogger(__name__)

_ASK_MS = 1000
#: Between two attempts to read commits that could not be read.
_AGAIN_S = 0.5


class Positions:
    """The partitions of one client that are held, paused, until it is known where to go on."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        *,
        latest: Collection[TopicPartition],
        tell: Callable[[OffsetMissing | LogMadeAnew], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._latest = latest
        self._tell = tell
        self._clock = clock
        #: In the order in which they are asked for.
        self._unread: list[TopicPartition] = []
        self._again_at = 0.0
        #: Ids of the topics whose offsets these are.
        self._ids: dict[TopicPartition, Any] = {}

    def __contains__(self, tp: TopicPartition) -> bool:
        """Whether the partition is held."""
        return tp in self._unread

    @property
    def unread(self) -> Collection[TopicPartition]:
        """The partitions that are held."""
        return self._unread

    def hold(self, tps: Iterable[TopicPartition]) -> None:
        """Fetch nothing from these until their commit is read."""
        for tp in tps:
            partition = KafkaPartition(*tp)
            self._consumer.pause(partition)
            # A place to stand, never fetched from: without one the client would look for commits by itself, in each
            # poll, and raise where there is none.
            self._consumer.seek(partition, 0)
            self.let_go([tp])
            self._unread.append(tp)

    def let_go(self, tps: Iterable[TopicPartition]) -> None:
        """These are not ours any more."""
        gone = set(tps)
        self._unread = [tp for tp in self._unread if tp not in gone]

    def read(self, moved: Callable[[], None]) -> Iterator[signals.Assigned]:
        """Where the held partitions go on, as far as it can be read now; calls `moved` after each."""
        if not self._unread or self._clock() < self._again_at:
            return
        for tp in list(self._unread):
            try:
                assigned = self._read(tp)
            except KafkaError as error:
                log.warning("commit of %s cannot be read yet: %r", tp, error, extra={"action": "committed_unread"})
                self._unread.append(self._unread.pop(0))
                self._again_at = self._clock() + _AGAIN_S
                return
            self._unread.pop(0)
            moved()
            yield assigned

    def repair(self, error: OffsetOutOfRangeError | LogTruncationError) -> Iterator[signals.Repositioned]:
        """Go on elsewhere where the client could not; raise `KafkaError` where that cannot be found out now."""
        if isinstance(error, LogTruncationError):
            # The client knows the offset up to which both logs agree, or does not.
            found = error.divergent_offsets
            wanted = {tp: (-1, None if at is None else at.offset) for tp, at in found.items()}
        else:
            wanted = {tp: (offset, None) for tp, offset in error.args[0].items()}
        for partition, (expected, known) in wanted.items():
            tp = TopicPartition(*partition)
            if partition not in self._consumer.assignment() or tp in self._unread:
                continue
            offset = self._start(partition) if known is None else known
            self._consumer.seek(partition, offset)
            self._tell(OffsetMissing(tp, expected, offset))
            # Retention leaves a gap, which the core knows; what it has received or knows to be done stays true.
            if isinstance(error, LogTruncationError) or offset < expected:
                yield signals.Repositioned(tp, offset)

    def check(self) -> Iterator[signals.Repositioned]:
        """Go on at the start of partitions whose topic was made anew; asks no broker but for these."""
        for tp in own(self._consumer.assignment()):
            known, now = self._ids.get(tp), kafka_internals.topic_id(self._consumer, tp.topic)
            if known is None or now is None or known == now or tp in self._unread:
                continue
            partition = KafkaPartition(*tp)
            try:
                offset = self._start(partition)
            except KafkaError as error:
                log.warning("start of %s cannot be read yet: %r", tp, error, extra={"action": "start_unread"})
                return
            self._consumer.seek(partition, offset)
            self._ids[tp] = now
            self._tell(LogMadeAnew(tp))
            yield signals.Repositioned(tp, offset)

    def _read(self, tp: TopicPartition) -> signals.Assigned:
        partition = KafkaPartition(*tp)
        self._ids[tp] = kafka_internals.topic_id(self._consumer, tp.topic)
        found = kafka_internals.committed(self._consumer, partition, _ASK_MS)
        if found is not None:
            # Seeking makes sure that the client's position is the one that the bitmap belongs to.
            self._consumer.seek(partition, found.offset)
            return signals.Assigned(tp, found.offset, found.metadata or "")
        if tp in self._latest:
            offset = self._consumer.end_offsets([partition], timeout_ms=_ASK_MS)[partition]
            self._consumer.commit_async({partition: OffsetAndMetadata(offset, "", -1)})
        else:
            offset = self._start(partition)
        self._consumer.seek(partition, offset)
        return signals.Assigned(tp, offset)

    def _start(self, partition: KafkaPartition) -> int:
        return int(self._consumer.beginning_offsets([partition], timeout_ms=_ASK_MS)[partition])
