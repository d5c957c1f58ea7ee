"""What is sent: a seeded mix of listing events, mostly such that cost little work. Pure.

The same seed and number give the same bytes, wherever the photos are served.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic_core import to_json

from consumers.events import SPEC_VERSION
from deploy.loadtest.workload.planned import Kind, Planned
from serve.schemas.listing import EventType

TENANTS = ("atelier", "bazar")
TOPICS = {"listings.new.high": 2, "listings.new": 5, "listings.new.low": 3}
_SOURCE = "//loadtest"
#: Listings that are being edited just now, so that several revisions of one wait at a time.
_BUSY = 120
#: Share of events that begin a new listing.
_NEW_SHARE = 0.3
_LOOSE_SHARE = 0.03
#: Address of a photo by its number.
PhotoUrl = Callable[[int], str]


_CREATED: Mapping[Kind, int] = {Kind.BARE: 8, Kind.PHOTOS: 2, Kind.BAD: 1}
_MIX: Mapping[Kind, int] = {
    Kind.BARE: 60,
    Kind.PHOTOS: 12,
    Kind.DELETE: 7,
    Kind.OLDER: 8,
    Kind.DUPLICATE: 7,
    Kind.BAD: 6,
}


@dataclass(slots=True)
class _Listing:
    tenant: str
    name: str
    topics: tuple[str, ...]
    revision: int = 0
    sent: list[Planned] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.tenant}:{self.name}"


class Traffic:
    """Makes up events, one after the other."""

    def __init__(self, seed: int, photo_url: PhotoUrl, *, photos: int, recipe: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a game of chance, not a secret
        self._photo_url = photo_url
        self._photos = photos
        self._recipe = recipe
        self._listings: list[_Listing] = []
        self._busy: deque[_Listing] = deque(maxlen=_BUSY)
        self._number = 0

    def events(self, count: int) -> Iterator[Planned]:
        """So many events."""
        for _ in range(count):
            self._number += 1
            yield self._next()

    def _next(self) -> Planned:
        if not self._listings or self._chance.random() < _NEW_SHARE:
            listing, mix = self._new_listing(), _CREATED
        else:
            # Mostly one of those in work, now and then one from long ago.
            listing = self._chance.choice(self._busy if self._chance.random() < 0.8 else self._listings)
            mix = _MIX
        kind = self._chance.choices(list(mix), list(mix.values()))[0]
        if not listing.sent and kind in (Kind.DUPLICATE, Kind.OLDER):
            kind = Kind.BARE
        if kind is Kind.BAD:
            return self._bad(listing)
        planned = self._again(listing) if kind is Kind.DUPLICATE else self._event(listing, kind)
        listing.sent.append(planned)
        return planned

    def _new_listing(self) -> _Listing:
        loose = self._chance.random() < _LOOSE_SHARE
        topics = tuple(TOPICS) if loose else tuple(self._chance.choices(list(TOPICS), list(TOPICS.values())))
        listing = _Listing(self._chance.choice(TENANTS), f"sku-{len(self._listings)}", topics)
        self._listings.append(listing)
        self._busy.append(listing)
        return listing

    def _event(self, listing: _Listing, kind: Kind) -> Planned:
        # Steps of two leave room for revisions that come too late.
        if kind is not Kind.OLDER:
            listing.revision += 2
        late = self._chance.randrange(1, listing.revision, 2) if kind is Kind.OLDER else None
        revision = listing.revision if late is None else late
        data: dict[str, object] = {"tenant_id": listing.tenant, "listing_id": listing.name, "revision": revision}
        if kind is not Kind.DELETE:
            data["recipe"] = self._recipe
        if kind is Kind.PHOTOS or (kind is Kind.OLDER and self._chance.random() < 0.2):
            numbers = self._chance.sample(range(self._photos), self._chance.choice((1, 1, 2)))
            data["images"] = [{"url": self._photo_url(one), "image_id": f"photo-{one}"} for one in numbers]
        event_id = f"event-{self._number}"
        document = {"specversion": SPEC_VERSION, "id": event_id, "source": _SOURCE, "data": data}
        document["type"] = self._type(listing, kind).value
        return self._planned(listing, kind, to_json(document), event_id, revision)

    @staticmethod
    def _type(listing: _Listing, kind: Kind) -> EventType:
        if kind is Kind.DELETE:
            return EventType.DELETED
        return EventType.UPDATED if listing.sent else EventType.CREATED

    def _again(self, listing: _Listing) -> Planned:
        first = self._chance.choice(listing.sent)
        return self._planned(listing, Kind.DUPLICATE, first.value, first.event_id, first.revision)

    def _planned(self, listing: _Listing, kind: Kind, value: bytes, event_id: str, revision: int) -> Planned:
        return Planned(
            number=self._number,
            topic=self._chance.choice(listing.topics),
            key=listing.key.encode(),
            value=value,
            kind=kind,
            event_id=event_id,
            listing=listing.key,
            revision=revision,
            loose=len(listing.topics) > 1,
        )

    def _bad(self, listing: _Listing) -> Planned:
        event_id = f"event-{self._number}"
        bad: tuple[object, ...] = (
            {
                "specversion": SPEC_VERSION,
                "id": event_id,
                "source": _SOURCE,
                "type": "org.example.unheard.v1",
                "data": {},
            },
            {
                "specversion": SPEC_VERSION,
                "id": event_id,
                "source": _SOURCE,
                "type": EventType.CREATED,
                "data": {"x": 1},
            },
            {"hello": event_id},
        )
        value = self._chance.choice([*map(to_json, bad), f"{{{event_id}".encode()])
        topic = listing.topics[0]
        return Planned(
            number=self._number, topic=topic, key=listing.key.encode(), value=value, kind=Kind.BAD, event_id=event_id
        )
