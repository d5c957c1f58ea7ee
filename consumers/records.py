"""Kafka records and positions as plain values, so that nothing below the shell needs a Kafka client."""

from typing import NamedTuple


class TopicPartition(NamedTuple):
    """A partition of a topic. Equal to the client's own tuple of the same name."""

    topic: str
    partition: int


class SourceRecord(NamedTuple):
    """A record as it was consumed, byte for byte."""

    tp: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    #: Milliseconds since 1970, as the broker or the producer stamped it.
    timestamp_ms: int = 0
    #: Set for a record from a retry topic.
    retried: "Retried | None" = None
    #: Nanoseconds since 1970 when the client handed it over; 0 where that is not known.
    received_ns: int = 0

    @property
    def size(self) -> int:
        """Bytes of key, value and headers, about: what the byte limits count."""
        size = len(self.key or b"") + len(self.value or b"")
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        return size


class Retried(NamedTuple):
    """What a record of a retry topic says of the event in it. Times are of the engine's clock."""

    #: The event where it stood first, byte for byte.
    origin: SourceRecord
    transient: int
    delayed: int
    broken: int
    first_failed_at: float
    #: It is not to be tried before.
    due_at: float


class Message(NamedTuple):
    """A record to be produced."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
