"""Listing events and results for tests."""

import json
from datetime import UTC, datetime

from consumers.core.actions import Item
from consumers.records import SourceRecord, TopicPartition
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult

CREATED = "org.vitrine.catalog.listing.created.v1"


def envelope(event_id: str, listing: str = "l1", revision: int = 1, **more: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "//shop/1",
        "type": CREATED,
        "data": {"tenant_id": "acme", "listing_id": listing, "revision": revision},
        **more,
    }


def structured_bytes(event_id: str, listing: str = "l1", revision: int = 1, **more: object) -> bytes:
    return json.dumps(envelope(event_id, listing, revision, **more)).encode()


def source_record(tp: TopicPartition, offset: int, value: bytes | None) -> SourceRecord:
    return SourceRecord(tp, offset, None, value, (), offset)


def result_for(item: EnrichItem | Item, outcome: Outcome = Outcome.ENRICHED) -> ListingResult:
    sent = item.exchange() if isinstance(item, Item) else item
    return ListingResult(
        event_id=sent.event_id,
        event_source=sent.event_source,
        tenant_id=sent.listing.tenant_id,
        listing_id=sent.listing.listing_id,
        revision=sent.listing.revision,
        outcome=outcome,
        finished_at=datetime(2026, 11, 21, tzinfo=UTC),
        vitrine_version="test",
    )
