"""The poll thread: the only one that touches the Kafka consumer, and the one that runs the engine.

The client (kafka-python 3.0) runs rebalance listeners on its IO thread, while the poll thread waits inside `poll` or
`close` until they return. So the engine, called here from both, is never called by two at a time.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from consumers import kafka_internals
from consumers.client import ServeClient
from consumers.core import actions, signals
from consumers.core.engine import Engine
from consumers.core.status import Status
from consumers.inbox import Inbox
from consumers.producer import ResultProducer
from consumers.records import SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings

log = logging.getLogger(__name__)

_IDLE_POLL_MS = 100
#: While answers are awaited they are picked up at least this often.
_BUSY_POLL_MS = 10
_SHOW_EVERY_S = 1.0
_READ_COMMITTED_MS = 2000
#: Also how long a join may hang before the client tries anew. The poll thread never works, so it may be short.
_MAX_POLL_INTERVAL_MS = 60_000
#: Polls that fail one after another, a second apart, before the worker gives up and leaves it to its supervisor.
_MAX_FAILED_POLLS = 60

Watcher = Callable[[actions.Action], None]
Show = Callable[[Status, dict[TopicPartition, int]], None]


class Poller:
    """Polls, runs the engine, carries out what it says."""

    def __init__(
        self,
        settings: ConsumerSettings,
        engine: Engine,
        inbox: Inbox,
        *,
        client: ServeClient,
        producer: ResultProducer,
        watchers: Sequence[Watcher],
        show: Show,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._inbox = inbox
        self._client = client
        self._producer = producer
        self._watchers = watchers
        self._show = show
        self._consumer = _consumer(settings)
        #: Assigned, paused, and not yet known to the engine: their commit is still to be read.
        self._unread: set[TopicPartition] = set()
        self._stopped = False
        self._failed_polls = 0
        self._show_at = 0.0

    def run(self) -> None:
        """Work until the engine says that it has stopped."""
        try:
            self._look_for_topics()
            self._consumer.subscribe(list(self._settings.topics), listener=_Listener(self))
            while not self._stopped:
                self._turn()
        finally:
            self._consumer.close(autocommit=False, timeout_ms=int(self._settings.commit_deadline_s * 1000))

    def _look_for_topics(self) -> None:
        """Learn the partitions before joining: a member that knows none gets none, and has to join a second time."""
        try:
            for topic in self._settings.topics:
                self._consumer.partitions_for_topic(topic)
        except KafkaError as error:
            log.warning("topics not known yet: %r", error, extra={"action": "poll_failed"})

    def _turn(self) -> None:
        records = self._poll()
        happened: list[signals.Signal] = [*self._read_committed()]
        if records:
            happened.append(signals.Received(records))
        happened += self._inbox.drain()
        now = time.monotonic()
        self._carry_out(self._engine.handle(now, happened))
        if now >= self._show_at:
            self._show_at = now + _SHOW_EVERY_S
            self._show(self._engine.status(), self._ends())

    def _poll(self) -> list[SourceRecord]:
        timeout_ms = _BUSY_POLL_MS if self._engine.busy else _IDLE_POLL_MS
        try:
            batches = self._consumer.poll(timeout_ms=timeout_ms, max_records=self._settings.poll_batch)
        except KafkaError as error:
            self._failed_polls += 1
            log.warning("poll failed: %r", error, extra={"action": "poll_failed"})
            if self._failed_polls >= _MAX_FAILED_POLLS:
                raise
            time.sleep(1.0)
            return []
        self._failed_polls = 0
        return [_source_record(record) for batch in batches.values() for record in batch]

    def _read_committed(self) -> Iterable[signals.Assigned]:
        for tp in sorted(self._unread):
            partition = KafkaPartition(*tp)
            try:
                found = self._consumer.committed(partition, metadata=True, timeout_ms=_READ_COMMITTED_MS)
            except KafkaError as error:
                log.warning("commit of %s cannot be read yet: %r", tp, error, extra={"action": "committed_unread"})
                return
            self._unread.discard(tp)
            if found is None:
                yield signals.Assigned(tp, None)
                continue
            # The client keeps the offset only. Seeking makes sure that its position is the one the bitmap belongs to.
            self._consumer.seek(partition, found.offset)
            yield signals.Assigned(tp, found.offset, found.metadata or "")

    def _carry_out(self, wanted: Iterable[actions.Action]) -> None:
        for action in wanted:
            match action:
                case actions.Send():
                    self._client.send(action)
                case actions.CancelItems():
                    self._client.cancel(action)
                case actions.Publish() | actions.PublishDead():
                    self._producer.put(action)
                case actions.Commit():
                    self._consumer.commit_async(_offsets(action), callback=self._committed(action.commit_id))
                case actions.Pause(tps):
                    self._consumer.pause(*self._ours(tps))
                case actions.Resume(tps):
                    self._consumer.resume(*self._ours(tps))
                case actions.Stopped():
                    self._stopped = True
                case _:
                    pass
            for watch in self._watchers:
                watch(action)

    def _committed(self, commit_id: int) -> Callable[[Any, Any], None]:
        def done(_offsets: Any, response: Any) -> None:
            if isinstance(response, BaseException):
                log.warning("commit failed: %r", response, extra={"action": "commit_failed"})
                self._inbox.put(signals.CommitFailed(commit_id, repr(response)))
            else:
                self._inbox.put(signals.CommitDone(commit_id))

        return done

    def _ours(self, tps: Iterable[TopicPartition]) -> list[KafkaPartition]:
        assigned = self._consumer.assignment()
        return [KafkaPartition(*tp) for tp in tps if tp in assigned]

    def _ends(self) -> dict[TopicPartition, int]:
        assigned = self._consumer.assignment()
        ends = {TopicPartition(*tp): self._consumer.highwater(tp) for tp in assigned}
        return {tp: end for tp, end in ends.items() if end is not None}

    # -- on the client's IO thread, while the poll thread waits --

    def assigned(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions came: hold them until their commit is read."""
        fresh = list(tps)
        self._consumer.pause(*self._ours(fresh))
        self._unread.update(fresh)
        log.info("assigned %d partitions", len(fresh), extra={"action": "assigned", "partitions": _names(fresh)})

    async def revoked(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions go: cancel their work, commit what is done, all within the commit deadline."""
        gone = list(tps)
        log.info("revoked %d partitions", len(gone), extra={"action": "revoked", "partitions": _names(gone)})
        self._unread.difference_update(gone)
        wanted = self._engine.handle(time.monotonic(), [*self._inbox.drain(), signals.Revoked(gone)])
        closing = [action for action in wanted if isinstance(action, actions.Commit) and action.closing]
        self._carry_out(action for action in wanted if action not in closing)
        for commit in closing:
            future = self._consumer.commit_async(_offsets(commit))
            try:
                await kafka_internals.wait_for(self._consumer, future, self._settings.commit_deadline_s)
            except KafkaError as error:
                log.warning("last commit failed: %r", error, extra={"action": "commit_failed"})
            for watch in self._watchers:
                watch(commit)

    def lost(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions are gone already: cancel their work, commit nothing."""
        gone = list(tps)
        log.warning("lost %d partitions", len(gone), extra={"action": "lost", "partitions": _names(gone)})
        self._unread.difference_update(gone)
        self._carry_out(self._engine.handle(time.monotonic(), [signals.Lost(gone)]))


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Hands the group's changes to the poller."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._poller.assigned(_own(assigned))

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._poller.revoked(_own(revoked))

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._poller.lost(_own(lost))


def _consumer(settings: ConsumerSettings) -> KafkaConsumer:
    kafka_internals.mend()
    return KafkaConsumer(
        **settings.client(),
        group_id=settings.group,
        group_instance_id=settings.group_instance_id,
        partition_assignment_strategy=[CooperativeStickyAssignor],
        auto_offset_reset=settings.offset_reset,
        isolation_level=settings.isolation_level,
        enable_auto_commit=False,
        max_poll_records=settings.poll_batch,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=min(1024 * 1024, settings.fetch_max_bytes),
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.session_timeout_s * 300),
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
    )


def _source_record(record: Any) -> SourceRecord:
    tp = TopicPartition(record.topic, record.partition)
    return SourceRecord(tp, record.offset, record.key, record.value, tuple(record.headers), record.timestamp)


def _offsets(commit: actions.Commit) -> dict[KafkaPartition, OffsetAndMetadata]:
    return {
        KafkaPartition(*tp): OffsetAndMetadata(snapshot.offset, snapshot.metadata, -1)
        for tp, snapshot in commit.offsets.items()
    }


def _own(partitions: Iterable[Any]) -> list[TopicPartition]:
    return [TopicPartition(partition.topic, partition.partition) for partition in partitions]


def _names(tps: Iterable[TopicPartition]) -> list[str]:
    return [f"{tp.topic}-{tp.partition}" for tp in tps]
