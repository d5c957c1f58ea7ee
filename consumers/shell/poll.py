"""The poll thread: the only one that touches the Kafka consumer, and the one that runs the engine.

In rebalances the engine runs on the client's IO thread, see rebalance.py. Whatever waits has a deadline, or is watched
by watchdog.py.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from consumers.core import actions, signals
from consumers.core.engine import Engine
from consumers.core.status import Status
from consumers.records import SourceRecord, TopicPartition
from consumers.retries import read as read_retried
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from consumers.shell.commits import Commits
from consumers.shell.consumer import ConsumerFactory, connect, own, source_records
from consumers.shell.driver import Driver, Publisher, Serve, Transacting, Watcher
from consumers.shell.ends import End, Ends
from consumers.shell.inbox import Inbox
from consumers.shell.lease import Lease, LeaseLost
from consumers.shell.membership import Membership
from consumers.shell.notices import PollFailed, StartedOver
from consumers.shell.positions import Positions
from consumers.shell.rebalance import Listener
from consumers.shell.topics import TopicWatch, learn

log = logging.getLogger(__name__)

_IDLE_POLL_MS = 100
#: While answers are awaited they are picked up at least this often.
_BUSY_POLL_MS = 10
#: What came while the engine worked is taken without a poll in between, which costs more than a step; so often at most.
_STEPS_PER_POLL = 4
_LOOK_EVERY_S = 1.0
_SETTLE_LOOK_S = 0.02
#: Polls that fail one after another, a second apart, before the worker gives up and leaves it to its supervisor.
_MAX_FAILED_POLLS = 60

Show = Callable[[Status, dict[TopicPartition, End]], None]


class Poller:
    """Polls, runs the engine, carries out what it says. One `Poller` is one membership of the group, with its client.

    `run` does all of it; a test may call `open`, `turn` and `close` by itself.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        engine: Engine,
        inbox: Inbox,
        *,
        client: Serve,
        producer: Publisher,
        transactions: Transacting | None = None,
        watchers: Sequence[Watcher] = (),
        show: Show = lambda _status, _ends: None,
        consumer_factory: ConsumerFactory = connect,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        lease: Lease | None = None,
    ) -> None:
        self.lease = lease or Lease()
        self.consumer: KafkaConsumer | None = None
        self.stopped = False
        self.closing = False
        #: When the thread was last seen to move.
        self.moved_at = clock()
        self._settings = settings
        self._transactions = transactions
        self._show = show
        self._connect = consumer_factory
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._driver = Driver(
            engine, inbox, self.lease, clock=clock, client=client, producer=producer, watchers=watchers
        )
        self._delays = settings.retry_delays_s
        self._topics = TopicWatch((*settings.topics, *settings.retry_topics), self._driver.tell)
        self._commits: Commits | None = None
        self._failed_polls = 0
        self._look_at = 0.0

    def run(self) -> None:
        """Work until the engine says that it has stopped, or until another client has taken over."""
        try:
            self.open()
            try:
                while not self.stopped:
                    self.turn()
            finally:
                self.close()
        except LeaseLost:
            log.info("the thread of a replaced client has come back", extra={"action": "returned"})

    def open(self) -> None:
        """Connect and ask to join; the group answers within the next turns."""
        settings = self._settings
        self.consumer = self._kafka = self._connect(settings)
        self.moved_at = self._clock()
        self._commits = self._sent = Commits(self._kafka, self._driver, self._clock)
        self._membership = Membership(self._kafka, static=settings.group_instance_id is not None)
        there = learn(self._kafka, (*settings.topics, *settings.retry_topics))
        latest = [tp for tp in there if settings.offset_reset == "latest" and tp.topic not in self._delays]
        self._positions = Positions(self._kafka, latest=latest, tell=self._driver.tell, clock=self._clock)
        self._ends = Ends(self._kafka, self._clock)
        listener = Listener(assigned=self._assigned, revoked=self._revoked, lost=self._lost)
        self._kafka.subscribe([*settings.topics, *settings.retry_topics], listener=listener)

    def turn(self) -> None:
        """One round: poll, tell the engine, do what it wants."""
        self.moved_at = self._clock()
        happened = self._poll()
        self._membership.look()
        if self._membership.renewed():
            happened += self._start_over(own(self._kafka.assignment()))
        happened += self._positions.read(self._moved)
        look = self._clock() >= self._look_at
        if look:
            happened += self._positions.check()
        self._carry_out(self._driver.step(before=happened))
        for _ in range(_STEPS_PER_POLL):
            if not self._driver.waiting or self.stopped:
                break
            self._carry_out(self._driver.step())
        if look:
            self._look_at = self._clock() + _LOOK_EVERY_S
            self._topics.look(self._kafka)
            self._show(self._driver.engine.status(), self._ends.look(self._positions.unread))

    def close(self) -> None:
        """Leave the group, in a bounded time; what is done of the partitions is committed on the way."""
        if self.lease.held:
            self.closing = True
            self.moved_at = self._clock()
            self._kafka.close(autocommit=False, timeout_ms=int(self._settings.commit_deadline_s * 1000))

    def take_over(self) -> None:
        """Tell the engine that the client before this one is gone with all its partitions. Call before `run`."""
        held = list(self._driver.engine.status().window_used)
        self._carry_out(self._driver.step(after=[signals.Lost(held, replaced=True)]))

    @property
    def unhanded(self) -> int | None:
        """A transaction that the engine waits for and that nobody has begun."""
        return self._driver.unhanded

    def stall(self, limit_s: float) -> str | None:
        """What has not moved for this time; None where all is well. May be called from any thread."""
        now = self._clock()
        if now - self.moved_at > limit_s:
            return f"the poll thread has not moved for {now - self.moved_at:.0f} s"
        oldest = None if self._commits is None else self._commits.oldest()
        if oldest is not None and now - oldest > limit_s:
            return f"a commit has had no answer for {now - oldest:.0f} s"
        return None

    # -- in --

    def _moved(self) -> None:
        self.moved_at = self._clock()

    def _poll(self) -> list[signals.Signal]:
        timeout_ms = _BUSY_POLL_MS if self._driver.engine.busy else _IDLE_POLL_MS
        timeout_ms = 0 if self._driver.waiting else timeout_ms
        try:
            try:
                batches = self._kafka.poll(timeout_ms=timeout_ms, max_records=self._settings.poll_batch)
            except (OffsetOutOfRangeError, LogTruncationError) as error:
                return list(self._positions.repair(error))
            except NoOffsetForPartitionError as error:
                return self._start_over(own(error.args[0]))
        except KafkaError as error:
            self._poll_failed(error)
            return []
        self._failed_polls = 0
        received_ns = int(self._wall() * 1e9)
        polled = (self._records(partition, batch, received_ns) for partition, batch in batches.items())
        records = [record for records in polled for record in records]
        return [signals.Received(records)] if records else []

    def _poll_failed(self, error: KafkaError) -> None:
        if not self.lease.held:
            raise LeaseLost
        self._failed_polls += 1
        self._driver.tell(PollFailed(type(error).__name__, str(error)))
        if self._failed_polls >= _MAX_FAILED_POLLS:
            raise error
        self._sleep(1.0)

    def _records(self, partition: Any, batch: Iterable[Any], received_ns: int) -> list[SourceRecord]:
        tp = TopicPartition(partition.topic, partition.partition)
        records = source_records(tp, batch, received_ns)
        delay_s = self._delays.get(tp.topic)
        if delay_s is None:
            return records
        now = self._clock()
        return [read_retried(record, delay_s, self._wall() - now, now) for record in records]

    def _start_over(self, tps: Iterable[TopicPartition]) -> list[signals.Signal]:
        """Begin anew with the commits of these; what is known to be done is remembered until then."""
        held = [tp for tp in tps if tp not in self._positions]
        if not held:
            return []
        self._driver.tell(StartedOver(len(held)))
        self._positions.hold(held)
        return [signals.Lost(held, replaced=True)]

    # -- out --

    def _carry_out(self, wanted: Iterable[actions.Action]) -> None:
        for action in wanted:
            match action:
                case actions.Commit():
                    self._sent.send(action)
                case actions.Transact():
                    self._transact(action)
                case actions.SeekBack(tp, offset):
                    for partition in self._ours([tp]):
                        self._kafka.seek(partition, offset)
                case actions.Pause(tps):
                    self._kafka.pause(*self._ours(tps))
                case actions.Resume(tps):
                    self._kafka.resume(*self._ours(tps))
                case actions.Stopped():
                    self.stopped = True
                case _:
                    pass

    def _transact(self, transact: actions.Transact) -> None:
        group = self._kafka.group_metadata()
        with self.lease:
            self._driver.unhanded = None
            # Without a generation the broker would take offsets from anybody.
            if self._transactions is None or group.generation_id < 0 or not group.member_id:
                self._driver.put(signals.TransactionFailed(transact.txn_id, "not a member of the group"))
            else:
                self._transactions.put(transact, group)

    def _ours(self, tps: Iterable[TopicPartition]) -> list[KafkaPartition]:
        assigned = self._kafka.assignment()
        return [KafkaPartition(*tp) for tp in tps if tp in assigned and tp not in self._positions]

    # -- on the client's IO thread, while the poll thread waits --

    def _assigned(self, tps: list[TopicPartition]) -> None:
        self._positions.hold(tps)

    async def _revoked(self, tps: list[TopicPartition]) -> None:
        """Cancel their work and commit what is done, all within the commit deadline."""
        deadline = self._clock() + self._settings.commit_deadline_s
        await self._settle(deadline)
        self._positions.let_go(tps)
        if self._membership.renewed():
            self._start_over(own(self._kafka.assignment()))
            self._lost(tps)
            return
        wanted = self._driver.step(after=[signals.Revoked(tps)])
        closing = [action for action in wanted if isinstance(action, actions.Commit) and action.closing]
        self._carry_out(action for action in wanted if action not in closing)
        for commit in closing:
            left_s = max(deadline - self._clock(), 0.0)
            try:
                await kafka_internals.wait_for(self._kafka, self._sent.send(commit), left_s)
            except KafkaError as error:
                log.warning("last commit failed: %r", error, extra={"action": "commit_failed"})
            self._sent.forget(commit)
        await self._settle(deadline)

    async def _settle(self, deadline: float) -> None:
        """Wait for the transaction under way: it may hold offsets of what is to be given away."""
        transactions = self._transactions
        while transactions is not None and transactions.busy and self._clock() < deadline:
            await kafka_internals.sleep(self._kafka, _SETTLE_LOOK_S)

    def _lost(self, tps: list[TopicPartition]) -> None:
        self._positions.let_go(tps)
        self._carry_out(self._driver.step(after=[signals.Lost(tps)]))
