"""An event under way, and the assignment that it belongs to."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from consumers.core.retry import Tries
from consumers.core.tracker import Tracker
from consumers.core.waits import Waits
from consumers.events import BadEvent, ListingEvent
from consumers.records import SourceRecord, TopicPartition
from serve.schemas.listing import EventType


class Company(IntEnum):
    """What else of this worker may be with Serve while an event is; the larger, the stricter."""

    ANY = 0
    OWN_REQUEST = 1  #: nothing in its request: the request fails as a whole, or the event holds it up
    NONE = 2  #: nothing at all: it may kill the replica and whatever is in it


class Place(Enum):
    """Where an event is. Queues may still name one that has left them: its place says that it is elsewhere."""

    LANE = auto()  #: behind another event of its listing
    READY = auto()  #: may go to Serve
    SLEEPING = auto()  #: will be ready at a certain time
    WITH_SERVE = auto()
    ANSWERED = auto()  #: what it ended in is on its way to the broker
    GONE = auto()  #: done, or its assignment is over


#: No work is under way and none was done: a newer revision may take its turn.
WAITING = frozenset((Place.LANE, Place.READY, Place.SLEEPING))


@dataclass(slots=True, eq=False)
class Assignment:
    """One stay of a partition with this worker. A partition that comes back gets a new one with a higher epoch."""

    tp: TopicPartition
    epoch: int
    tracker: Tracker
    #: What is received and not done, by offset, in the order of the offsets.
    tasks: dict[int, "Task"] = field(default_factory=dict)
    #: Version of the tracker that the broker has stored.
    committed_version: int = 0
    #: A retry topic is not fetched before this time: its next record is not due.
    held_until: float = 0.0
    #: The next offset, while the window cannot hold it.
    too_far: int | None = None
    too_far_since: float = 0.0


@dataclass(slots=True, eq=False)
class Task:
    """A received record that is not done. It belongs to its assignment for life and dies with it."""

    home: Assignment
    record: SourceRecord
    event: ListingEvent | BadEvent
    tries: Tries = field(default_factory=Tries)
    waits: Waits = field(default_factory=Waits)
    company: Company = Company.ANY
    place: Place = Place.LANE
    #: Whether it stands in the lane of its listing.
    laned: bool = False
    first_failed_at: float | None = None
    #: Bytes that it holds in memory.
    size: int = field(init=False)
    #: The lane: tenant and listing; empty for a bad event.
    key: str = field(init=False)
    #: Of two events of a listing, the one with the higher revision counts.
    revision: int = field(init=False)

    def __post_init__(self) -> None:
        """Take out of record and event what is asked for again and again."""
        listing = None if isinstance(self.event, BadEvent) else self.event.listing
        self.size = self.record.size
        self.key = "" if listing is None else listing.key
        self.revision = -1 if listing is None else listing.revision

    @classmethod
    def of(cls, home: Assignment, record: SourceRecord, event: ListingEvent | BadEvent) -> "Task":
        """A task for a record that was just received; one from a retry topic brings its history along."""
        if (told := record.retried) is None:
            return cls(home, record, event)
        tries = Tries(told.transient, told.delayed, told.broken)
        company = Company.NONE if told.broken else Company.ANY
        return cls(home, record, event, tries, company=company, first_failed_at=told.first_failed_at)

    @property
    def origin(self) -> SourceRecord:
        """The record where it stood first: what results and dead letters speak of."""
        return self.record if self.record.retried is None else self.record.retried.origin

    @property
    def listing_event(self) -> ListingEvent:
        """The event of a task that goes to Serve; a bad event never does."""
        if isinstance(self.event, BadEvent):
            raise TypeError("a bad event has no listing")
        return self.event

    @property
    def replaceable(self) -> bool:
        """Whether a newer revision makes it void. A deletion is not: it removes images, which the newer one may not."""
        return self.listing_event.type is not EventType.DELETED
