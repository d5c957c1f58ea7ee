"""Events to Kafka. A broker that is away never holds up the pacer.

What may block in the client is kept from it. `KafkaProducer.send` only waits where it does not know a topic; events for
which that is so take a *detour*: they queue, in their order, for a thread that tries until the topic is known or their
patience ends. All that come after them queue as well until the detour is empty, so that no listing is overtaken. The
client itself holds any number of events that wait for a broker, so their bytes are counted here, and those that would
be too many are unsent.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from kafka import KafkaProducer
from kafka.errors import AuthorizationError, KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Observation, Place, Sent, Taken, Unsent
from deploy.loadtest.workload.planned import NUMBER, Planned

log = logging.getLogger(__name__)

#: Brokers fall; an event has so long to be taken by those that stay.
PATIENCE_S = 180.0
#: Bytes of events that may wait for a broker.
MOST_BYTES = 512 * 2**20
_LINGER_MS = 5
#: The pacer waits no longer for a topic that the client has forgotten.
_BLOCK_MS = 1
_WARM_S = 30.0
_TRY_EVERY_S = 0.1
_CLOSE_S = 10.0


class KafkaDriver:
    """A `Driver` that produces with acks=all, idempotently."""

    def __init__(
        self,
        settings: ConsumerSettings,
        report: Callable[[Observation], None],
        *,
        topics: Iterable[str] = (),
        patience_s: float = PATIENCE_S,
        most_bytes: int = MOST_BYTES,
        connect: Callable[..., KafkaProducer] = KafkaProducer,
    ) -> None:
        self._settings = settings
        self._report = report
        self._topics = tuple(topics) or settings.topics
        self._patience_s = patience_s
        self._most_bytes = most_bytes
        self._connect = connect
        self._producer: KafkaProducer | None = None
        #: Guards what follows; held for moments only.
        self._lock = threading.Lock()
        self._detour: deque[tuple[Planned, float]] = deque()
        #: Whether events take the detour just now.
        self.detouring = False
        self._spoiled = False
        self._pending = 0
        self._waiting_bytes = 0
        self._wake = threading.Condition(self._lock)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="detour", daemon=True)

    def warm(self) -> None:
        """Connect and learn where the topics are."""
        kafka_internals.mend()
        try:
            self._producer = self._new()
            for topic in self._topics:
                self._learn(self._producer, topic)
        except (KafkaError, OSError, ValueError) as error:
            raise ServiceFailed(f"no event can be sent to Kafka at {self._settings.bootstrap}: {error}") from error
        self._thread.start()

    @staticmethod
    def _learn(producer: KafkaProducer, topic: str) -> None:
        deadline = time.monotonic() + _WARM_S
        while True:
            try:
                producer.partitions_for(topic)
            except KafkaTimeoutError as error:
                if time.monotonic() > deadline:
                    raise ServiceFailed(f"there is no topic {topic}, or nobody may write to it: {error}") from error
                time.sleep(_TRY_EVERY_S)
            else:
                return

    def send(self, event: Planned) -> None:
        """Hand it to the client, or to the detour."""
        at_ns = time.monotonic_ns()
        size = len(event.key) + len(event.value)
        with self._lock:
            full = self._waiting_bytes + size > self._most_bytes
            if not full:
                self._pending += 1
                self._waiting_bytes += size
        self._report(Sent(event.number, at_ns))
        if full:
            self._report(Unsent(event.number, at_ns, "buffer_full"))
        elif self.detouring or self._spoiled or not self._handed_over(event):
            self._queue(event)

    @property
    def pending(self) -> int:
        """Events that no broker has acknowledged."""
        return self._pending

    def close(self) -> None:
        """Give up what is not acknowledged within seconds."""
        with self._lock:
            self._closed = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        if self._producer is not None:
            self._producer.close(timeout=0 if not self._pending else 1)

    def _new(self) -> KafkaProducer:
        patience_ms = round(self._patience_s * 1000)
        return self._connect(
            **self._settings.client(),
            acks="all",
            enable_idempotence=True,
            linger_ms=_LINGER_MS,
            max_block_ms=_BLOCK_MS,
            delivery_timeout_ms=patience_ms,
            request_timeout_ms=min(10_000, patience_ms // 2),
        )

    def _handed_over(self, event: Planned) -> bool:
        """Whether it is settled: with the client, or unsent; False where its topic is not known just now."""
        producer = self._producer
        assert producer is not None  # noqa: S101 - `warm` comes first
        headers = [(NUMBER, str(event.number).encode())]
        try:
            future = producer.send(event.topic, key=event.key, value=event.value, headers=headers)
        except KafkaTimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it was, the event is not on its way
            self._refused(event, None, error)
            return True
        future.add_callback(partial(self._taken, event))
        future.add_errback(partial(self._refused, event, producer))
        return True

    def _taken(self, event: Planned, metadata: Any) -> None:
        place = Place(metadata.topic, metadata.partition, metadata.offset)
        self._report(Taken(event.number, time.monotonic_ns(), place))
        self._settled(event)

    def _refused(self, event: Planned, producer: KafkaProducer | None, error: BaseException) -> None:
        """`producer` is the one that may be of no use any more: after some errors an idempotent one is."""
        self._report(Unsent(event.number, time.monotonic_ns(), _reason(error)))
        self._settled(event)
        unharmed = getattr(error, "retriable", False) or isinstance(error, AuthorizationError)
        if producer is not None and producer is self._producer and not unharmed:
            with self._lock:
                self._spoiled = True
                self._wake.notify()

    def _settled(self, event: Planned) -> None:
        with self._lock:
            self._pending -= 1
            self._waiting_bytes -= len(event.key) + len(event.value)

    def _queue(self, event: Planned) -> None:
        with self._lock:
            self.detouring = True
            self._detour.append((event, time.monotonic() + self._patience_s))
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                # Nobody but the pacer adds to the detour, and it looks at the flag before: none can be overtaken.
                self.detouring = bool(self._detour)
                self._wake.wait_for(lambda: self._closed or self._detour or self._spoiled)
                if self._closed:
                    return
            if self._spoiled:
                self._replace()
            while self._detour and not self._spoiled and not self._closed and self._first_is_settled():
                pass

    def _first_is_settled(self) -> bool:
        event, deadline = self._detour[0]
        if not self._handed_over(event):
            if time.monotonic() < deadline:
                time.sleep(_TRY_EVERY_S)
                return False
            self._refused(event, None, KafkaTimeoutError(f"topic {event.topic} is not known"))
        self._detour.popleft()
        return True

    def _replace(self) -> None:
        log.warning("the producer is replaced")
        old = self._producer
        assert old is not None  # noqa: S101 - `warm` comes first
        # What it still can send it sends; the rest is refused.
        old.close(timeout=_CLOSE_S)
        try:
            self._producer = self._new()
        except (KafkaError, OSError, ValueError) as error:
            log.warning("no broker can be reached: %s", error)
            time.sleep(_TRY_EVERY_S)
            return
        self._spoiled = False


def _reason(error: BaseException) -> str:
    if isinstance(error, MessageSizeTooLargeError):
        return "message_too_large"
    if isinstance(error, KafkaTimeoutError):
        return "not_acknowledged"
    return type(error).__name__
