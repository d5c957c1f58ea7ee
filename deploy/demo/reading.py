"""Answers from Kafka, read in the background: visible results and dead letters."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer

from consumers.headers import PREFIX
from consumers.reader import Visible
from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.demo.ledger import DeadLetter
from deploy.errors import ServiceFailed
from serve.schemas.result import ListingResult, Position

Answer = ListingResult | DeadLetter
_POLL_MS = 200
#: How long to wait for the readers at the end.
_LEAVE_S = 5.0


class Answers:
    """Reads both topics from their beginning in daemon threads, for the length of a block.

    From the beginning, because a reader that starts at the end could miss what is answered before it has found it.
    """

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self._found: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def take(self) -> list[Answer]:
        """What came since the last call; `ServiceFailed` where a reader broke."""
        taken: list[Answer] = []
        while not self._found.empty():
            found = self._found.get()
            if isinstance(found, Exception):
                raise ServiceFailed(f"the answers cannot be read: {found}") from found
            taken.append(found)
        return taken

    def _results(self) -> Iterator[ListingResult]:
        visible = Visible()
        for record in self._records(self._settings.results_topic):
            event = parse_result(record.value)
            shown = None if event is None else visible.show(event)
            if shown is not None:
                yield shown.data

    def _dead(self) -> Iterator[DeadLetter]:
        for record in self._records(self._settings.dead_topic):
            letter = dead_letter_of(record.value, record.headers)
            if letter is not None:
                yield letter

    def _records(self, topic: str) -> Iterator[Any]:
        kafka_internals.mend()
        consumer = KafkaConsumer(
            topic,
            **self._settings.client(),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        try:
            while not self._stop.is_set():
                for batch in consumer.poll(timeout_ms=_POLL_MS).values():
                    yield from batch
        finally:
            consumer.close(autocommit=False)

    def _run(self, source: Callable[[], Iterable[Answer]]) -> None:
        try:
            for answer in source():
                self._found.put(answer)
                if self._stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - raised again by `take`
            self._found.put(error)

    def __enter__(self) -> Self:
        for name, source in (("results", self._results), ("dead-letters", self._dead)):
            thread = threading.Thread(target=self._run, args=(source,), name=f"read-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # A reader that goes on could make the topics anew once they are deleted.
        for thread in self._threads:
            thread.join(_LEAVE_S)


def dead_letter_of(value: bytes | None, headers: Iterable[tuple[str, Any]]) -> DeadLetter | None:
    """The dead letter in a record; None for a record without the headers that every dead letter has."""
    told = {
        name.removeprefix(PREFIX): bytes(raw or b"").decode("utf-8", "replace")
        for name, raw in headers
        if name.startswith(PREFIX)
    }
    try:
        position = Position(
            topic=told["original-topic"],
            partition=int(told["original-partition"]),
            offset=int(told["original-offset"]),
        )
    except (KeyError, ValueError):
        return None
    return DeadLetter(
        position=position,
        code=told.get("error-code", ""),
        message=told.get("error-message", ""),
        value=value,
        event_id=told.get("event-id"),
    )
