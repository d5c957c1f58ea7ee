"""How an event ends, and how an error wants to be treated."""

from enum import StrEnum


class Outcome(StrEnum):
    """The one way in which an answered event ends; an event that cannot be answered is a dead letter."""

    ENRICHED = "enriched"  #: at least one image is published, none waits for a person
    REVIEW_REQUIRED = "review_required"  #: at least one stored image waits for a person
    REJECTED = "rejected"  #: the request or every image broke a rule; sending it again unchanged gives the same
    FAILED = "failed"  #: no image could be made because of errors
    STALE = "stale"  #: a newer revision of the listing was answered before
    DUPLICATE = "duplicate"  #: the same event id was answered before at another position
    SUPERSEDED = "superseded"  #: a newer revision was waiting, so this one did no work
    REMOVED = "removed"  #: the listing was deleted, its images with it

    @property
    def carries_images(self) -> bool:
        """Whether this outcome states which images the listing has now."""
        return self in _STATES_OF_A_LISTING


_STATES_OF_A_LISTING = frozenset(
    {Outcome.ENRICHED, Outcome.REVIEW_REQUIRED, Outcome.REJECTED, Outcome.FAILED, Outcome.REMOVED}
)


class RetryClass(StrEnum):
    """What an error asks of whoever sent the work."""

    TRANSIENT = "transient"  #: try again in a moment
    DELAYED = "delayed"  #: try again later; trying at once is useless
    PERMANENT = "permanent"  #: never try again
    BACK_PRESSURE = "back_pressure"  #: nothing was tried: wait for room, no attempt is spent


class Verdict(StrEnum):
    """What the quality filter says of one output."""

    PUBLISH = "publish"  #: all rules hold
    REVIEW = "review"  #: stored, but a person decides
    REJECT = "reject"  #: not stored
