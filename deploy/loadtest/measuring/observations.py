"""What the processes of a load test see of single events: small values that travel between them.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of one machine share, unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from serve.schemas.outcome import Outcome


class Place(NamedTuple):
    """Where an event stands in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


#: Of an answer that does not say.
NOWHERE = Place("", -1, -1)


class Sent(NamedTuple):
    """The generator handed an event to its driver."""

    number: int
    at_ns: int


class Unsent(NamedTuple):
    """The driver could not send an event; nobody else has seen it."""

    number: int
    at_ns: int
    reason: str


class Taken(NamedTuple):
    """The broker acknowledged the event, or the door opened the stream of its answer."""

    number: int
    at_ns: int
    place: Place


class Visibility(StrEnum):
    """What the reader that we ship makes of a result."""

    SHOWN = "shown"
    #: Shown as `stale`: a newer revision of the listing came first.
    OVERTAKEN = "overtaken"
    #: Hidden: a result of this id was shown before.
    REPEAT = "repeat"


class Moments(NamedTuple):
    """When an event passed the system, in nanoseconds since 1970 by the clock of the machine that looked.

    Clocks are named as by `serve.schemas.clock`; 0 and the empty name stand for what was not told.
    """

    consumed_ns: int = 0
    consumer_clock: str = ""
    #: When the consumer handed the result to its producer.
    published_ns: int = 0
    started_ns: int = 0
    stored_ns: int = 0
    finished_ns: int = 0
    serve_clock: str = ""


#: Nobody told anything.
UNTOLD = Moments()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result came into sight."""

    at_ns: int
    place: Place
    result_id: str
    event_id: str
    #: `tenant:listing`
    listing: str
    revision: int
    #: As it stands in the message; see `visibility` for what the reader shows.
    outcome: Outcome
    code: str | None = None
    visibility: Visibility = Visibility.SHOWN
    images: int = 0
    #: Images that were found in the store.
    reused: int = 0
    moments: Moments = UNTOLD
    #: Milliseconds by stage, summed over the images.
    timings_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, or what stands for it where there is no Kafka: an error instead of a result."""

    place: Place
    dead_id: str
    code: str
    at_ns: int = 0


Observation = Sent | Unsent | Taken | Answer | Letter
