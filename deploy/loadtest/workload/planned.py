"""A planned event: the bytes to send, and what is known of it beforehand. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

#: Header by which an event is found again in the log.
NUMBER = "loadtest-number"


class Kind(StrEnum):
    """What an event is about."""

    BARE = "bare"  #: a listing without photos
    PHOTOS = "photos"  #: a few small photos, which other listings have too
    DELETE = "delete"
    OLDER = "older"  #: a revision that came too late
    DUPLICATE = "duplicate"  #: the same event once more
    BAD = "bad"  #: no event at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A message to send, and what is known of it."""

    number: int
    topic: str
    key: bytes
    value: bytes
    kind: Kind
    event_id: str
    listing: str | None = None
    revision: int = 0
    loose: bool = False


class PhotoSource(Protocol):
    """Where photos are fetched from."""

    def url(self, name: str) -> str:
        """Address of the photo of this name, `NUMBER-EDGE[-KIND].jpg`: any number is there, each a file of its own."""
        ...
