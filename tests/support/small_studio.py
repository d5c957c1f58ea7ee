"""A pipeline of real parts with tiny stages: memory store, SQLite, photos from a dictionary."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from serve.batching.budget import Budget
from serve.batching.job import Limits
from serve.batching.slots import ComputeSlots
from serve.catalog.catalog import Catalog
from serve.catalog.loader import load_catalog
from serve.catalog.quality import QualityRules
from serve.catalog.recipe import Recipe, Variant
from serve.darkroom import Darkroom
from serve.development import LocalDevelopment
from serve.edition import Edition, Editions
from serve.errors import ServeError, SourceNotFound, StageFailed
from serve.images.decoding import DecodeLimits, Decoder, decode
from serve.index import SqlIndex
from serve.interfaces import FetchedBytes, ObjectStore, Shot, ShotFailure
from serve.metrics import PrometheusMetrics
from serve.pipeline import Pipeline
from serve.preview import Previewer
from serve.production import Production
from serve.schemas.exchange import EnrichItem
from serve.schemas.result import ModelRef, Quality
from serve.schemas.subject import Evidence, Subject
from serve.storage import MemoryStore

RULES = {
    "version": 1,
    "kinds": {
        "any": {
            "operations": [],
            "rules": {"fill": {"publish": {"min": 0.5}, "review": {"min": 0.2}, "reason": "too small"}},
        }
    },
}
RECIPES = (
    {
        "recipe": "pair",
        "version": 3,
        "description": "two plain pictures",
        "variants": [
            {"name": "white", "operations": [{"op": "studio"}], "size": [64, 64]},
            {"name": "grey", "operations": [{"op": "studio", "background": "#dddddd"}], "size": [64, 64]},
        ],
    },
    {
        "recipe": "shop",
        "version": 1,
        "description": "one picture, bound for a channel",
        "variants": [{"name": "white", "operations": [{"op": "studio"}], "size": [64, 64], "channels": ["shopify"]}],
    },
)


def small_catalog(**rules: object) -> Catalog:
    """Two recipes at 64 px, the built-in channels, one quality rule on `fill`."""
    kinds = {"any": {"operations": [], "rules": {"fill": rules}}} if rules else RULES["kinds"]
    recipes = [Recipe.model_validate(data) for data in RECIPES]
    return replace(
        load_catalog(),
        recipes={recipe.recipe: recipe for recipe in recipes},
        quality=QualityRules.model_validate({"version": 1, "kinds": kinds}),
        default_recipe="pair",
    )


class Paint:
    """A generation stage that fills the frame with the photo's mean colour; some variants may be told to fail."""

    name = "generation"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failing: set[str] = set()
        self.version = "1"

    def models(self, _: Variant) -> tuple[ModelRef, ...]:
        return (ModelRef(name="paint", version=self.version),)

    def bucket(self, shot: Shot) -> str:
        return shot.source.sha256

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        self.batches.append([shot.variant.name for shot in batch])
        return [self._paint(shot) for shot in batch]

    def _paint(self, shot: Shot) -> Shot | ShotFailure:
        if shot.variant.name in self.failing:
            return ShotFailure(shot=shot, stage=self.name, error=StageFailed("no paint"))
        width, height = shot.variant.size
        pixels = np.full((height, width, 3), shot.source.pixels.mean((0, 1)), np.uint8)
        category = Evidence(fact="category", value="shirt", confidence=0.9, source="paint")
        mask = np.ones((height, width), np.float32)
        return replace(shot, pixels=pixels, mask=mask, subject=Subject(category=category))

    def warm_up(self) -> None: ...


