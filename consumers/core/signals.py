"""What the engine is told: one frozen value per thing that happened. `handle(now)` without any is the tick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from consumers.core.tracker import Snapshot
from consumers.records import SourceRecord, TopicPartition
from serve.schemas.exchange import ErrorLine, ResultLine


@dataclass(frozen=True, slots=True)
class Assigned:
    """The group gave us a partition, and this is what was last committed for it."""

    tp: TopicPartition
    offset: int | None
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Revoked:
    """The group takes partitions away; their offsets can still be committed."""

    tps: Sequence[TopicPartition]


@dataclass(frozen=True, slots=True)
class Lost:
    """Partitions were taken away before we knew; another member may have them already."""

    tps: Sequence[TopicPartition]
    #: They were given up with our own client and are to come back: what is done is remembered until then.
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """Records came, in the order of their offsets within each partition."""

    records: Sequence[SourceRecord]


@dataclass(frozen=True, slots=True)
class Repositioned:
    """The broker no longer has the offset that was to come next; fetching goes on at this one, as a new assignment."""

    tp: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """Serve took the request; its answers follow."""

    request_id: int


class Answered(NamedTuple):
    """Serve sent a line of an answer stream."""

    line: ResultLine | ErrorLine


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The answer stream of a request came to its regular end."""

    request_id: int


class Break(Enum):
    """How a request failed as a whole."""

    REFUSED = "refused"  #: not taken: no connection, 503, 429; nothing was tried
    REJECTED = "rejected"  #: the request as such is wrong: 400, 413, 422
    BROKEN = "broken"  #: taken, then cut off; what was not answered may have been worked on


@dataclass(frozen=True, slots=True)
class StreamBroken:
    """A request failed; the lines received before stand."""

    request_id: int
    kind: Break
    message: str
    retry_after_s: float | None = None


class Published(NamedTuple):
    """The broker acknowledged a result or dead letter."""

    token: int


@dataclass(frozen=True, slots=True)
class PublishFailed:
    """A result or dead letter was not acknowledged; `permanent` where the message itself is the reason."""

    token: int
    message: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class CommitDone:
    """The broker stored the offsets."""

    commit_id: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The broker did not store the offsets, or it is unknown whether it did."""

    commit_id: int
    message: str
    #: The broker does not take metadata of this size: leave the bitmap out.
    metadata_refused: bool = False


@dataclass(frozen=True, slots=True)
class Transacted:
    """The transaction was committed."""

    txn_id: int


@dataclass(frozen=True, slots=True)
class TransactionFailed:
    """The transaction was aborted: nothing of it is or will be visible.

    `too_large` is the token of a message that can never be taken as it is.
    """

    txn_id: int
    message: str
    too_large: int | None = None
    #: The broker does not take offset metadata of this size: leave the bitmap out.
    metadata_refused: bool = False


@dataclass(frozen=True, slots=True)
class TransactionUnknown:
    """No answer came in time; the transaction is over by now, and these are the commits of its partitions since.

    A partition without a commit is missing.
    """

    txn_id: int
    message: str
    committed: Mapping[TopicPartition, Snapshot]


@dataclass(frozen=True, slots=True)
class CapacityChanged:
    """Serve told how much may be in flight."""

    max_in_flight: int
    max_events_per_request: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Stop: take nothing new, wait this long for what is in flight, commit, stop."""

    grace_s: float


Signal = (
    Assigned
    | Revoked
    | Lost
    | Received
    | Repositioned
    | StreamOpened
    | Answered
    | StreamEnded
    | StreamBroken
    | Published
    | PublishFailed
    | CommitDone
    | CommitFailed
    | Transacted
    | TransactionFailed
    | TransactionUnknown
    | CapacityChanged
    | Drain
)
