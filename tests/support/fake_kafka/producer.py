"""A producer as the client's. Messages land at once, unless their fate says otherwise."""

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from kafka import TopicPartition
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RequestTimedOutError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafka.future import Future
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from tests.support.fake_kafka.faults import EndFate, Hung, ProducerFaults, SendFate

if TYPE_CHECKING:
    from tests.support.fake_kafka.broker import FakeBroker


class Sent(NamedTuple):
    """What a send resolves to."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class SendFuture(Future):
    """A future with the producer's `get`."""

    def get(self, timeout: float | None = None) -> Sent:
        if not self.is_done:
            raise KafkaTimeoutError if timeout is not None else Hung("get() waits for an acknowledgement")
        if self.exception is not None:
            raise self.exception
        return self.value  # type: ignore[no-any-return]


class _State(Enum):
    NEW = auto()
    READY = auto()
    OPEN = auto()
    ABORTABLE = auto()  #: only `abort_transaction` helps
    FATAL = auto()  #: nothing helps but another producer


class _Sending(NamedTuple):
    tp: TopicPartition
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    future: SendFuture


class FakeProducer:
    """In place of `KafkaProducer`, idempotent or transactional. `faults` and `release` are the test's."""

    def __init__(self, broker: "FakeBroker", **config: Any) -> None:
        self.broker = broker
        self.config = {"max_request_size": 1_048_576, "transaction_timeout_ms": 60_000, **config}
        self.faults = ProducerFaults()
        self.transactional_id: str | None = self.config.get("transactional_id")
        self._epoch = -1
        self._state = _State.NEW
        self._error: Exception | None = None
        self._delayed: deque[_Sending] = deque()
        self._closed = False
        #: Of the client's private parts, those that end a producer without waiting.
        self._sender = self

    def force_close(self) -> None:
        self.close()

    def _unregister_cleanup(self) -> None:
        """Nothing to clean up."""

    # -- messages --

    def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> SendFuture:
        if self._closed:
            raise IllegalStateError("KafkaProducer already closed!")
        if value is None and key is None:
            raise ValueError("Need at least one: key or value")
        future = SendFuture()
        count = self.broker.count(topic)
        if count is None:
            return future.failure(UnknownTopicOrPartitionError())
        size = len(key or b"") + len(value or b"") + sum(len(n) + len(v) for n, v in headers or [])
        if size > self.config["max_request_size"]:
            raise MessageSizeTooLargeError(f"The message is {size} bytes when serialized")
        self._may_send()
        number = partition if partition is not None else crc32(key or b"") % count
        sending = _Sending(TopicPartition(topic, number), timestamp_ms, key, value, headers or [], future)
        fate = self.faults.sends.popleft() if self.faults.sends else SendFate.FINE
        if fate is SendFate.FINE and size > self.broker.max_message_bytes:
            fate = SendFate.TOO_LARGE
        if fate is SendFate.DELAYED or self._delayed:
            self._delayed.append(sending)
        else:
            self._carry_out(sending, fate)
        return future

    def flush(self, timeout: float | None = None) -> None:
        if self._delayed:
            raise KafkaTimeoutError if timeout is not None else Hung("flush() waits for acknowledgements")

    def close(self, timeout: float | None = None) -> None:
        self._closed = True
        while self._delayed:
            self._delayed.popleft().future.failure(IllegalStateError("Producer is closed forcefully."))

    def partitions_for(self, topic: str) -> set[int]:
        return set(range(self.broker.count(topic) or 0))

    # -- transactions --

    def init_transactions(self) -> None:
        if self.transactional_id is None:
            raise IllegalStateError("Cannot call init_transactions without setting a transactional_id.")
        if self.faults.inits:
            raise self.faults.inits.popleft()
        if self._state is not _State.NEW:
            return
        timeout_s = self.config["transaction_timeout_ms"] / 1000
        _, self._epoch = self.broker.transactions.begin(self.transactional_id, timeout_s)
        self._state = _State.READY

    def begin_transaction(self) -> None:
        self._must_be(_State.READY)
        self._state = _State.OPEN

    def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group_metadata: ConsumerGroupMetadata
    ) -> None:
        self._must_be(_State.OPEN)
        if self.faults.offsets:
            raise self.faults.offsets.popleft()
        name = self._name()
        try:
            pid = self.broker.transactions.add_group(name, self._epoch, group_metadata.group_id)
            self.broker.group(group_metadata.group_id).commit_in_transaction(pid, offsets, group_metadata)
        except (UnknownMemberIdError, IllegalGenerationError) as error:
            self._fail(_State.ABORTABLE, CommitFailedError(f"stale group metadata: {error!r}"))
        except FencedInstanceIdError as error:
            self._fail(_State.ABORTABLE, error)
        except ProducerFencedError as error:
            self._fail(_State.FATAL, error)
        except KafkaError as error:
            self._fail(_State.FATAL, KafkaError(f"Unexpected error in TxnOffsetCommitResponse: {error!r}"))

    def commit_transaction(self) -> None:
        self._must_be(_State.OPEN)
        fate = self.faults.ends.popleft() if self.faults.ends else EndFate.FINE
        if fate is EndFate.OPEN:
            raise Hung("commit_transaction() waits for its answer")
        self._end(commit=fate is not EndFate.ABORTED, finish=fate is not EndFate.PREPARED)
        if fate is not EndFate.FINE:
            raise Hung("commit_transaction() waits for its answer")
        self._state = _State.READY

    def abort_transaction(self) -> None:
        if self._state is not _State.ABORTABLE:
            self._must_be(_State.OPEN)
        self._end(commit=False, finish=True)
        self._state = _State.READY

    # -- for the test --

    @property
    def delayed(self) -> int:
        """Messages that are on their way."""
        return len(self._delayed)

    def release(self, fate: SendFate = SendFate.FINE) -> None:
        """The oldest message that is on its way meets its fate."""
        self._carry_out(self._delayed.popleft(), fate)

    # -- inside --

    def _may_send(self) -> None:
        if self._error is not None:
            raise KafkaError("Cannot perform send because an earlier request has failed", self._error)
        if self.transactional_id is not None and self._state is not _State.OPEN:
            raise IllegalStateError(f"Cannot call send in state {self._state.name}")

    def _carry_out(self, sending: _Sending, fate: SendFate) -> None:
        offset = -1
        if fate in (SendFate.FINE, SendFate.LANDED_BUT_FAILED):
            try:
                offset = self._append(sending)
            except KafkaError as error:
                self._spoil(error)
                sending.future.failure(error)
                return
        match fate:
            case SendFate.FINE:
                sending.future.success(Sent(*sending.tp, offset, self.broker.now_ms))
            case SendFate.TOO_LARGE:
                error = MessageSizeTooLargeError()
                self._spoil(error)
                sending.future.failure(error)
            case _:
                error = RequestTimedOutError()
                self._spoil(error)
                sending.future.failure(error)

    def _append(self, sending: _Sending) -> int:
        pid = None
        if self.transactional_id is not None:
            pid = self.broker.transactions.add_partition(self.transactional_id, self._epoch, sending.tp)
        timestamp = self.broker.now_ms if sending.timestamp is None else sending.timestamp
        return self.broker.log(sending.tp).append(timestamp, sending.key, sending.value, sending.headers, pid)

    def _spoil(self, error: Exception) -> None:
        """A message that failed makes its transaction one that can only be aborted."""
        if self.transactional_id is not None:
            self._error = error
            self._state = _State.FATAL if isinstance(error, ProducerFencedError) else _State.ABORTABLE

    def _end(self, *, commit: bool, finish: bool) -> None:
        name = self._name()
        try:
            self.broker.transactions.prepare(name, self._epoch, commit=commit)
        except KafkaError as error:
            self._fail(_State.FATAL, error)
        if finish:
            self.broker.transactions.finish(name)
        self._error = None

    def _fail(self, state: _State, error: Exception) -> None:
        self._state, self._error = state, error
        raise error

    def _must_be(self, state: _State) -> None:
        self._name()
        if self._error is not None:
            raise KafkaError(f"Cannot execute transactional method because we are in an error state: {self._error!r}")
        if self._state is not state:
            raise IllegalStateError(f"Invalid transition from {self._state.name}")

    def _name(self) -> str:
        if self.transactional_id is None:
            raise IllegalStateError("Cannot use transactional methods without enabling transactions")
        return self.transactional_id