class Judge:
    """A quality stage that takes `fill` from a table: variant name -> value."""

    name = "quality_filter"

    def __init__(self, rules: QualityRules) -> None:
        self._rules = rules
        self.fill: dict[str, float] = {}

    def models(self, _: Variant) -> tuple[ModelRef, ...]:
        return ()

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        return [replace(shot, quality=self._judged(shot)) for shot in batch]

    def _judged(self, shot: Shot) -> Quality:
        return self._rules.judge(shot.variant, {"fill": self.fill.get(shot.variant.name, 0.9)})

    def bucket(self, _: Shot) -> str:
        return ""

    def warm_up(self) -> None: ...


@dataclass
class DictFetcher:
    """Photos by address; an error in the dictionary is raised."""

    photos: Mapping[str, bytes | ServeError]
    asked: list[str] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, url: str) -> FetchedBytes:
        self.asked.append(url)
        self.first.set()
        body = self.photos.get(url)
        if body is None:
            raise SourceNotFound
        if isinstance(body, ServeError):
            raise body
        return FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest())


@dataclass
class SmallStudio:
    """The pipeline and the parts that a test wants to look into."""

    pipeline: Pipeline
    previewer: Previewer
    store: ObjectStore
    index: SqlIndex
    fetcher: DictFetcher
    paint: Paint
    judge: Judge
    registry: CollectorRegistry
    images: Budget
    working_bytes: Budget
    editions: Editions


@contextmanager
def small_studio(
    photos: Mapping[str, bytes | ServeError],
    folder: Path,
    *,
    catalog: Catalog | None = None,
    store: ObjectStore | None = None,
    wrap_index: Callable[[SqlIndex], SqlIndex] = lambda index: index,
    max_images: int = 24,
    photo_wait_s: float = 60,
    decoder: Decoder = decode,
) -> Iterator[SmallStudio]:
    """Build the pipeline; the SQLite file in `folder` outlives it."""
    catalog = catalog or small_catalog()
    store = store or MemoryStore()
    index = SqlIndex(f"sqlite:///{folder / 'index.db'}")
    index.create_schema()
    used = wrap_index(index)
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    paint, judge, fetcher = Paint(), Judge(catalog.quality), DictFetcher(photos)
    slots = ComputeSlots(Limits(8, 2**24), metrics)
    editions = Editions(Edition(catalog, (paint, judge)))
    images, working_bytes = Budget(3), Budget(2**24)
    with ThreadPoolExecutor(4) as threads:
        darkroom = Darkroom(
            development=LocalDevelopment(slots),
            threads=threads,
            decoder=decoder,
            limits=DecodeLimits(),
            working_bytes=working_bytes,
        )
        production = Production(
            fetcher=fetcher,
            darkroom=darkroom,
            store=store,
            index=used,
            images=images,
            metrics=metrics,
            blocking=threads,
        )
        pipeline = Pipeline(
            editions=editions,
            production=production,
            store=store,
            index=used,
            metrics=metrics,
            blocking=threads,
            max_images=max_images,
            photo_wait_s=photo_wait_s,
        )
        previewer = Previewer(editions=editions, darkroom=darkroom, images=images, metrics=metrics)
        try:
            yield SmallStudio(
                pipeline, previewer, store, index, fetcher, paint, judge, registry, images, working_bytes, editions
            )
        finally:
            slots.close()
            index.close()


def item(*urls: str, offset: int = 0, **changes: object) -> EnrichItem:
    """An event for a listing with photos at these addresses; `changes` go to the event or its listing."""
    event_fields = {"type", "event_id", "attempt", "final"}
    listing: dict[str, object] = {"tenant_id": "acme", "listing_id": "L1", "revision": 1}
    listing["images"] = [{"url": url} for url in urls]
    listing |= {name: value for name, value in changes.items() if name not in event_fields}
    event = {
        "ref": offset,
        "event_id": f"e{offset}",
        "event_source": "//shop",
        "type": "org.vitrine.catalog.listing.created.v1",
        "position": {"topic": "t", "partition": 0, "offset": offset},
        "listing": listing,
    }
    return EnrichItem.model_validate(event | {name: value for name, value in changes.items() if name in event_fields})
