"""What the engine wants done: one frozen value per action. The shell carries them out and reports back by signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consumers.core.retry import RetryDecision, Tries
from consumers.core.tracker import Snapshot
from consumers.events import BadEvent, ListingEvent
from consumers.records import SourceRecord, TopicPartition
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome
from serve.schemas.result import ErrorInfo, ListingResult, Position


class Item(NamedTuple):
    """One try of an event. What goes over the wire is made of it elsewhere, off the thread that decides."""

    #: Number of the try: names its answer.
    ref: int
    event: ListingEvent
    #: The event where it stood first.
    record: SourceRecord
    attempt: int
    final: bool

    @property
    def event_id(self) -> str:
        """The event's own id."""
        return self.event.id

    @property
    def position(self) -> Position:
        """Where the event stood first."""
        return position_of(self.record)

    def exchange(self) -> EnrichItem:
        """The item as it is sent."""
        event = self.event
        return EnrichItem(
            ref=self.ref,
            event_id=event.id,
            event_source=event.source,
            type=event.type,
            position=self.position,
            attempt=self.attempt,
            final=self.final,
            listing=event.listing,
        )


def position_of(record: SourceRecord) -> Position:
    """Where the record stands."""
    return Position(topic=record.tp.topic, partition=record.tp.partition, offset=record.offset)


@dataclass(frozen=True, slots=True)
class Send:
    """Ask Serve to answer these events."""

    request_id: int
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class CancelItems:
    """Nobody waits for these any more; close the request's stream once nobody waits for any of its items."""

    request_id: int
    refs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Publish:
    """Produce the result of an event; report `Published` only when the broker has acknowledged it."""

    token: int
    record: SourceRecord
    event: ListingEvent
    result: ListingResult


@dataclass(frozen=True, slots=True)
class PublishDead:
    """Produce the record, as it came, to the dead letters. Times are of the engine's clock."""

    token: int
    record: SourceRecord
    event: ListingEvent | BadEvent
    error: ErrorInfo
    attempts: int
    first_failed_at: float
    last_failed_at: float
    #: Without the record's value and headers, because with them the broker refuses it as too large.
    bare: bool = False


@dataclass(frozen=True, slots=True)
class PublishRetry:
    """Produce the record, with what is known of its tries, to the retry topic of this tier."""

    token: int
    #: The event where it stood first, not its copy in a retry topic.
    record: SourceRecord
    event: ListingEvent
    error: ErrorInfo
    tries: Tries
    first_failed_at: float
    #: Place in the list of retry topics.
    tier: int


@dataclass(frozen=True, slots=True)
class Supersede:
    """Produce the result `superseded`: a newer revision of the listing waits here, so this one does no work."""

    token: int
    record: SourceRecord
    event: ListingEvent
    by_revision: int


#: What an event can end in here, as a message to Kafka. `record` is the event where it stood first.
Outgoing = Publish | PublishDead | PublishRetry | Supersede


@dataclass(frozen=True, slots=True)
class Transact:
    """Make these messages and offsets visible in one Kafka transaction; at most one is under way.

    Report `Transacted`, `TransactionFailed` or, where the answer never came, `TransactionUnknown`.
    """

    txn_id: int
    messages: Sequence[Outgoing]
    #: True as soon as the messages are visible.
    offsets: Mapping[TopicPartition, Snapshot]


@dataclass(frozen=True, slots=True)
class Commit:
    """Store these offsets. `closing`: the partitions are on their way out, wait for the answer (bounded)."""

    commit_id: int
    offsets: Mapping[TopicPartition, Snapshot]
    closing: bool = False


@dataclass(frozen=True, slots=True)
class SeekBack:
    """Fetch from this offset again later: what was received from there on was dropped.

    It is not due yet, or does not fit into the window.
    """

    tp: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Fetch no more from these partitions."""

    tps: Sequence[TopicPartition]


@dataclass(frozen=True, slots=True)
class Resume:
    """Fetch from these partitions again."""

    tps: Sequence[TopicPartition]


@dataclass(frozen=True, slots=True)
class Retried:
    """For the log: a try failed, and this was decided. One per request where Serve had no room."""

    event_id: str | None
    error: ErrorInfo
    decision: RetryDecision


class Finished(NamedTuple):
    """For the log: an event has its answer (`outcome`) or became a dead letter (`code` alone)."""

    record: SourceRecord
    event_id: str | None
    outcome: str | None
    code: str | None
    attempts: int

    @classmethod
    def of(cls, event_id: str | None, message: Outgoing, attempt: int) -> "Finished | None":
        """The end that this message is; None where the event goes on in a retry topic."""
        match message:
            case PublishDead(record=record, error=error, attempts=attempts):
                return cls(record, event_id, None, error.code, attempts)
            case Publish(record=record, result=result):
                return cls(record, event_id, result.outcome.value, result.code, attempt)
            case Supersede(record=record):
                return cls(record, event_id, Outcome.SUPERSEDED.value, None, attempt)
            case PublishRetry():
                return None


@dataclass(frozen=True, slots=True)
class WentBack:
    """For the log: records came whose offsets were passed before; they were passed over."""

    tp: TopicPartition
    offset: int
    expected: int
    records: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The drain is over; nothing more will come."""


Action = (
    Send
    | CancelItems
    | Outgoing
    | Transact
    | Commit
    | SeekBack
    | Pause
    | Resume
    | Retried
    | Finished
    | WentBack
    | Stopped
)
