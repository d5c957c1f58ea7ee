"""A whole replica without Ray: all parts put together from the settings, and the few things that one asks of it."""

import logging
import math
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from serve.batching.budget import Budget
from serve.buckets import client_for
from serve.catalog.operations import STAGE_ORDER
from serve.darkroom import Darkroom
from serve.errors import ServeError
from serve.fetcher.fetcher import FetchPolicy, SourceFetcher
from serve.housekeeping import Housekeeping
from serve.images.decoding import DecodeLimits
from serve.index import SqlIndex
from serve.interfaces import Development, SourceCache
from serve.metrics import Metrics
from serve.pipeline import Pipeline
from serve.preview import Previewer
from serve.privacy.retention import Retention
from serve.production import Production
from serve.report import software_version
from serve.schemas.exchange import AnswerLine, EnrichItem, ErrorLine, ResultLine
from serve.schemas.preview import PreviewAnswer
from serve.settings import MIB, ServeSettings
from serve.storage import Encryption, S3Store
from serve.workbench import Workbench, build_workbench

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """Answers events and previews; every error leaves it as a value or as a `ServeError`."""

    pipeline: Pipeline
    previewer: Previewer
    workbench: Workbench
    checks: tuple[Callable[[], None], ...]
    close: Callable[[], None]
    blocking: ThreadPoolExecutor

    async def answer(self, item: EnrichItem, timeout_s: float = math.inf) -> AnswerLine:
        """One line per event, whatever happens; what has not begun within `timeout_s` is not begun at all."""
        try:
            return ResultLine(ref=item.ref, result=await self.pipeline.answer(item, timeout_s))
        except ServeError as error:
            return ErrorLine(ref=item.ref, error=error.info())
        except Exception:
            log.exception("defect", extra={"event_id": item.event_id, "outcome": "error"})
            return ErrorLine(ref=item.ref, error=ServeError("Something went wrong inside Vitrine.").info())

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer:
        """See `Previewer.preview`."""
        return await self.previewer.preview(body, recipe, variants)

    def check(self) -> None:
        """Raise a `ServeError` unless store and index can be used. Blocking."""
        for check in self.checks:
            check()


def build_studio(
    settings: ServeSettings,
    metrics: Metrics,
    *,
    computes: Collection[str] = STAGE_ORDER,
    place: Callable[[Development], Development] = lambda local: local,
    source_cache: SourceCache | None = None,
) -> Studio:
    """Connect, load the weights, read the catalog against them. Blocking: seconds. Raise if anything is amiss.

    Stages outside of `computes` run elsewhere; `place` makes the way through them out of the local one.
    `source_cache` is the one that the fetcher keeps photos in, if it keeps any.
    """
    started = time.monotonic()
    workbench = build_workbench(settings, metrics, computes)
    encryption = Encryption(settings.s3_sse, settings.s3_kms_key_id)
    store = S3Store(client_for(settings), settings.s3_bucket, encryption=encryption)
    # Sources are read within the time of one fetch: a silent server must give its thread back early.
    sources = client_for(settings, read_timeout_s=min(5, settings.fetch_timeout_s), attempts=2)
    fetcher = SourceFetcher(fetch_policy(settings), sources)
    index = _open_index(settings)
    pictures = ThreadPoolExecutor(settings.picture_threads, thread_name_prefix="pictures")
    blocking = ThreadPoolExecutor(settings.blocking_threads, thread_name_prefix="blocking")
    images = Budget(settings.images_in_work)
    retention = _retention(settings, source_cache, index)
    darkroom = Darkroom(
        development=place(workbench.development),
        threads=pictures,
        limits=DecodeLimits(max_pixels=settings.max_pixels),
        working_bytes=Budget(settings.working_mib * MIB),
    )
    production = Production(
        fetcher=fetcher,
        darkroom=darkroom,
        store=store,
        index=index,
        images=images,
        metrics=metrics,
        blocking=blocking,
    )
    pipeline = Pipeline(
        editions=workbench.editions,
        production=production,
        store=store,
        index=index,
        metrics=metrics,
        blocking=blocking,
        max_images=settings.max_images,
        photo_wait_s=settings.photo_wait_s,
        retention=retention,
    )

    sources_chore = None if retention is None else retention.prune
    housekeeping = Housekeeping(index.prune, timedelta(days=settings.index_keep_days), sources=sources_chore)
    housekeeping.start()

    def close() -> None:
        housekeeping.stop()
        workbench.close()
        fetcher.close()
        pictures.shutdown(cancel_futures=True)
        blocking.shutdown(cancel_futures=True)
        index.close()

    log.info("studio is built", extra={"seconds": round(time.monotonic() - started, 2), "device": settings.device})
    return Studio(
        pipeline=pipeline,
        previewer=Previewer(editions=workbench.editions, darkroom=darkroom, images=images, metrics=metrics),
        workbench=workbench,
        checks=(store.check, index.check),
        close=close,
        blocking=blocking,
    )


def _retention(settings: ServeSettings, cache: SourceCache | None, index: SqlIndex) -> Retention | None:
    if cache is None:
        return None
    return Retention(cache, timedelta(days=settings.retention_days), index.deleted_since)


def fetch_policy(settings: ServeSettings) -> FetchPolicy:
    """What the settings allow to be fetched."""
    return FetchPolicy(
        buckets=settings.fetch_buckets,
        origins=settings.fetch_allow,
        files=settings.fetch_files is not None,
        file_root=settings.fetch_files,
        max_bytes=settings.fetch_max_bytes,
        timeout_s=settings.fetch_timeout_s,
    )


def _open_index(settings: ServeSettings) -> SqlIndex:
    if settings.index_url is None:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    index = SqlIndex(settings.index_address, version=software_version())
    index.create_schema()
    return index
