"""Listing events to measure with: no bigger and no smaller than a platform's, each of a listing of its own."""

from collections.abc import Sequence
from datetime import UTC, datetime

from consumers.events import ListingEvent, parse, structured
from consumers.records import Message, SourceRecord, TopicPartition
from serve.schemas.exchange import EnrichItem, ResultLine
from serve.schemas.listing import EventType, Listing, ListingImage
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult, Position

SOURCE = "urn:vitrine:bench"


def event(number: int, urls: Sequence[str] = (), tenant: str = "bench") -> ListingEvent:
    """The event of this number; without addresses it gets two that nobody will fetch."""
    addresses = urls or [f"https://photos.example/{number}/{place}.jpg" for place in range(2)]
    listing = Listing(
        tenant_id=tenant,
        listing_id=f"listing-{number}",
        revision=1,
        title=f"Washed linen shirt, relaxed fit, number {number}",
        brand="Example",
        locale="en-GB",
        attributes={"colour": "sand", "material": "linen", "sizes": ["S", "M", "L"]},
        images=[ListingImage(url=url) for url in addresses],
        recipe="studio",
    )
    return ListingEvent(f"{tenant}-{number}", SOURCE, EventType.CREATED, listing, datetime(2026, 1, 1, tzinfo=UTC))


def message(number: int) -> Message:
    """The event as a producer would send it, about 700 bytes."""
    return structured(event(number))


def records(count: int, partitions: int = 4) -> list[SourceRecord]:
    """Records as a poll gives them, spread over the partitions."""
    made = []
    for number in range(count):
        sent = message(number)
        tp = TopicPartition("bench", number % partitions)
        made.append(SourceRecord(tp, number // partitions, sent.key, sent.value, sent.headers))
    return made


def item(number: int, urls: Sequence[str] = (), tenant: str = "bench") -> EnrichItem:
    """The event as the consumers send it to Serve."""
    sent = event(number, urls, tenant)
    return EnrichItem(
        ref=number,
        event_id=sent.id,
        event_source=sent.source,
        type=sent.type,
        position=Position(topic=tenant, partition=0, offset=number),
        listing=sent.listing,
    )


def parsed(found: Sequence[SourceRecord]) -> dict[tuple[TopicPartition, int], ListingEvent]:
    """The events of the records by their place; they must all be good."""
    events = {(record.tp, record.offset): parse(record) for record in found}
    return {place: one for place, one in events.items() if isinstance(one, ListingEvent)}


def answer(asked: EnrichItem) -> ResultLine:
    """What a Serve says that has nothing to do."""
    result = ListingResult(
        event_id=asked.event_id,
        event_source=asked.event_source,
        position=asked.position,
        tenant_id=asked.listing.tenant_id,
        listing_id=asked.listing.listing_id,
        revision=asked.listing.revision,
        outcome=Outcome.ENRICHED,
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
        vitrine_version="bench",
    )
    return ResultLine(ref=asked.ref, result=result)
