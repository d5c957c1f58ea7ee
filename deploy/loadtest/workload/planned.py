"""A planned event: the bytes to send, what is known of it beforehand, and how it may end. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from serve.schemas.outcome import Outcome

#: Header by which an event is found again in the log.
NUMBER = "loadtest-number"
#: Stands beside the outcomes: the event ends as a dead letter.
DEAD = "dead"


class Kind(StrEnum):
    """What an event is about."""

    BARE = "bare"  #: a listing without photos
    PHOTOS = "photos"  #: a listing with photos, new or a further revision
    HOT = "hot"  #: a further revision, with photos, of one of the few listings that are edited all the time
    BROKEN = "broken"  #: a listing whose photos are cut short, no images, too large or not there
    DELETE = "delete"
    OLDER = "older"  #: a revision that came too late
    DUPLICATE = "duplicate"  #: the same event once more
    BAD = "bad"  #: no event at all
    OVERSIZE = "oversize"  #: an event that Kafka takes and Serve's door finds too large


class PhotoFault(StrEnum):
    """What is wrong with a photo, as its name says it."""

    TRUNCATED = "truncated"  #: a JPEG that ends in the middle
    GARBAGE = "garbage"  #: no image
    HUGE = "huge"  #: more bytes than Serve takes
    MISSING = "missing"  #: answered with 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A message to send, and what is known of it."""

    number: int
    topic: str
    key: bytes
    value: bytes
    kind: Kind
    event_id: str
    #: `tenant:listing`; None for what can only end as a dead letter.
    listing: str | None = None
    revision: int = 0
    #: The listing's events stand in several topics, between which no order is promised.
    loose: bool = False
    #: Photos that the event names.
    images: int = 0


class PhotoSource(Protocol):
    """Where photos are fetched from."""

    def url(self, name: str) -> str:
        """Address of the photo of this name, `NUMBER-EDGE[-KIND].jpg`: any number is there, each a file of its own."""
        ...


def photo_name(number: int, edge: int, fault: PhotoFault | None = None) -> str:
    """The name of a photo whose longer side has `edge` pixels."""
    return f"{number}-{edge}.jpg" if fault is None else f"{number}-{edge}-{fault}.jpg"


_OVERTAKEN = frozenset({Outcome.SUPERSEDED, Outcome.STALE})
# A photo may break a rule, so that a person must look or nothing is published; good photos never fail.
_WORKED_ON = frozenset({Outcome.ENRICHED, Outcome.REVIEW_REQUIRED, Outcome.REJECTED})


def _names(*outcomes: frozenset[Outcome]) -> frozenset[str]:
    return frozenset(one.value for some in outcomes for one in some)


#: How an event may end that reaches Serve after all that its listing's partition holds before it.
#: `deploy/contracts/outcomes.md` has the codes.
ENDINGS: Mapping[Kind, frozenset[str]] = {
    # `no_images`.
    Kind.BARE: _names(frozenset({Outcome.REJECTED}), _OVERTAKEN),
    Kind.PHOTOS: _names(_WORKED_ON, _OVERTAKEN),
    Kind.HOT: _names(_WORKED_ON, _OVERTAKEN),
    # No photo of the listing can be used, and trying again changes nothing.
    Kind.BROKEN: _names(frozenset({Outcome.FAILED}), _OVERTAKEN),
    # Never superseded; stale after a wait in a retry topic.
    Kind.DELETE: _names(frozenset({Outcome.REMOVED, Outcome.STALE})),
    # Stale once a newer revision was answered, superseded while one waits.
    Kind.OLDER: _names(_OVERTAKEN),
    # The first may have been superseded by a worker, of which Serve knows nothing: then this one is late, too.
    Kind.DUPLICATE: _names(frozenset({Outcome.DUPLICATE}), _OVERTAKEN),
    # Refused by the consumer before Serve sees it: `invalid_json`, `invalid_event`, `unknown_event_type`.
    Kind.BAD: frozenset({DEAD}),
    # `request_too_large`.
    Kind.OVERSIZE: frozenset({DEAD}),
}

_GOOD = _names(_WORKED_ON, _OVERTAKEN, frozenset({Outcome.FAILED, Outcome.REMOVED, Outcome.DUPLICATE}))


def endings_of(kind: Kind, *, unordered: bool = False) -> frozenset[str]:
    """How an event of this kind may end.

    `unordered`: the events of its listing may reach Serve in another order, because they stand in several topics
    (`Planned.loose`), because a fault sent one of them through a retry topic, or because they do not come through
    Kafka. Then a repeat may come before its original, which is answered `duplicate` instead, and an older revision
    before the newer.
    """
    usual = ENDINGS[kind]
    if not unordered or DEAD in usual:
        return usual
    if kind in (Kind.OLDER, Kind.DUPLICATE):
        return _GOOD
    return usual | {Outcome.DUPLICATE.value}
