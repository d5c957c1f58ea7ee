"""What is sent: events after a mix, one after the other. Pure.

The same mix, seed and namespace give the same bytes, but for the address at which the photos are served.
"""

import re
import zlib
from bisect import bisect
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from pydantic_core import to_json

from deploy.errors import DeployError
from deploy.loadtest.workload.mix import Mix
from deploy.loadtest.workload.planned import Kind, PhotoSource, Planned, photo_name
from deploy.loadtest.workload.poison import envelope, oversize, poison
from serve.schemas.listing import EventType

_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}|")
#: Listings that further events may be about; of more than that, which a long load has, some are forgotten.
_REMEMBERED = 10_000
#: Events of a listing that may come once more.
_REPEATABLE = 4
#: Photo numbers of a namespace begin at a multiple of this.
_PHOTOS_APART = 2**24

T = TypeVar("T")


@dataclass(slots=True)
class _Listing:
    tenant: str
    name: str
    topics: tuple[str, ...]
    #: Of the newest event; revisions go in steps of two, which leaves room for those that come too late.
    revision: int = 0
    sent: deque[Planned] = field(default_factory=lambda: deque(maxlen=_REPEATABLE))

    @property
    def key(self) -> str:
        return f"{self.tenant}:{self.name}"


class _Draw(Generic[T]):
    """Draws values by their weights."""

    def __init__(self, chance: Random, weights: Mapping[T, float]) -> None:
        self._random = chance.random
        self._values = [value for value, weight in weights.items() if weight]
        self._until = list(accumulate(weight for weight in weights.values() if weight))

    def __call__(self) -> T:
        return self._values[bisect(self._until, self._random() * self._until[-1], 0, len(self._values) - 1)]


