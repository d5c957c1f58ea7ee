"""What a run left behind: objects in the store, offsets of the group. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from deploy.loadtest.ledger.violations import Reason, Violation
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult


class Stored(NamedTuple):
    """An object of a listing."""

    image: str
    variant: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the group has come in a partition."""

    topic: str
    partition: int
    committed: int | None
    end: int
    #: Records from the committed offset on; not `end - committed`, because transaction markers take offsets too.
    unread: int


def stored_objects(result: ListingResult | None) -> frozenset[Stored]:
    """The objects that a result names."""
    outputs = [] if result is None or result.outcome is Outcome.REMOVED else result.outputs
    return frozenset(Stored(one.source_image_id, one.variant, one.key, one.sha256) for one in outputs)


def object_faults(
    calm: Mapping[str, frozenset[Stored]], standing: Mapping[str, ListingResult], bucket: Mapping[str, str]
) -> Iterable[Violation]:
    """Where the objects of listings differ from those of a calm run, or from what the bucket holds (key -> sha256)."""
    for listing, expected in calm.items():
        found = stored_objects(standing.get(listing))
        if found != expected:
            what = f"{listing}: {len(found)} objects, {len(found ^ expected)} of them or of the calm run's differ"
            yield Violation(Reason.OBJECTS, what)
        for one in sorted(found):
            if bucket.get(one.key) != one.sha256:
                state = "missing" if one.key not in bucket else "of other bytes"
                yield Violation(Reason.OBJECTS, f"{listing}: {one.key} is {state} in the store")


def offset_faults(partitions: Iterable[Progress]) -> Iterable[Violation]:
    """Partitions that the group has not finished."""
    for one in partitions:
        if one.unread:
            what = f"{one.topic}[{one.partition}]: committed {one.committed}, end {one.end}, {one.unread} unread"
            yield Violation(Reason.OFFSETS, what)
