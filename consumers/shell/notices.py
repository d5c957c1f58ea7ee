"""What the shell itself has to tell to logs and metrics, beside the engine's actions."""

from dataclasses import dataclass
from typing import Literal

from consumers.core.actions import Action
from consumers.records import TopicPartition


@dataclass(frozen=True, slots=True)
class PollFailed:
    """The client raised this from `poll`; it is asked again in a second."""

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class CommitRefused:
    """A commit was not stored; the next one carries the same and more."""

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class OffsetMissing:
    """The broker does not have the offset that was to come next; fetching goes on at `offset`."""

    tp: TopicPartition
    expected: int
    offset: int


@dataclass(frozen=True, slots=True)
class LogMadeAnew:
    """The topic was deleted and made again under our feet; the partition is read from its start."""

    tp: TopicPartition


@dataclass(frozen=True, slots=True)
class StartedOver:
    """The group forgot this member and took it in as a new one, or the client lost track: commits are read again."""

    partitions: int


@dataclass(frozen=True, slots=True)
class TopicChanged:
    """A topic came, went, may not be read, or has another number of partitions."""

    topic: str
    state: Literal["present", "missing", "refused"]
    partitions: int


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """A transaction came to its end, whatever it was."""

    result: Literal["committed", "failed", "unknown"]
    seconds: float
    messages: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class ClientReplaced:
    """A Kafka client hung and was replaced by a new one."""

    reason: str


Notice = (
    PollFailed
    | CommitRefused
    | OffsetMissing
    | LogMadeAnew
    | StartedOver
    | TopicChanged
    | TransactionEnded
    | ClientReplaced
)
#: What logs and metrics are told.
News = Action | Notice
