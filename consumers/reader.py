"""The reader that Vitrine ships for its results: what it shows is what *visible* means.

It drops repeats of a result id (a crash between publishing and committing makes them). A result that states the
images of an older revision of a listing than was shown before is shown as `stale`, without its images: the event has
its one answer, and nobody puts old images over new ones.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal, TypeVar

from kafka import KafkaConsumer

from consumers.results import UNCHANGED, ResultEvent, parse_result
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from serve.schemas.outcome import Outcome

Key = TypeVar("Key")
Value = TypeVar("Value")

#: Code of a result that came after that of a newer revision.
OVERTAKEN = "overtaken"

_POLL_MS = 200
_REMEMBERED = 200_000


class Visible:
    """Decides which results are visible. Memory is bounded: it forgets the ids and listings seen longest ago."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._revisions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def show(self, event: ResultEvent) -> ResultEvent | None:
        """The result as it is visible, None for a repeat; remembers it."""
        if event.id in self._ids:
            self._ids.move_to_end(event.id)
            return None
        self._remember(self._ids, event.id, None)
        result = event.data
        if not result.outcome.carries_images:
            return event
        listing = (result.tenant_id, result.listing_id)
        newest = self._revisions.get(listing, -1)
        self._remember(self._revisions, listing, max(newest, result.revision))
        return event if result.revision >= newest else _overtaken(event, newest)

    def _remember(self, memory: OrderedDict[Key, Value], key: Key, value: Value) -> None:
        memory[key] = value
        memory.move_to_end(key)
        if len(memory) > self._remembered:
            memory.popitem(last=False)


def _overtaken(event: ResultEvent, newest: int) -> ResultEvent:
    message = f"The result of revision {newest} of the listing came first."
    void = {"outcome": Outcome.STALE, "code": OVERTAKEN, "message": message, "outputs": [], "errors": []}
    return event.model_copy(update={"type": UNCHANGED, "data": event.data.model_copy(update=void)})


def read(
    settings: ConsumerSettings,
    *,
    start: Literal["earliest", "latest"] = "earliest",
    until: int | None = None,
    timeout_s: float | None = None,
) -> Iterator[ResultEvent]:
    """Visible results as they come, from all partitions of the results topic.

    Ends after `until` results, or when `timeout_s` have passed since the start; without both it never ends. Messages
    that are no result events are passed over.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    visible, given = Visible(), 0
    kafka_internals.mend()
    consumer = KafkaConsumer(
        settings.results_topic,
        **settings.client(),
        group_id=None,
        auto_offset_reset=start,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    try:
        while (until is None or given < until) and (deadline is None or time.monotonic() < deadline):
            for batch in consumer.poll(timeout_ms=_POLL_MS).values():
                for record in batch:
                    event = parse_result(record.value)
                    shown = None if event is None else visible.show(event)
                    if shown is not None and (until is None or given < until):
                        given += 1
                        yield shown
    finally:
        consumer.close(autocommit=False)
