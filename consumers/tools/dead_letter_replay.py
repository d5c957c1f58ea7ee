"""Dead letters sent again: the record as it was, to where it came from, one after the other.

Each is acknowledged by all replicas before the next goes, and marked in the dead-letter topic, so whenever this ends,
what was done is known. A crash between the two leaves one without its mark; sent twice, an event is answered once and
then called `duplicate`.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from consumers.records import Message, SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from consumers.tools.dead_letter_reader import Letter, Place, again, mark, original_in
from consumers.tools.log_reader import LogReader, Span

_BLOCK_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a letter: a place, or a problem."""

    letter: Letter
    to: str | None = None
    problem: str | None = None
    #: Headers that were null and went as empty ones.
    null_headers: int = 0


class _CannotError(Exception):
    """Says why a letter cannot be sent again."""


class Resender:
    """Sends letters again, to the topic each came from or to one for all."""

    def __init__(self, settings: ConsumerSettings, topic: str | None = None) -> None:
        self._settings = settings
        self._topic = topic
        self._producer: KafkaProducer | None = None
        #: A second one, for it is asked while the first is in the middle of the dead letters.
        self._originals = LogReader(settings)
        self._topics: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._originals.__exit__(kind, error, trace)
        self._drop_producer()

    def target(self, letter: Letter) -> str | None:
        """The topic that the letter would go to; None where nobody knows."""
        return self._topic or (None if letter.origin is None else letter.origin.topic)

    def send(self, reader: LogReader, letters: Iterable[Letter]) -> Iterator[Sent]:
        """Send these letters, in the order of their places; one answer each, whatever happens."""
        wanted = {letter.place: letter for letter in letters}
        missing = dict(wanted)
        for record in reader.read(_spans(self._settings.dead_topic, wanted)):
            letter = wanted.get(Place(record.tp.partition, record.offset))
            if letter is not None:
                del missing[letter.place]
                yield self._send(letter, record)
        for letter in missing.values():
            yield Sent(letter=letter, problem="the letter itself is no longer in the dead-letter topic")

    def original(self, letter: Letter, record: SourceRecord) -> SourceRecord:
        """The record that died. Raise `_CannotError` where its bytes are not to be had."""
        kept = original_in(record)
        if kept is not None:
            return kept
        origin = letter.origin
        if origin is None:
            raise _CannotError("it does not say where it came from; it is no dead letter of ours")
        place = f"{origin.topic}/{origin.partition}/{origin.offset}"
        found = self._originals.at(TopicPartition(origin.topic, origin.partition), origin.offset)
        if found is None:
            raise _CannotError(f"the letter has no bytes, and {place} is gone from its topic")
        if hashlib.sha256(found.value or b"").hexdigest() != letter.sha256:
            raise _CannotError(f"the letter has no bytes, and at {place} stands another record by now")
        return found

    def _send(self, letter: Letter, record: SourceRecord) -> Sent:
        try:
            original = self.original(letter, record)
            topic = self.target(letter) or ""
            partition = self._partition(topic, original)
            to = self._produce(topic, again(original, self._settings.dead_topic, letter.place), partition)
        except _CannotError as error:
            return Sent(letter=letter, problem=str(error))
        except KafkaError as error:
            self._drop_producer()
            return Sent(letter=letter, problem=f"not acknowledged: {error}")
        nulls = sum(body is None for _, body in original.headers)
        try:
            self._produce(self._settings.dead_topic, mark(letter, to, time.time()), letter.place.partition)
        except KafkaError as error:
            self._drop_producer()
            return Sent(letter=letter, to=to, problem=f"sent to {to}, but not marked: {error}", null_headers=nulls)
        return Sent(letter=letter, to=to, null_headers=nulls)

    def _partition(self, topic: str, original: SourceRecord) -> int | None:
        """The one that it came from, so that the events of its listing stay together; else by the key."""
        if topic not in self._topics:
            self._topics[topic] = len(self._originals.partitions(topic))
        count = self._topics[topic]
        if not count:
            raise _CannotError(f"there is no topic {topic}")
        same = topic == original.tp.topic and original.tp.partition < count
        return original.tp.partition if same else None

    def _produce(self, topic: str, message: Message, partition: int | None) -> str:
        if self._producer is None:
            self._producer = KafkaProducer(
                **self._settings.client(),
                acks="all",
                enable_idempotence=True,
                max_block_ms=_BLOCK_MS,
                max_request_size=self._settings.max_message_bytes,
            )
        future = self._producer.send(
            topic, key=message.key, value=message.value, headers=list(message.headers), partition=partition
        )
        found = future.get(timeout=self._settings.publish_timeout_s)
        return f"{found.topic}/{found.partition}/{found.offset}"

    def _drop_producer(self) -> None:
        # An idempotent producer may refuse to go on after an error.
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)


def _spans(topic: str, places: Iterable[Place]) -> dict[TopicPartition, Span]:
    spans: dict[TopicPartition, Span] = {}
    for partition, offset in places:
        tp = TopicPartition(topic, partition)
        known = spans.get(tp, Span(offset, offset + 1))
        spans[tp] = Span(min(known.start, offset), max(known.end, offset + 1))
    return spans
