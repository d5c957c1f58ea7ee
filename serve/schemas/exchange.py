"""The HTTP exchange between consumers and ingress: up to 32 events in, one NDJSON line per event out, in any order."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.schemas.listing import EventType, Listing
from serve.schemas.result import ErrorInfo, ListingResult, Position

#: A request carries at most this many events.
MAX_EVENTS_PER_REQUEST = 32
NDJSON = "application/x-ndjson"
#: Control characters have no place in an identifier; NUL would even break a PostgreSQL text column.
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class EnrichItem(_Message):
    """One event to answer."""

    #: Names the answer line in this exchange; the event id cannot, it may occur twice in one request.
    ref: int
    event_id: Annotated[str, StringConstraints(max_length=256, pattern=PRINTABLE)]
    event_source: Annotated[str, StringConstraints(max_length=2048, pattern=PRINTABLE)]
    type: EventType
    position: Position
    #: 1 for the first try.
    attempt: int = 1
    #: No further try will come: answer with what can be had instead of asking for a retry.
    final: bool = False
    #: Do the work whatever was answered before, and leave no answer behind: somebody wants to see today's images.
    replay: bool = False
    listing: Listing


class EnrichRequest(_Message):
    """The body of `POST /v1/enrich`."""

    items: Annotated[list[EnrichItem], Field(min_length=1, max_length=MAX_EVENTS_PER_REQUEST)]


class ResultLine(_Message):
    """The event is answered."""

    kind: Literal["result"] = "result"
    ref: int
    result: ListingResult


class ErrorLine(_Message):
    """The event is not answered; `error.retry` says what to do."""

    kind: Literal["error"] = "error"
    ref: int
    error: ErrorInfo


AnswerLine = Annotated[ResultLine | ErrorLine, Field(discriminator="kind")]


class Capacity(_Message):
    """The body of `GET /v1/capacity`: how much the consumers may have in flight."""

    replicas: int
    #: Events that may be in flight over all replicas, running and waiting for a slot.
    max_in_flight: int
    max_events_per_request: int = MAX_EVENTS_PER_REQUEST
