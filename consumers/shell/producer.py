"""The producer thread: results, dead letters and retries go out, acknowledgements come back through the inbox.

`KafkaProducer.send` may block for metadata or buffer space; here it blocks nobody but this thread.
"""

import logging
import time
from functools import partial
from queue import SimpleQueue
from threading import Thread

from kafka import KafkaProducer
from kafka.errors import AuthorizationError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from consumers.core.actions import Outgoing
from consumers.core.signals import Published, PublishFailed
from consumers.settings import ConsumerSettings
from consumers.shell.inbox import Inbox
from consumers.shell.outgoing import Writer, producer_options

log = logging.getLogger(__name__)

#: A topic that could not be reached is not tried again before: trying blocks the messages to other topics.
_TRY_AGAIN_S = 5.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class ResultProducer:
    """Produces idempotently with acks=all, in the order in which it was asked."""

    def __init__(self, settings: ConsumerSettings, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox
        self._queue: SimpleQueue[Outgoing | None] = SimpleQueue()
        self._producer: KafkaProducer | None = None
        #: Named by a callback when it refuses to go on, as an idempotent producer does after some errors.
        self._spoiled: KafkaProducer | None = None
        self._writer = Writer(settings)
        #: Topics that could not be reached, and when they are tried again.
        self._unreached: dict[str, float] = {}
        self._thread = Thread(target=self._run, name="producer", daemon=True)

    def start(self) -> None:
        """Start the thread; it connects with the first message."""
        self._thread.start()

    def put(self, outgoing: Outgoing) -> None:
        """Produce this; from any thread, never blocks."""
        self._queue.put(outgoing)

    def stop(self, timeout_s: float) -> None:
        """Send what is queued, as far as the time goes."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (outgoing := self._queue.get()) is not None:
            try:
                self._send(outgoing)
            except Exception as error:  # noqa: BLE001 - whatever it was, the engine must hear that it was not sent
                self._failed(outgoing.token, self._producer, error)
        self._close()

    def _send(self, outgoing: Outgoing) -> None:
        topic, message = self._writer.message(outgoing)
        if time.monotonic() < self._unreached.get(topic, 0.0):
            self._failed(outgoing.token, None, KafkaTimeoutError(f"topic {topic} cannot be reached"))
            return
        producer = self._client()
        try:
            future = producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))
        except KafkaTimeoutError:
            log.warning("topic %s cannot be reached", topic, extra={"action": "topic_unreached", "topic": topic})
            self._unreached[topic] = time.monotonic() + _TRY_AGAIN_S
            raise
        future.add_callback(lambda _: self._inbox.put(Published(outgoing.token)))
        # What fails at once was refused by the client itself as too large, or its metadata were not to be had.
        unharmed = future.is_done and isinstance(future.exception, (*_TOO_LARGE, AuthorizationError))
        future.add_errback(partial(self._failed, outgoing.token, None if unharmed else producer))

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
            self._producer = KafkaProducer(**producer_options(self._settings, self._settings.publish_timeout_s))
        return self._producer

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)
