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
from serve.fetcher.cache import SourceCache
from serve.fetcher.fetcher import SourceFetcher
from serve.fetcher.policy import policy_of
from serve.housekeeping import Housekeeping
from serve.images.decoding import DecodeLimits
from serve.images.limits import SandboxLimits
from serve.images.sandbox import Sandbox
from serve.index import SqlIndex
from serve.interfaces import Development
from serve.marking import finisher_for
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
) -> Studio:
    """Connect, load the weights, read the catalog against them. Blocking: seconds. Raise if anything is amiss.

    Stages outside of `computes` run elsewhere; `place` makes the way through them out of the local one.
    """
    started = time.monotonic()
    workbench = build_workbench(settings, metrics, computes)
    encryption = Encryption(settings.s3_sse, settings.s3_kms_key_id)
    store = S3Store(client_for(settings), settings.s3_bucket, encryption=encryption)
    # Sources are read within the time of one fetch: a silent server must give its thread back early.
    sources = client_for(settings, read_timeout_s=min(5, settings.fetch_timeout_s), attempts=2)
    kept_sources = source_cache(settings)
    fetcher = SourceFetcher(policy_of(settings), sources, cache=kept_sources)
    index = _open_index(settings)
    pictures = ThreadPoolExecutor(settings.picture_threads, thread_name_prefix="pictures")
    blocking = ThreadPoolExecutor(settings.blocking_threads, thread_name_prefix="blocking")
    sandbox = Sandbox(settings.picture_threads, allowed=sandbox_limits(settings))
    images = Budget(settings.images_in_work)
    retention = _retention(settings, kept_sources, index)
    darkroom = Darkroom(
        development=place(workbench.development),
        threads=pictures,
        decoder=sandbox.decode,
        limits=DecodeLimits(max_pixels=settings.max_pixels),
        working_bytes=Budget(settings.working_mib * MIB),
        finisher=finisher_for(settings),
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
        sandbox.close()
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


def sandbox_limits(settings: ServeSettings) -> SandboxLimits:
    """What the settings allow a decode worker to take."""
    return SandboxLimits(
        memory_bytes=settings.decode_memory_mib * MIB,
        cpu_s=settings.decode_cpu_s,
        wall_s=settings.decode_wall_s,
        room_bytes=3 * settings.max_pixels,
    )


def source_cache(settings: ServeSettings) -> SourceCache | None:
    """Where source photos are kept for the next revision of their listing; None where the settings keep none."""
    if not settings.fetch_cache_mib or not settings.retention_days:
        return None
    return SourceCache(
        settings.state_dir / "sources.db",
        max_bytes=settings.fetch_cache_mib * MIB,
        max_age_s=timedelta(days=settings.retention_days).total_seconds(),
    )


def _retention(settings: ServeSettings, cache: SourceCache | None, index: SqlIndex) -> Retention | None:
    if cache is None:
        return None
    return Retention(cache, timedelta(days=settings.retention_days), index.deleted_since)


def _open_index(settings: ServeSettings) -> SqlIndex:
    if settings.index_url is None:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    index = SqlIndex(settings.index_address, version=software_version())
    index.create_schema()
    return index