class Traffic:
    """Makes up events. Memory does not grow with their number."""

    def __init__(self, mix: Mix, seed: int, photos: PhotoSource, *, namespace: str = "") -> None:
        """`namespace`: letters and digits, part of every tenant, listing and event id and of the photos' numbers."""
        if not _NAMESPACE.fullmatch(namespace):
            raise DeployError(f"{namespace!r} is no namespace: up to 24 letters, digits, - and _")
        self._mix = mix
        self._photos = photos
        self._mark = f"{namespace}-" if namespace else ""
        self._suffix = f"-{namespace}" if namespace else ""
        self._photo_base = zlib.crc32(namespace.encode()) * _PHOTOS_APART
        self._number = self._listing_count = self._photo_count = 0
        self._known: list[_Listing] = []
        self._recent: deque[_Listing] = deque(maxlen=mix.recent_listings)
        self._hot: list[_Listing] = []
        chance = self._chance = Random(seed)  # noqa: S311 - a game of chance, not a secret
        self._first, self._further = _Draw(chance, mix.first), _Draw(chance, mix.further)
        self._tenant, self._topic = _Draw(chance, mix.tenants), _Draw(chance, mix.topics)
        self._recipe, self._count = _Draw(chance, mix.recipes), _Draw(chance, mix.images)
        self._edge, self._fault = _Draw(chance, mix.edges), _Draw(chance, mix.faults)
        self._poison = _Draw(chance, mix.poison)
        # A photo that comes again has the same size again.
        self._shared_edges = [self._edge() for _ in range(mix.photo_reuse)]

    def events(self, count: int) -> Iterator[Planned]:
        """So many further events."""
        for _ in range(count):
            self._number += 1
            yield self._next()

    @property
    def remembered(self) -> int:
        """Listings that further events may be about."""
        return len(self._known)

    def _next(self) -> Planned:
        begins = not self._known or self._chance.random() < self._mix.new_listings
        kind = self._first() if begins else self._further()
        if kind is Kind.OVERSIZE:
            return self._oversize()
        if kind is Kind.BAD:
            return self._bad(self._listing() if begins else self._some())
        if begins:
            listing = self._listing()
            self._remember(listing)
        else:
            listing = self._hot_one() if kind is Kind.HOT else self._some()
        planned = self._again(listing) if kind is Kind.DUPLICATE else self._event(listing, kind)
        listing.sent.append(planned)
        return planned

    # -- listings --

    def _listing(self) -> _Listing:
        mix = self._mix
        loose = mix.several_topics > 0 and self._chance.random() < mix.several_topics
        topics = mix.topics_used if loose else (self._topic(),)
        name = f"{self._mark}sku-{self._listing_count}"
        self._listing_count += 1
        return _Listing(self._tenant() + self._suffix, name, topics)

    def _remember(self, listing: _Listing) -> None:
        self._recent.append(listing)
        if len(self._known) < _REMEMBERED:
            self._known.append(listing)
        else:
            self._known[self._chance.randrange(_REMEMBERED)] = listing

    def _some(self) -> _Listing:
        """Mostly one of those in work, now and then one from long ago."""
        recent = self._chance.random() < self._mix.recent_share
        return self._chance.choice(self._recent if recent else self._known)

    def _hot_one(self) -> _Listing:
        number = self._chance.randrange(self._mix.hot_listings)
        if number < len(self._hot):
            return self._hot[number]
        self._hot.append(self._listing())
        return self._hot[-1]

    # -- events --

    def _event(self, listing: _Listing, kind: Kind) -> Planned:
        if kind is not Kind.OLDER:
            listing.revision += 2
        late = self._chance.randrange(1, listing.revision, 2) if kind is Kind.OLDER else None
        revision = listing.revision if late is None else late
        data: dict[str, object] = {"tenant_id": listing.tenant, "listing_id": listing.name, "revision": revision}
        if kind is not Kind.DELETE:
            data["recipe"] = self._recipe()
        images = self._images(kind)
        if images:
            data["images"] = images
        event_id = self._event_id()
        value = to_json(envelope(event_id, self._type(listing, kind), data))
        return self._planned(listing, kind, value, event_id=event_id, revision=revision, images=len(images))

    def _images(self, kind: Kind) -> list[dict[str, str]]:
        with_photos = kind in (Kind.PHOTOS, Kind.HOT, Kind.BROKEN)
        if kind is Kind.OLDER:
            with_photos = self._chance.random() < self._mix.older_with_photos
        if not with_photos:
            return []
        images = []
        for number in self._numbers(self._count()):
            edge = self._shared_edges[number] if self._shared_edges else self._edge()
            name = photo_name(self._photo_base + number, edge, self._fault() if kind is Kind.BROKEN else None)
            images.append({"url": self._photos.url(name), "image_id": f"photo-{number}"})
        return images

    def _numbers(self, count: int) -> list[int]:
        """Numbers of so many photos, from 0 on within this namespace."""
        if shared := len(self._shared_edges):
            return self._chance.sample(range(shared), min(count, shared))
        self._photo_count += count
        return list(range(self._photo_count - count, self._photo_count))

    @staticmethod
    def _type(listing: _Listing, kind: Kind) -> EventType:
        if kind is Kind.DELETE:
            return EventType.DELETED
        return EventType.UPDATED if listing.sent else EventType.CREATED

    def _again(self, listing: _Listing) -> Planned:
        one = self._chance.choice(listing.sent)
        return self._planned(
            listing, Kind.DUPLICATE, one.value, event_id=one.event_id, revision=one.revision, images=one.images
        )

    def _planned(
        self, listing: _Listing, kind: Kind, value: bytes, *, event_id: str, revision: int, images: int
    ) -> Planned:
        topics = listing.topics
        return Planned(
            number=self._number,
            topic=topics[0] if len(topics) == 1 else self._chance.choice(topics),
            key=listing.key.encode(),
            value=value,
            kind=kind,
            event_id=event_id,
            listing=listing.key,
            revision=revision,
            loose=len(topics) > 1,
            images=images,
        )

    def _bad(self, listing: _Listing) -> Planned:
        event_id = self._event_id()
        return self._dead(listing, Kind.BAD, event_id, poison(self._poison(), event_id))

    def _oversize(self) -> Planned:
        """A listing of its own: while it waits, it would supersede older revisions, and then be no answer for them."""
        listing, event_id = self._listing(), self._event_id()
        value = oversize(event_id, listing.tenant, listing.name, self._recipe())
        return self._dead(listing, Kind.OVERSIZE, event_id, value)

    def _dead(self, listing: _Listing, kind: Kind, event_id: str, value: bytes) -> Planned:
        return Planned(
            number=self._number,
            topic=listing.topics[0],
            key=listing.key.encode(),
            value=value,
            kind=kind,
            event_id=event_id,
        )

    def _event_id(self) -> str:
        return f"{self._mark}event-{self._number}"
