"""Results and offsets in one Kafka transaction, for `delivery=transactional`.

The client's calls may hang for ever, a commit among them (kafka-python 3.0: an EndTxn request that meets a dying
connection is forgotten). So each transaction runs on a thread that can be left behind, and what is left behind can do
no harm: a new producer with the same transactional id makes the broker refuse the old one, after it has brought that
one's transaction to its end. From then on the committed offsets tell whether it was committed.

Nothing of this waits for work: a transaction is begun when all that belongs into it is there.
"""

import logging
import time
from collections.abc import Callable, Collection
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer
from kafka import TopicPartition as KafkaPartition
from kafka.errors import MessageSizeTooLargeError, OffsetMetadataTooLargeError, RecordListTooLargeError
from kafka.structs import ConsumerGroupMetadata

from consumers.core.actions import Transact
from consumers.core.signals import Transacted, TransactionFailed, TransactionUnknown
from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from consumers.shell.consumer import client_offsets
from consumers.shell.deadlines import DeadlinePassed, within
from consumers.shell.inbox import Inbox
from consumers.shell.notices import TransactionEnded
from consumers.shell.outgoing import Writer, producer_options

log = logging.getLogger(__name__)

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_ASK_MS = 5000
#: The broker ends a transaction of a dead producer this much later than a living one would have given up.
_BROKER_GRACE_S = 5.0
_AGAIN_S = 1.0
_SHORT = 500

Answer = Transacted | TransactionFailed | TransactionUnknown
Within = Callable[..., Any]


