"""The same work in peace: the newest revision of each listing, alone, in one process, into a bucket of its own."""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from deploy.errors import ServiceFailed
from deploy.loadtest.ledger.objects import Stored, stored_objects
from deploy.loadtest.ledger.roster import Entry
from deploy.loadtest.workload.planned import Planned
from deploy.services.buckets import ensure_bucket, s3_client
from deploy.services.interface import Endpoints
from serve.metrics import PrometheusMetrics
from serve.schemas.exchange import EnrichItem, ErrorLine
from serve.schemas.result import Position
from serve.settings import ServeSettings
from serve.studio import Studio, build_studio

BUCKET = "calm"
#: Listings side by side: most of the time goes into waiting for photos and store.
_AT_ONCE = 8


def calm_run(
    events: Iterable[Entry], planned: Mapping[int, Planned], store: Endpoints, *, catalog: Path, photos: str
) -> dict[str, frozenset[Stored]]:
    """The objects of each listing after its newest event; `photos` is the origin of the photo server."""
    threads = cv2.getNumThreads()
    with tempfile.TemporaryDirectory(prefix="vitrine-calm-") as folder:
        settings = _settings(replace(store, bucket=BUCKET), Path(folder), catalog, photos)
        ensure_bucket(s3_client(store.s3_endpoint, store.access_key, store.secret_key, store.region), BUCKET)
        studio = build_studio(settings, PrometheusMetrics(CollectorRegistry()))
        try:
            return asyncio.run(_all(studio, [(event, planned[event.number]) for event in events]))
        finally:
            studio.close()
            cv2.setNumThreads(threads)


async def _all(studio: Studio, events: Iterable[tuple[Entry, Planned]]) -> dict[str, frozenset[Stored]]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(event: Entry, message: Planned) -> tuple[str, frozenset[Stored]]:
        async with room:
            return event.listing or "", await _objects(studio, event, message)

    return dict(await asyncio.gather(*(one(event, message) for event, message in events)))


async def _objects(studio: Studio, event: Entry, message: Planned) -> frozenset[Stored]:
    line = await studio.answer(item_of(event, message))
    if isinstance(line, ErrorLine):
        raise ServiceFailed(f"the calm run failed at {event.event_id}: {line.error.message}")
    return stored_objects(line.result)


def item_of(event: Entry, message: Planned) -> EnrichItem:
    """The event as Serve is asked to answer it."""
    place = event.place
    parsed = parse(SourceRecord(TopicPartition(place.topic, place.partition), place.offset, message.key, message.value))
    if not isinstance(parsed, ListingEvent):
        raise ServiceFailed(f"{event.event_id} is no listing event: {parsed.message}")
    return EnrichItem(
        ref=event.number,
        event_id=parsed.id,
        event_source=parsed.source,
        type=parsed.type,
        position=Position(topic=place.topic, partition=place.partition, offset=place.offset),
        attempt=1,
        listing=parsed.listing,
    )


def _settings(store: Endpoints, folder: Path, catalog: Path, photos: str) -> ServeSettings:
    return ServeSettings(
        fetch_allow=(photos,),
        s3_endpoint=store.s3_endpoint,
        s3_access_key=SecretStr(store.access_key),
        s3_secret_key=SecretStr(store.secret_key),
        s3_region=store.region,
        s3_bucket=store.bucket,
        state_dir=folder,
        catalog_dir=catalog,
    )
