"""The producer thread: results and dead letters go out, acknowledgements come back through the inbox.

`KafkaProducer.send` may block for metadata or buffer space; here it blocks nobody but this thread.
"""

import logging
import time
from functools import partial
from importlib.metadata import version
from queue import SimpleQueue
from threading import Thread

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from consumers.core.actions import Publish, PublishDead
from consumers.core.signals import Published, PublishFailed
from consumers.dead_letters import dead_letter
from consumers.inbox import Inbox
from consumers.records import Message
from consumers.results import result_event
from consumers.settings import ConsumerSettings
from serve.schemas.result import Position

log = logging.getLogger(__name__)

_MAX_BLOCK_MS = 10_000
_LINGER_MS = 5
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class ResultProducer:
    """Produces idempotently with acks=all, in the order in which it was asked."""

    def __init__(self, settings: ConsumerSettings, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox
        self._queue: SimpleQueue[Publish | PublishDead | None] = SimpleQueue()
        self._producer: KafkaProducer | None = None
        #: Named by a callback when it refuses to go on, as an idempotent producer does after some errors.
        self._spoiled: KafkaProducer | None = None
        self._version = version("vitrine")
        self._thread = Thread(target=self._run, name="producer", daemon=True)

    def start(self) -> None:
        """Start the thread; it connects with the first message."""
        self._thread.start()

    def put(self, action: Publish | PublishDead) -> None:
        """Produce this; from any thread, never blocks."""
        self._queue.put(action)

    def stop(self, timeout_s: float) -> None:
        """Send what is queued, as far as the time goes."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (action := self._queue.get()) is not None:
            try:
                self._send(action)
            except Exception as error:  # noqa: BLE001 - whatever it was, the engine must hear that it was not sent
                self._failed(action.token, self._producer, error)
        self._close()

    def _send(self, action: Publish | PublishDead) -> None:
        topic, message = self._message(action)
        producer = self._client()
        future = producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))
        future.add_callback(lambda _: self._inbox.put(Published(action.token)))
        # What fails at once was refused by the client itself as too large, or its metadata were not to be had.
        unharmed = future.is_done and isinstance(future.exception, _TOO_LARGE)
        future.add_errback(partial(self._failed, action.token, None if unharmed else producer))

    def _message(self, action: Publish | PublishDead) -> tuple[str, Message]:
        if isinstance(action, PublishDead):
            return self._settings.dead_topic, dead_letter(action, time.time() - time.monotonic(), self._version)
        record = action.record
        position = Position(topic=record.tp.topic, partition=record.tp.partition, offset=record.offset)
        return self._settings.results_topic, result_event(action.result, position, action.event)

    def _failed(self, token: int, producer: KafkaProducer | None, error: BaseException) -> None:
        """`producer` is the one that may be spoiled by it.

        A message that the broker finds too large spoils an idempotent producer, which then fails all others with the
        same error. The first one is the culprit; the others are innocent and go again through a new producer.
        """
        current = producer is self._producer and producer is not self._spoiled
        permanent = isinstance(error, _TOO_LARGE) and (producer is None or current)
        if current and not getattr(error, "retriable", False):
            self._spoiled = producer
        self._inbox.put(PublishFailed(token, f"{type(error).__name__}: {error}"[:500], permanent))

    def _client(self) -> KafkaProducer:
        # Closing a producer fails what it still holds, so its callbacks may come when it has long been replaced.
        if self._producer is not None and self._spoiled is self._producer:
            log.warning("producer is replaced", extra={"action": "producer_replaced"})
            self._close()
        if self._producer is None:
            self._producer = KafkaProducer(
                **self._settings.client(),
                acks="all",
                enable_idempotence=True,
                # Any reader can gunzip, without a library of its own; a large result shrinks to a quarter or less.
                compression_type="gzip",
                linger_ms=_LINGER_MS,
                max_block_ms=_MAX_BLOCK_MS,
                delivery_timeout_ms=int(self._settings.publish_timeout_s * 1000),
                request_timeout_ms=min(_MAX_BLOCK_MS, int(self._settings.publish_timeout_s * 900)),
                max_request_size=self._settings.max_message_bytes,
            )
        return self._producer

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)
