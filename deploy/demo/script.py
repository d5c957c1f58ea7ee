"""What the demo sends: a listing event per photo, then the troublesome extras, each with the answer it must get."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from consumers.events import ListingEvent, structured
from consumers.records import Message
from consumers.results import NEWER_REVISION_WAITING
from deploy.contracts.outcomes import DEAD_LETTER
from deploy.demo.photos import ListingPhoto
from deploy.demo.recipes import Recipes
from serve.schemas.listing import Category, EventType, ImageRole, Listing, ListingImage
from serve.schemas.outcome import Outcome

TENANT = "demo"
_PLATFORM = "urn:vitrine:demo"
#: A picture may miss a rule of quality; a listing that is rejected for anything else points to a fault of the run.
_ANSWERED: dict[str, str | None] = {
    Outcome.ENRICHED: None,
    Outcome.REVIEW_REQUIRED: None,
    Outcome.REJECTED: "quality_rejected",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """How an event must end: an outcome or `dead letter`, each with the code that it must have; None is any."""

    endings: Mapping[str, str | None]

    def met_by(self, ending: str, code: str | None) -> bool:
        """Whether the ending is as expected."""
        return ending in self.endings and self.endings[ending] in {None, code}

    def __str__(self) -> str:
        return " or ".join(f"{ending} ({code})" if code else ending for ending, code in sorted(self.endings.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """An event to be sent."""

    #: What is special about it; empty for an ordinary listing.
    label: str = ""
    event_id: str | None
    listing_id: str | None
    title: str = ""
    message: Message
    expected: Expected
    photo: ListingPhoto | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Writes the events of one run.

    Ids and revisions carry the time of the run, so that a second run against the same servers is no repeat of the
    first. Listings keep their names, hence the same photo gives the same objects.
    """

    started: datetime
    recipes: Recipes
    #: Serves a photo and gives its address: `host(name, body, content_type)`.
    host: Callable[[str, bytes, str], str]
    #: The address of a photo that nobody has.
    missing_url: str

    @property
    def revision(self) -> int:
        """Milliseconds since 1970: what a platform without counters sends."""
        return int(self.started.timestamp() * 1000)

    def listings(self, photos: Iterable[ListingPhoto]) -> Iterator[PlannedEvent]:
        """One `created` event per photo."""
        for number, photo in enumerate(photos, 1):
            url = self.host(photo.name, photo.body, photo.content_type)
            recipe = self.recipes.of(number, photo.category)
            event = self._event(f"listing-{number:03d}", photo.title, photo.category, [url], recipe=recipe)
            yield PlannedEvent(
                event_id=event.id,
                listing_id=event.listing.listing_id,
                title=photo.title,
                message=structured(event),
                expected=Expected(_ANSWERED),
                photo=photo,
            )

    def extras(self, sent: list[PlannedEvent]) -> Iterator[PlannedEvent]:
        """The troublesome ones, made after the events in `sent` (at least one)."""
        first, second = sent[0], sent[min(1, len(sent) - 1)]
        yield replace(
            first,
            label="the same event again",
            expected=Expected({Outcome.DUPLICATE: "duplicate_event"}),
            photo=None,
        )
        old = self._event(second.listing_id or "", "Older text", "clothes", [self.missing_url], age=1)
        # Which of the two depends on whether the newer one is answered by then.
        endings: dict[str, str | None] = {
            Outcome.STALE: "stale_revision",
            Outcome.SUPERSEDED: NEWER_REVISION_WAITING,
        }
        stale = self._extra(old, "an older revision", Outcome.STALE, "stale_revision")
        yield replace(stale, expected=Expected(endings))
        if first.photo is not None:
            whole = first.photo.body
            cut = self.host("cut-short.jpg", whole[: len(whole) * 3 // 5], "image/jpeg")
            broken = self._event("extra-broken-photo", "Photo cut short on its way", "clothes", [cut])
            yield self._extra(broken, "a broken photo", Outcome.FAILED, "corrupt_image")
        private = self._event(
            "extra-private-address",
            "Photo behind a private address",
            "clothes",
            # By https: a plain http address would be refused for that, before anybody looks where it leads.
            ["https://10.0.0.1/photo.jpg"],
        )
        yield self._extra(private, "a private address", Outcome.FAILED, "address_refused")
        missing = self._event("extra-missing-photo", "Photo that is gone", "clothes", [self.missing_url])
        yield self._extra(missing, "a missing photo (404)", Outcome.FAILED, "source_not_found")
        bare = self._event("extra-no-photos", "Listing without photos", "clothes", [])
        yield self._extra(bare, "no photos", Outcome.REJECTED, "no_images")
        yield from self._unreadable(bare)

    def _event(
        self, listing_id: str, title: str, category: str, urls: list[str], *, age: int = 0, recipe: str | None = None
    ) -> ListingEvent:
        suffix = f"-{age}" if age else ""
        return ListingEvent(
            id=f"demo-{self.started:%Y%m%dT%H%M%S%f}-{listing_id}{suffix}",
            source=_PLATFORM,
            type=EventType.CREATED,
            time=self.started.astimezone(UTC),
            listing=Listing(
                tenant_id=TENANT,
                listing_id=listing_id,
                revision=self.revision - 1000 * age,
                title=title,
                category=Category(path=f"Clothing > {category}"),
                locale="en",
                currency="EUR",
                recipe=recipe or self.recipes.usual,
                images=[
                    ListingImage(url=url, image_id=f"{listing_id}-{place}", role=ImageRole.MAIN, position=place)
                    for place, url in enumerate(urls, 1)
                ],
            ),
        )

    @staticmethod
    def _extra(event: ListingEvent, label: str, outcome: Outcome, code: str) -> PlannedEvent:
        return PlannedEvent(
            label=label,
            event_id=event.id,
            listing_id=event.listing.listing_id,
            title=event.listing.title or "",
            message=structured(event),
            expected=Expected({outcome: code}),
        )

    @staticmethod
    def _unreadable(event: ListingEvent) -> Iterator[PlannedEvent]:
        whole = structured(event)
        value = whole.value or b""
        yield PlannedEvent(
            label="invalid JSON",
            event_id=None,
            listing_id=None,
            message=whole._replace(value=value[: len(value) // 2]),
            expected=Expected({DEAD_LETTER: "invalid_json"}),
        )
        unknown_id = f"{event.id}-unknown-type"
        value = value.replace(event.type.encode(), b"org.vitrine.catalog.price.changed.v1")
        yield PlannedEvent(
            label="an unknown event type",
            event_id=unknown_id,
            listing_id=None,
            message=whole._replace(value=value.replace(event.id.encode(), unknown_id.encode())),
            expected=Expected({DEAD_LETTER: "unknown_event_type"}),
        )
