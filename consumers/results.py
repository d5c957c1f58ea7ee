"""Result events: what Vitrine tells the world, as CloudEvents 1.0 in structured mode.

Structured, so that one line of a results file is the whole event and any JSON tool can read it.
"""

import hashlib
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from consumers.events import SPEC_VERSION, STRUCTURED, ListingEvent
from consumers.records import Message
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult, Position, Quality

SOURCE = "urn:vitrine:consumers"

_TYPE = "org.vitrine.listing.images.{}.v1"
ENRICHED = _TYPE.format("enriched")
REVIEW_REQUIRED = _TYPE.format("review_required")
FAILED = _TYPE.format("failed")
REMOVED = _TYPE.format("removed")
#: Nothing about the images changed. Apart, so that who listens to `enriched` never gets an event without images.
UNCHANGED = _TYPE.format("unchanged")

#: Code of an event that did no work, because a newer revision of its listing was waiting.
NEWER_REVISION_WAITING = "newer_revision_waiting"

TYPE_OF: dict[Outcome, str] = {
    Outcome.ENRICHED: ENRICHED,
    Outcome.REVIEW_REQUIRED: REVIEW_REQUIRED,
    Outcome.REJECTED: FAILED,
    Outcome.FAILED: FAILED,
    Outcome.REMOVED: REMOVED,
    Outcome.STALE: UNCHANGED,
    Outcome.DUPLICATE: UNCHANGED,
    Outcome.SUPERSEDED: UNCHANGED,
}


class ResultEvent(BaseModel):
    """A result event, as a subscriber reads it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    #: The id of the event that this answers.
    causationid: str
    traceparent: str | None = None
    data: ListingResult


def result_id(source: str, event_id: str, position: Position) -> str:
    """Name of the answer to the event at this position, 32 hex digits.

    The same after a crash and a repeat; another one for the same event elsewhere, whose answer says `duplicate`.
    """
    parts = (source, event_id, position.topic, str(position.partition), str(position.offset))
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.hexdigest()[:32]


def result_event(result: ListingResult, position: Position, event: ListingEvent) -> Message:
    """The message that answers `event`, which stands (or first stood) at `position`."""
    key = event.listing.key
    document: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": result_id(event.source, event.id, position),
        "source": SOURCE,
        "type": TYPE_OF[result.outcome],
        "subject": event.listing.listing_id,
        "time": result.finished_at,
        "datacontenttype": "application/json",
        "partitionkey": key,
        "causationid": event.id,
        "traceparent": event.traceparent,
        "data": result.model_copy(update={"position": position}),
    }
    if event.traceparent is None:
        del document["traceparent"]
    headers = (("content-type", f"{STRUCTURED}; charset=UTF-8".encode()),)
    return Message(key.encode(), to_json(document), headers)


def superseded(event: ListingEvent, by_revision: int, version: str, finished_at: datetime) -> ListingResult:
    """The answer to an event for which no work was done, because a newer revision was waiting."""
    listing = event.listing
    return ListingResult(
        event_id=event.id,
        event_source=event.source,
        tenant_id=listing.tenant_id,
        listing_id=listing.listing_id,
        revision=listing.revision,
        outcome=Outcome.SUPERSEDED,
        code=NEWER_REVISION_WAITING,
        message=f"Revision {by_revision} of the listing was waiting as well.",
        finished_at=finished_at,
        vitrine_version=version,
    )


def shortened(result: ListingResult) -> ListingResult:
    """The same without the rules that hold, for a broker to which the whole is too large; `shortened` says so."""

    def brief(quality: Quality) -> Quality:
        return quality.model_copy(update={"rules": [rule for rule in quality.rules if not rule.passed]})

    outputs = [output.model_copy(update={"quality": brief(output.quality)}) for output in result.outputs]
    errors = [error.model_copy(update={"quality": error.quality and brief(error.quality)}) for error in result.errors]
    return result.model_copy(update={"outputs": outputs, "errors": errors, "shortened": True})


def parse_result(value: bytes | None) -> ResultEvent | None:
    """Read a result event; None for anything else."""
    try:
        return ResultEvent.model_validate_json(value or b"")
    except ValidationError:
        return None
