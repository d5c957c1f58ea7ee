"""Events to Kafka, in a thread of its own, no further than it is allowed."""

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from consumers.settings import ConsumerSettings
from deploy.errors import ServiceFailed
from deploy.loadtest.workload.planned import NUMBER, Planned

#: Brokers fall; a message has so long to be taken by those that stay.
_PATIENCE_MS = 180_000
_STOP_S = 30.0


class Sender:
    """Sends planned events in their order. `allow` says how many may be out."""

    def __init__(self, settings: ConsumerSettings, events: Iterator[Planned]) -> None:
        self._events = events
        self._allowed = 0
        self._taken = 0
        self._sent = 0
        self._fault: BaseException | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._producer = KafkaProducer(
            **settings.client(),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_block_ms=_PATIENCE_MS,
            delivery_timeout_ms=_PATIENCE_MS,
            request_timeout_ms=10_000,
        )
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    @property
    def taken(self) -> int:
        """Events that the brokers have acknowledged; `ServiceFailed` if they refused one."""
        if self._fault is not None:
            raise ServiceFailed(f"Kafka did not take an event: {self._fault}") from self._fault
        return self._taken

    def allow(self, count: int) -> None:
        """So many events in all may be sent."""
        with self._changed:
            self._allowed = max(self._allowed, count)
            self._changed.notify()

    def _run(self) -> None:
        try:
            for event in self._events:
                if not self._may_send():
                    return
                self._send(event)
        except KafkaError as error:
            self._fault = error

    def _may_send(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._sent < self._allowed)
            return not self._stopped

    def _send(self, event: Planned) -> None:
        self._sent += 1
        headers = [(NUMBER, str(event.number).encode())]
        future = self._producer.send(event.topic, key=event.key, value=event.value, headers=headers)
        future.add_callback(lambda _: self._acknowledged())
        future.add_errback(self._refused)

    def _acknowledged(self) -> None:
        with self._changed:
            self._taken += 1

    def _refused(self, error: BaseException) -> None:
        self._fault = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(_STOP_S)
        self._producer.close(timeout=_STOP_S if kind is None else 0)
