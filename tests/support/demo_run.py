"""Values of a demo run for tests: photos, scripts, results."""

from datetime import UTC, datetime
from typing import Any

from deploy.demo.photos import ListingPhoto
from deploy.demo.recipes import Recipes
from deploy.demo.script import PlannedEvent, Script
from serve.schemas.outcome import Outcome, Verdict
from serve.schemas.result import ListingResult, Output, Position, Quality

STARTED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def photo(number: int = 1, body: bytes = b"0123456789", title: str = "Shirt") -> ListingPhoto:
    return ListingPhoto(name=f"photo-{number}.jpg", body=body, content_type="image/jpeg", title=title, category="shirt")


def script(hosted: dict[str, bytes] | None = None) -> Script:
    shelf = {} if hosted is None else hosted

    def host(name: str, body: bytes, _content_type: str) -> str:
        shelf[name] = body
        return f"http://127.0.0.1:9/{name}"

    return Script(started=STARTED, recipes=Recipes(), host=host, missing_url="http://127.0.0.1:9/none.jpg")


def planned(listings: int = 2) -> list[PlannedEvent]:
    """The events of a whole run."""
    writer = script()
    sent = list(writer.listings(photo(number) for number in range(1, listings + 1)))
    return [*sent, *writer.extras(sent)]


def position(offset: int, partition: int = 0) -> Position:
    return Position(topic="listings.new", partition=partition, offset=offset)


def output(variant: str = "white", key: str = "demo/ab12.jpg", **fields: Any) -> Output:
    values: dict[str, Any] = {
        "image_id": f"image-{variant}",
        "source_image_id": "listing-001-1",
        "source_sha256": "0" * 64,
        "variant": variant,
        "operations": ["studio"],
        "s3_uri": f"s3://vitrine/{key}",
        "key": key,
        "sha256": "0" * 64,
        "phash": "0" * 16,
        "width": 1000,
        "height": 1000,
        "format": "jpeg",
        "content_type": "image/jpeg",
        "bytes": 1,
        "seed": 1,
        "digital_source_type": "algorithmicallyEnhanced",
        "quality": Quality(verdict=Verdict.PUBLISH, score=1.0),
        **fields,
    }
    return Output.model_validate(values)


def result(at: Position, outcome: Outcome = Outcome.ENRICHED, **fields: Any) -> ListingResult:
    values: dict[str, Any] = {
        "event_id": "event",
        "event_source": "urn:test",
        "position": at,
        "tenant_id": "demo",
        "listing_id": "listing-001",
        "revision": 1,
        "outcome": outcome,
        "finished_at": STARTED,
        "vitrine_version": "0",
        **fields,
    }
    return ListingResult.model_validate(values)
