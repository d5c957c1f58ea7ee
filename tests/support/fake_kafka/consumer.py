"""A consumer as the client's: `poll` does what it does there, and nothing happens between calls but heartbeats."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import (
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    UnstableOffsetCommitError,
)
from kafka.future import Future
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, OffsetAndTimestamp

from tests.support.fake_kafka.faults import CommitFate, ConsumerFaults, Hung
from tests.support.fake_kafka.log import Entry, PartitionLog
from tests.support.fake_kafka.membership import Membership

if TYPE_CHECKING:
    from tests.support.fake_kafka.broker import FakeBroker

_DEFAULTS: dict[str, Any] = {
    "group_id": None,
    "group_instance_id": None,
    "auto_offset_reset": "latest",
    "isolation_level": "read_uncommitted",
    "max_poll_records": 500,
    "session_timeout_ms": 45_000,
    "max_poll_interval_ms": 300_000,
    "metadata_max_age_ms": 300_000,
}


@dataclass(slots=True)
class _Place:
    """What the client keeps of an assigned partition."""

    position: int | None = None
    paused: bool = False
    highwater: int | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    offsets: dict[TopicPartition, OffsetAndMetadata]
    me: ConsumerGroupMetadata
    future: Future


class _Loop:
    """The parts of the client's private loop that listeners use: time passes as `on_wait` says."""

    def __init__(self, consumer: "FakeConsumer") -> None:
        self._consumer = consumer

    async def wait_for(self, future: Future, timeout_ms: float | None) -> Any:
        if not future.is_done:
            self._consumer.on_wait(60.0 if timeout_ms is None else timeout_ms / 1000)
        if not future.is_done:
            raise KafkaTimeoutError
        if future.exception is not None:
            raise future.exception
        return future.value

    async def sleep(self, seconds: float) -> None:
        self._consumer.on_wait(seconds)

    def call_soon(self, call: Callable[..., Any], *given: Any) -> Future:
        return Future().success(call(*given))


class _Coordinator:
    """The client's private coordinator, as far as we use it."""

    def __init__(self, consumer: "FakeConsumer") -> None:
        self._consumer = consumer
        #: Answers to questions for commits that nobody waited for; the client gives them to who asks next.
        self._offset_fetch_futures: dict[frozenset[TopicPartition], OffsetAndMetadata | None] = {}

    def request_rejoin(self) -> None:
        self._consumer.rejoin()


class _Fetcher:
    """The client's private fetcher, as far as we use it; the brokers answer at once."""

    def __init__(self, consumer: "FakeConsumer") -> None:
        self._consumer = consumer

    def _send_list_offsets_requests(
        self, wanted: Mapping[TopicPartition, int]
    ) -> tuple[dict[TopicPartition, OffsetAndTimestamp], set[TopicPartition]]:
        there = [tp for tp in wanted if self._consumer.broker.find(tp) is not None]
        ends = self._consumer.end_offsets(there)
        return {tp: OffsetAndTimestamp(end, -1, -1) for tp, end in ends.items()}, set(wanted).difference(there)


class _Subscription:
    """The client's private knowledge of where it is."""

    def __init__(self, consumer: "FakeConsumer") -> None:
        self._consumer = consumer

    @property
    def assignment(self) -> dict[TopicPartition, SimpleNamespace]:
        places = self._consumer._places.items()
        at = {tp: None if place.position is None else OffsetAndMetadata(place.position, "", -1) for tp, place in places}
        return {tp: SimpleNamespace(position=position) for tp, position in at.items()}


class _Cluster:
    """What the client knows of topics without asking."""

    unauthorized_topics: frozenset[str] = frozenset()

    def __init__(self, broker: "FakeBroker") -> None:
        self._broker = broker

    def brokers(self) -> set[str]:
        return {"fake"}

    def topic_id(self, topic: str) -> None:
        """The fake gives topics no ids."""

    @property
    def _partitions(self) -> dict[str, list[PartitionLog]]:
        return self._broker.topics


