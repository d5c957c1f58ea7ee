"""What a run may have broken."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Which promise."""

    LOST = "lost"  #: an event without a visible outcome
    TWICE = "twice"  #: an event with more than one
    WRONG = "wrong"  #: an outcome that this event cannot have
    SPOILED = "spoiled"  #: a good event that a fault made a dead letter
    UNKNOWN = "unknown"  #: an outcome of nothing that was sent
    ORDER = "order"  #: within a topic partition a listing's images went back to an older revision
    OVERWRITTEN = "overwritten"  #: in the end a listing does not stand at its newest revision
    OBJECTS = "objects"  #: not the objects of a calm run
    OFFSETS = "offsets"  #: not everything is committed
    DIED = "died"  #: a worker ended although nobody wanted it


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    reason: Reason
    what: str
    #: Number of the event.
    number: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {"reason": self.reason.value, "what": self.what, "event": self.number}