class TransactionalClient:
    """The clients of Kafka that transactions need. May block, and may never return."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        named = settings.transactional_id
        if named is None and settings.group_instance_id is not None:
            named = f"{settings.group}-{settings.group_instance_id}"
        #: Without a name of its own a worker that comes after a dead one cannot end its transaction: that takes the
        #: broker `transaction_deadline_s` and some seconds, and so long the dead one's partitions wait.
        self.transactional_id = named or f"{settings.group}-{uuid4().hex}"

    def connect(self) -> KafkaProducer:
        """A producer whose predecessors of the same id can do nothing any more, their transactions at an end."""
        kafka_internals.mend()
        deadline_s = self._settings.transaction_deadline_s
        producer = KafkaProducer(
            **producer_options(self._settings, deadline_s),
            transactional_id=self.transactional_id,
            transaction_timeout_ms=int((deadline_s + _BROKER_GRACE_S) * 1000),
            bootstrap_timeout_ms=int(deadline_s * 1000),
        )
        try:
            producer.init_transactions()
        except BaseException:
            kafka_internals.abandon(producer)
            raise
        return producer

    def discard(self, producer: KafkaProducer) -> None:
        """End a producer that hangs or is spoiled."""
        kafka_internals.abandon(producer)

    def committed(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, Snapshot]:
        """What the group has committed, after the end of every transaction that holds offsets of these."""
        consumer = KafkaConsumer(
            **self._settings.client(),
            group_id=self._settings.group,
            enable_auto_commit=False,
            # Makes the broker refuse to answer while a transaction holds offsets; the client then asks again.
            isolation_level="read_committed",
        )
        try:
            found = {}
            for tp in tps:
                stored = consumer.committed(KafkaPartition(*tp), metadata=True, timeout_ms=_ASK_MS)
                if stored is not None:
                    found[tp] = Snapshot(stored.offset, stored.metadata or "")
            return found
        finally:
            consumer.close(autocommit=False, timeout_ms=_ASK_MS)


class Attempt:
    """One transaction. Once it is abandoned it will not be committed, if that was not asked for already."""

    def __init__(self, transact: Transact, group: ConsumerGroupMetadata, writer: Writer) -> None:
        self._transact = transact
        self._group = group
        self._writer = writer
        self._lock = Lock()
        self._abandoned = False
        self._asked = False
        #: The message that was refused first for its size; the others then fail with the same error.
        self.too_large: int | None = None

    def run(self, producer: KafkaProducer, within_s: float) -> None:
        """Commit it; raise `AbortedError` where it is aborted for sure and the producer is as good as before."""
        producer.begin_transaction()
        try:
            self._fill(producer, within_s)
            self._ask()
        except Exception as error:
            producer.abort_transaction()
            raise AbortedError(_text(error)) from error
        producer.commit_transaction()

    def abandon(self) -> bool:
        """Stop it before the commit; False where the commit was asked for: nobody knows what became of it."""
        with self._lock:
            self._abandoned = True
            return not self._asked

    def _fill(self, producer: KafkaProducer, within_s: float) -> None:
        futures = []
        for outgoing in self._transact.messages:
            topic, message = self._writer.message(outgoing)
            try:
                future = producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))
            except _TOO_LARGE as error:
                self._failed(outgoing.token, error)
                raise
            future.add_errback(partial(self._failed, outgoing.token))
            futures.append(future)
        producer.flush(timeout=within_s)
        # A message whose time ran out fails alone: the client would commit the others.
        for future in futures:
            if future.exception is not None:
                raise future.exception
        if self._transact.offsets:
            producer.send_offsets_to_transaction(client_offsets(self._transact.offsets), self._group)

    def _failed(self, token: int, error: BaseException) -> None:
        if self.too_large is None and isinstance(error, _TOO_LARGE):
            self.too_large = token

    def _ask(self) -> None:
        with self._lock:
            if self._abandoned:
                raise DeadlinePassed("abandoned before the commit")
            self._asked = True


class AbortedError(Exception):
    """The transaction was aborted, cleanly."""


class Transactions:
    """Carries out one transaction at a time; the answer goes into the inbox."""

    def __init__(
        self,
        settings: ConsumerSettings,
        inbox: Inbox,
        *,
        tell: Callable[[TransactionEnded], None] = lambda _: None,
        client: TransactionalClient | None = None,
        within: Within = within,
    ) -> None:
        self._deadline_s = settings.transaction_deadline_s
        self._inbox = inbox
        self._tell = tell
        self._client = client or TransactionalClient(settings)
        self._within = within
        self._writer = Writer(settings)
        self._producer: KafkaProducer | None = None
        self._queue: SimpleQueue[tuple[Transact, ConsumerGroupMetadata] | None] = SimpleQueue()
        #: From `put` until the answer is in the inbox.
        self.busy = False
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="transactions", daemon=True)

    def start(self) -> None:
        """Start the thread. It connects at once, which ends what a predecessor of the same name left open."""
        self._thread.start()

    def put(self, transact: Transact, group: ConsumerGroupMetadata) -> None:
        """Begin; from any thread, never blocks."""
        self.busy = True
        self._queue.put((transact, group))

    def stop(self, timeout_s: float) -> None:
        """End the thread; what is under way may still come to its end."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(timeout_s)

    def carry_out(self, transact: Transact, group: ConsumerGroupMetadata) -> Answer:
        """One transaction, on the calling thread."""
        began = time.monotonic()
        answer = self._attempt(transact, group)
        result = {Transacted: "committed", TransactionFailed: "failed"}.get(type(answer), "unknown")
        message = "" if isinstance(answer, Transacted) else answer.message
        self._tell(TransactionEnded(result, time.monotonic() - began, len(transact.messages), message))  # type: ignore[arg-type]
        return answer

    def _run(self) -> None:
        try:
            self._connected(time.monotonic() + self._deadline_s)
        except Exception as error:  # noqa: BLE001 - it is tried again with the first transaction
            log.warning("no transactions yet: %r", error, extra={"action": "transactions_unready"})
        while (job := self._queue.get()) is not None:
            answer = self.carry_out(*job)
            self._inbox.put(answer)
            self.busy = False
        producer, self._producer = self._producer, None
        if producer is not None:
            self._client.discard(producer)

    def _attempt(self, transact: Transact, group: ConsumerGroupMetadata) -> Answer:
        until = time.monotonic() + self._deadline_s
        attempt = Attempt(transact, group, self._writer)
        try:
            producer = self._connected(until)
            left_s = until - time.monotonic()
            self._within(left_s, partial(attempt.run, producer, left_s))
        except AbortedError as error:
            return _failed(transact, str(error), attempt)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the engine must hear of it
            clean = attempt.abandon()
            self._discard()
            if clean:
                return _failed(transact, _text(error), attempt)
            return self._resolve(transact, _text(error))
        return Transacted(transact.txn_id)

    def _resolve(self, transact: Transact, message: str) -> TransactionUnknown:
        """Find out what became of it, however long the brokers are away. Until then nothing else may be committed."""
        log.warning("transaction without an answer: %s", message, extra={"action": "transaction_unknown"})
        while True:
            until = time.monotonic() + self._deadline_s
            try:
                self._connected(until)
                committed = self._within(until - time.monotonic(), partial(self._client.committed, transact.offsets))
            except Exception as error:  # noqa: BLE001 - there is no other way out
                log.warning("still unknown: %r", error, extra={"action": "transaction_unknown"})
                if self._stopping.wait(_AGAIN_S):
                    return TransactionUnknown(transact.txn_id, message, {})
            else:
                return TransactionUnknown(transact.txn_id, message, committed)

    def _connected(self, until: float) -> KafkaProducer:
        if self._producer is None:
            left_s = until - time.monotonic()
            self._producer = self._within(left_s, self._client.connect, self._client.discard)
        return self._producer

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            log.warning("producer of transactions is replaced", extra={"action": "producer_replaced"})
            self._client.discard(producer)


def _failed(transact: Transact, message: str, attempt: Attempt) -> TransactionFailed:
    # The client has no error of its own for it here.
    refused = OffsetMetadataTooLargeError.__name__ in message
    return TransactionFailed(transact.txn_id, message, attempt.too_large, refused)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_SHORT]