class FakeConsumer:
    """In place of `KafkaConsumer`. `faults`, `frozen`, `deaf`, `crash` and `release_commit` are the test's."""

    def __init__(self, broker: "FakeBroker", *topics: str, **config: Any) -> None:
        self.broker = broker
        self.config = {**_DEFAULTS, **config}
        self.faults = ConsumerFaults()
        #: Stopped like a process by SIGSTOP: no heartbeats. The test does not call it meanwhile.
        self.frozen = False
        #: Its heartbeats are not answered: it does not hear that the group goes on without it.
        self.deaf = False
        #: Called for the time that a listener waits.
        self.on_wait: Callable[[float], None] = broker.advance
        self._manager = self._net = _Loop(self)
        self._coordinator = _Coordinator(self)
        self._cluster = _Cluster(broker)
        self._fetcher = _Fetcher(self)
        self._subscription = _Subscription(self)
        self._places: dict[TopicPartition, _Place] = {}
        self._answers: deque[Callable[[], None]] = deque()
        self._delayed: deque[tuple[_Request, CommitFate]] = deque()
        self._closed = False
        self._turn = 0
        group = self.config["group_id"]
        self._member = None if group is None else Membership(self, group, self.config["group_instance_id"], self.config)
        if topics:
            self.subscribe(topics)

    # -- what is consumed --

    def subscribe(self, topics: Iterable[str], listener: Any = None) -> None:
        self._topics = tuple(topics)
        if self._member is None:
            self._assign_all()
        else:
            self._member.topics, self._member.listener = self._topics, listener

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._places = {tp: self._places.get(tp, _Place()) for tp in partitions}

    def assignment(self) -> set[TopicPartition]:
        return set(self._places)

    def subscription(self) -> set[str] | None:
        return set(self._topics) if hasattr(self, "_topics") else None

    def take(self, assigned: Collection[TopicPartition]) -> None:
        """The group gave these; what stays keeps its place."""
        self._places = {tp: self._places.get(tp, _Place()) for tp in assigned}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self.broker.count(topic) or 0))

    def topics(self) -> set[str]:
        return set(self.broker.topics)

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata(None) if self._member is None else self._member.metadata()

    # -- fetching --

    def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> dict[TopicPartition, list[ConsumerRecord]]:
        self._must_be_open()
        if self.faults.polls:
            raise self.faults.polls.popleft()
        if self._member is not None:
            self._answer()
            self.beat()
            if self._member.topics and not self._member.poll():
                return {}
        elif hasattr(self, "_topics"):
            self._assign_all()
        if not self._find_positions():
            return {}
        return self._fetch(max_records or self.config["max_poll_records"])

    def position(self, partition: TopicPartition, timeout_ms: float | None = None) -> int | None:
        place = self._assigned(partition)
        if place.position is None:
            self._find_positions()
        return place.position

    def highwater(self, partition: TopicPartition) -> int | None:
        return self._assigned(partition).highwater

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if not isinstance(offset, int) or offset < 0:
            raise ValueError("Offset must be int >= 0")
        if partition not in self._places:
            raise ValueError("Unassigned partition")
        self._places[partition].position = offset

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        for tp in partitions or self._places:
            self.seek(tp, self.broker.log(tp).start)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        for tp in partitions or self._places:
            self.seek(tp, self._end(self.broker.log(tp)))

    def pause(self, *partitions: TopicPartition) -> None:
        for tp in partitions:
            self._places[tp].paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        for tp in partitions:
            self._places[tp].paused = False

    def paused(self) -> set[TopicPartition]:
        return {tp for tp, place in self._places.items() if place.paused}

    def beginning_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        return {tp: self._existing(tp).start for tp in partitions}

    def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        return {tp: self._end(self._existing(tp)) for tp in partitions}

    def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        found: dict[TopicPartition, OffsetAndTimestamp | None] = {}
        for tp, timestamp in timestamps.items():
            later = [e for e in self._existing(tp).entries if e.timestamp >= timestamp and not e.control]
            found[tp] = OffsetAndTimestamp(later[0].offset, later[0].timestamp, 0) if later else None
        return found

    # -- offsets of the group --

    def committed(
        self, partition: TopicPartition, metadata: bool = False, timeout_ms: float | None = None
    ) -> OffsetAndMetadata | int | None:
        if self.faults.committed:
            raise self.faults.committed.popleft()
        late, question = self._coordinator._offset_fetch_futures, frozenset((partition,))
        try:
            found = late.pop(question) if question in late else self._fetch_committed(partition)
        except UnstableOffsetCommitError:
            # The client asks again and again, until its time is over or the transaction is.
            if timeout_ms is None:
                raise Hung("committed() waits for a transaction") from None
            raise KafkaTimeoutError from None
        if timeout_ms == 0:
            late[question] = found
            raise KafkaTimeoutError
        return found if metadata or found is None else found.offset

    def commit_async(
        self,
        offsets: dict[TopicPartition, OffsetAndMetadata] | None = None,
        callback: Callable[[Any, Any], None] | None = None,
    ) -> Future:
        self._answer()
        wanted = self._consumed() if offsets is None else offsets
        future = Future()
        if callback is not None:
            # The last one that was answered is told first, as the client does.
            future.add_both(lambda found: self._answers.appendleft(lambda: callback(wanted, found)))
        fate = self.faults.commits.popleft() if self.faults.commits else CommitFate.FINE
        try:
            request = _Request(wanted, self._group().for_commit(), future)
        except KafkaError as error:
            return future.failure(error)
        if fate is CommitFate.DELAYED or self._delayed:
            # One connection keeps the order: what is sent later waits behind it.
            self._delayed.append((request, CommitFate.FINE if fate is CommitFate.DELAYED else fate))
        else:
            self._carry_out(request, fate)
        return future

    def commit(
        self, offsets: dict[TopicPartition, OffsetAndMetadata] | None = None, timeout_ms: float | None = None
    ) -> None:
        future = self.commit_async(offsets)
        if not future.is_done:
            raise KafkaTimeoutError if timeout_ms is not None else Hung("commit() waits for its answer")
        if future.exception is not None:
            raise future.exception

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        if self._closed:
            return
        self._closed = True
        if self._member is not None:
            self._member.close()
        self._places = {}

    # -- for the test --

    @property
    def delayed_commits(self) -> int:
        """Commits that are still on their way."""
        return len(self._delayed)

    def release_commit(self) -> None:
        """The oldest commit that is on its way arrives, and is answered."""
        self._carry_out(*self._delayed.popleft())

    def rejoin(self) -> None:
        """Join once more with the next poll."""
        self._group().rejoin()

    def cut(self, *, leave: bool) -> None:
        """End it as `kafka_internals.cut` does: nothing more is done or told; out of the group if it got so far."""
        if leave and self._member is not None:
            self._member.leave()
        self.crash()

    def crash(self, *, commits_arrive: bool = False) -> None:
        """Die without a word to anybody. What was on its way arrives, or not."""
        while self._delayed and commits_arrive:
            self.release_commit()
        self._delayed.clear()
        self._closed = True

    def beat(self) -> None:
        """What the IO thread does as time passes."""
        if self._member is not None and not (self._closed or self.frozen or self.deaf):
            self._member.beat()

    # -- inside --

    def _carry_out(self, request: _Request, fate: CommitFate) -> None:
        if fate in (CommitFate.FINE, CommitFate.ANSWER_LOST, CommitFate.STORED_NEVER):
            try:
                self.broker.group(self.config["group_id"]).commit(request.offsets, request.me)
            except KafkaError as error:
                request.future.failure(self._group().refused(error))
                return
        match fate:
            case CommitFate.FINE:
                request.future.success(None)
            case CommitFate.ANSWER_LOST | CommitFate.NOT_STORED:
                request.future.failure(RequestTimedOutError())

    def _answer(self) -> None:
        while self._answers:
            self._answers.popleft()()

    def _consumed(self) -> dict[TopicPartition, OffsetAndMetadata]:
        placed = {tp: place.position for tp, place in self._places.items()}
        return {tp: OffsetAndMetadata(position, "", -1) for tp, position in placed.items() if position is not None}

    def _group(self) -> Membership:
        if self._member is None:
            raise IllegalStateError("Requires group_id")
        return self._member

    def _fetch_committed(self, tp: TopicPartition) -> OffsetAndMetadata | None:
        self._group()
        return self.broker.group(self.config["group_id"]).fetch(tp, stable=self._reads_committed)

    @property
    def _reads_committed(self) -> bool:
        return bool(self.config["isolation_level"] == "read_committed")

    def _find_positions(self) -> bool:
        missing = [tp for tp, place in self._places.items() if place.position is None]
        for tp in missing:
            try:
                found = None if self._member is None else self._fetch_committed(tp)
            except UnstableOffsetCommitError:
                return False
            if found is not None:
                self._places[tp].position = found.offset
        nowhere = {tp for tp in missing if self._places[tp].position is None}
        if nowhere and self.config["auto_offset_reset"] == "none":
            raise NoOffsetForPartitionError(nowhere)
        for tp in nowhere:
            self._reset(tp)
        return True

    def _reset(self, tp: TopicPartition) -> None:
        log = self.broker.find(tp)
        if log is not None:
            earliest = self.config["auto_offset_reset"] == "earliest"
            self._places[tp].position = log.start if earliest else self._end(log)

    def _fetch(self, most: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        ready = [tp for tp, place in self._places.items() if not place.paused and place.position is not None]
        self._turn += 1
        start = self._turn % len(ready) if ready else 0
        got: dict[TopicPartition, list[ConsumerRecord]] = {}
        for tp in ready[start:] + ready[:start]:
            log, place = self.broker.find(tp), self._places[tp]
            if log is None or most <= 0 or place.position is None:
                continue
            try:
                entries, place.position = log.read(place.position, most, committed=self._reads_committed)
            except OffsetOutOfRangeError:
                if self.config["auto_offset_reset"] == "none":
                    if got:
                        break
                    raise OffsetOutOfRangeError({tp: place.position}) from None
                self._reset(tp)
                continue
            place.highwater = log.end
            if entries:
                got[tp] = [_record(tp, entry) for entry in entries]
                most -= len(entries)
        return got

    def _end(self, log: PartitionLog) -> int:
        return log.stable if self._reads_committed else log.end

    def _existing(self, tp: TopicPartition) -> PartitionLog:
        log = self.broker.find(tp)
        if log is None:
            raise KafkaTimeoutError("the client looks for the partition until its time is over")
        return log

    def _assigned(self, tp: TopicPartition) -> _Place:
        if tp not in self._places:
            raise IllegalStateError("Partition is not assigned")
        return self._places[tp]

    def _assign_all(self) -> None:
        names = [TopicPartition(t, n) for t in self._topics for n in range(self.broker.count(t) or 0)]
        self.take(names)

    def _must_be_open(self) -> None:
        if self._closed:
            raise IllegalStateError("KafkaConsumer is closed")


def _record(tp: TopicPartition, entry: Entry) -> ConsumerRecord:
    sizes = (len(entry.key or b""), len(entry.value or b""), -1)
    return ConsumerRecord(
        *tp, 0, entry.offset, entry.timestamp, 0, entry.key, entry.value, list(entry.headers), None, *sizes
    )
