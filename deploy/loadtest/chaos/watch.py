"""Counts the events that are answered, while a run goes on. What counts in the end is the census."""

import threading
from types import TracebackType
from typing import Self

from kafka import KafkaConsumer

from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import NOWHERE, Place
from deploy.loadtest.sending.answers import letter_seen

_POLL_MS = 200
_LEAVE_S = 5.0


class Watch:
    """Reads results and dead letters from their beginning, in a thread, for the length of a block."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self._answered: set[Place] = set()
        self._fault: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    @property
    def answered(self) -> int:
        """Events with a committed answer; `ServiceFailed` where the reader broke."""
        if self._fault is not None:
            raise ServiceFailed(f"the answers cannot be read: {self._fault}") from self._fault
        return len(self._answered)

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - raised again by `answered`
            self._fault = error

    def _read(self) -> None:
        kafka_internals.mend()
        settings = self._settings
        consumer = KafkaConsumer(
            settings.results_topic,
            settings.dead_topic,
            **settings.client(),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        try:
            while not self._stop.is_set():
                for tp, batch in consumer.poll(timeout_ms=_POLL_MS).items():
                    dead = tp.topic == settings.dead_topic
                    places = {letter_seen(one.headers, 0).place if dead else place_of(one.value) for one in batch}
                    self._answered |= places - {NOWHERE}
        finally:
            consumer.close(autocommit=False)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_LEAVE_S)


def place_of(value: bytes | None) -> Place:
    """Where the event stands that a result answers."""
    event = parse_result(value)
    at = None if event is None else event.data.position
    return NOWHERE if at is None else Place(at.topic, at.partition, at.offset)
