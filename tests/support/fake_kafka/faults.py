"""What a test can let go wrong. Each client has queues of fates: one is used up per call, then all goes well."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto


class Hung(BaseException):
    """A call that never returns in reality. No `Exception`, so that no handler takes it for an answer."""


class CommitFate(Enum):
    """What becomes of an offset commit of a consumer."""

    FINE = auto()
    ANSWER_LOST = auto()  #: stored, but the caller hears of an error
    NOT_STORED = auto()  #: an error, and nothing is stored
    NEVER = auto()  #: not stored, and no answer ever
    STORED_NEVER = auto()  #: stored, and no answer ever
    DELAYED = auto()  #: on its way until `FakeConsumer.release_commit` or a join; later ones queue behind it


class SendFate(Enum):
    """What becomes of a message."""

    FINE = auto()
    LANDED_BUT_FAILED = auto()  #: in the log, but the caller hears of an error
    NOT_LANDED = auto()
    TOO_LARGE = auto()  #: refused by the broker for its size
    DELAYED = auto()  #: on its way until `FakeProducer.release`


class EndFate(Enum):
    """What becomes of `commit_transaction`. All but the first never return: they raise `Hung`."""

    FINE = auto()
    COMMITTED = auto()  #: committed behind the caller's back
    ABORTED = auto()  #: aborted behind the caller's back
    PREPARED = auto()  #: decided; seen some seconds later, or after `FakeBroker.finish_prepared`
    OPEN = auto()  #: the request never reached the broker: open until fenced or timed out


@dataclass(slots=True)
class ConsumerFaults:
    """The fates of one consumer's calls."""

    commits: deque[CommitFate] = field(default_factory=deque)
    #: Raised by the next calls of `poll`.
    polls: deque[BaseException] = field(default_factory=deque)
    #: Raised by the next calls of `committed`.
    committed: deque[BaseException] = field(default_factory=deque)


@dataclass(slots=True)
class ProducerFaults:
    """The fates of one producer's calls."""

    sends: deque[SendFate] = field(default_factory=deque)
    ends: deque[EndFate] = field(default_factory=deque)
    #: Raised by the next calls of `init_transactions`, `send_offsets_to_transaction`.
    inits: deque[BaseException] = field(default_factory=deque)
    offsets: deque[BaseException] = field(default_factory=deque)
