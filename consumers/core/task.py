"""An event under way, and the assignment that it belongs to."""

from dataclasses import dataclass, field
from enum import IntEnum

from consumers.core.retry import Tries
from consumers.core.tracker import Tracker
from consumers.core.waits import Waits
from consumers.events import BadEvent, ListingEvent
from consumers.records import SourceRecord, TopicPartition


class Company(IntEnum):
    """What else of this worker may be with Serve while an event is; the larger, the stricter."""

    ANY = 0
    OWN_REQUEST = 1  #: nothing in its request: the request fails as a whole, or the event holds it up
    NONE = 2  #: nothing at all: it may kill the replica and whatever is in it


@dataclass(slots=True, eq=False)
class Assignment:
    """One stay of a partition with this worker. A partition that comes back gets a new one with a higher epoch."""

    tp: TopicPartition
    epoch: int
    tracker: Tracker
    tasks: dict[int, "Task"] = field(default_factory=dict)
    #: Version of the tracker that the broker has stored.
    committed_version: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """A received record that is not done. It belongs to its assignment for life and dies with it."""

    home: Assignment
    record: SourceRecord
    event: ListingEvent | BadEvent
    tries: Tries = field(default_factory=Tries)
    waits: Waits = field(default_factory=Waits)
    company: Company = Company.ANY
    #: False once it is done or its assignment is over: whatever still points to it must pass it by.
    live: bool = True
    first_failed_at: float | None = None

    @property
    def listing_event(self) -> ListingEvent:
        """The event of a task that goes to Serve; a bad event never does."""
        if isinstance(self.event, BadEvent):
            raise TypeError("a bad event has no listing")
        return self.event

    @property
    def key(self) -> str:
        """The lane: tenant and listing."""
        return self.listing_event.listing.key
