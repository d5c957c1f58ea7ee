"""One source photo on its way to stored images."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from serve.batching.budget import Budget
from serve.catalog.plan import PlannedShot, plan
from serve.darkroom import Darkroom, by_ground, declared_type, facts_of, judged_again, room_for
from serve.errors import ObjectBusy
from serve.images.encoding import Encoded
from serve.images.phash import phash
from serve.interfaces import (
    FetchedBytes,
    Fetcher,
    ObjectStore,
    ResultIndex,
    Shot,
    ShotFailure,
    SourceImage,
    StoredObject,
)
from serve.metrics import Metrics
from serve.photo import Photo
from serve.report import Report
from serve.schemas.outcome import Verdict
from serve.schemas.result import Output, Quality

log = logging.getLogger(__name__)
R = TypeVar("R")


class Production:
    """Fetch, plan, decode, compute, encode, store, record; what is already stored is not made again."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        darkroom: Darkroom,
        store: ObjectStore,
        index: ResultIndex,
        images: Budget,
        metrics: Metrics,
        blocking: Executor,
    ) -> None:
        self._fetcher = fetcher
        self._darkroom = darkroom
        self._store = store
        self._index = index
        self._images = images
        self._metrics = metrics
        self._blocking = blocking

    async def make(self, photo: Photo, begun: Callable[[], None]) -> Report:
        """Make all variants of one photo, and call `begun` when there is room for it.

        Whatever goes wrong stands in the report; only cancellation raises.
        """
        async with self._images.take(1, photo.caller.tenant):
            begun()
            self._tell_load()
            with photo.noting("fetch"):
                with photo.timings.stage("fetch"):
                    fetched = await self._fetcher.fetch(photo.url, owner=photo.owner, sha256=photo.sha256)
                await self._make(photo, fetched)
        self._tell_load()
        return photo.report

    async def _make(self, photo: Photo, fetched: FetchedBytes) -> None:
        with photo.noting("faces"):
            planned = plan(
                photo.recipe,
                tenant=photo.item.listing.tenant_id,
                source_sha256=fetched.sha256,
                channels_for=lambda variant: photo.edition.catalog.channels_for(photo.item.listing, variant),
                models_for=photo.models_for,
                on=photo.on,
                policy=self._darkroom.mark_policy,
                locale=photo.item.listing.locale,
            )
            planned = [one for one in planned if not _refused(photo, one)]
            with photo.noting("store"):
                await self._make_planned(photo, planned, fetched)

    async def _make_planned(self, photo: Photo, planned: Sequence[PlannedShot], fetched: FetchedBytes) -> None:
        records = await self._block(lambda: [self._known(photo, one) for one in planned])
        known = next((record.source_phash for record in records if record is not None), None)
        if known is not None and not photo.passes_policy(known):
            return
        for one, record in zip(planned, records, strict=True):
            if record is not None:
                self._reuse(photo, one, record)
        todo = [one for one, record in zip(planned, records, strict=True) if record is None]
        if todo:
            await self._work(photo, todo, fetched)

    async def _work(self, photo: Photo, todo: Sequence[PlannedShot], fetched: FetchedBytes) -> None:
        with photo.noting("decode"):
            decoded = await self._darkroom.decode(fetched, photo.image_id, photo.timings)
            source = await self._darkroom.fingerprint(decoded)
            if source.phash is None or not photo.passes_policy(source.phash):
                return
            todo = [one.from_source(declared_type(source)) for one in todo]
            todo = [one for one in todo if not _refused(photo, one)]
            async with self._darkroom.working_bytes.take(room_for(source, todo), photo.caller.tenant):
                self._tell_load()
                for ground, some in by_ground(source, todo).items():
                    laid = await self._darkroom.laid_on(ground, source, fetched, photo.timings)
                    await self._prepare_and_develop(photo, laid, some)

    async def _prepare_and_develop(self, photo: Photo, source: SourceImage, todo: Sequence[PlannedShot]) -> None:
        with photo.noting("faces"):
            if photo.hides_faces and photo.edition.faces is not None:
                source = await self._darkroom.without_faces(source, photo.edition.faces, photo.timings)
            with photo.noting("generation"):
                await self._develop(photo, source, todo)

    async def _develop(self, photo: Photo, source: SourceImage, todo: Sequence[PlannedShot]) -> None:
        shots = await self._darkroom.develop(source, todo, photo.edition.stages, photo.caller, photo.timings)
        async with asyncio.TaskGroup() as group:
            for shot, one in zip(shots, todo, strict=True):
                group.create_task(self._finish(photo, shot, one))

    async def _finish(self, photo: Photo, shot: Shot | ShotFailure, planned: PlannedShot) -> None:
        name = planned.variant.name
        if isinstance(shot, ShotFailure):
            photo.report.fail(photo.image_id, name, shot.stage, shot.error)
            return
        if shot.quality is not None and shot.quality.verdict is Verdict.REJECT:
            photo.report.reject(photo.image_id, name, shot.quality)
            return
        with photo.noting("encode", name):
            encoded, quality = await self._darkroom.encode(shot, planned, photo.timings)
            if quality.verdict is Verdict.REJECT:
                photo.report.reject(photo.image_id, name, quality)
                return
            with photo.noting("store", name):
                photo.report.stored(await self._store_and_record(photo, shot, planned, encoded, quality))

    async def _store_and_record(
        self, photo: Photo, shot: Shot, planned: PlannedShot, encoded: Encoded, quality: Quality
    ) -> Output:
        def work() -> Output:
            with photo.timings.stage("store"):
                stored = self._store.put_if_absent(planned.key, encoded.body, encoded.content_type)
                output = _output(photo, planned, shot=shot, encoded=encoded, stored=stored, quality=quality)
                if self._index.record(output):
                    return output
                if stored.created:
                    self._take_back(planned.key)
                raise ObjectBusy("the listing was deleted meanwhile")

        return await self._block(work)

    def _take_back(self, key: str) -> None:
        """Remove an object that was written after its deletion: nobody else knows of it."""
        if (ticket := self._index.condemn(key)) is not None:
            self._store.delete([key])
            self._index.forget(ticket)

    def _known(self, photo: Photo, planned: PlannedShot) -> Output | None:
        """The record of an image that is stored already, if store and index agree about it.

        One that lacks figures which today's rules ask for is made again, and so measured: a person is no cheaper. The
        same key gives the same picture, and the first write stays.
        """
        record = self._index.claim(photo.item, planned.key)
        if record is None or photo.edition.catalog.quality.asks_more(planned.variant, record.quality):
            return None
        if record.source_phash is None and photo.edition.catalog.policy.knows_photos(photo.caller.tenant):
            return None
        stored = self._store.head(planned.key)
        return record if stored is not None and stored.sha256 == record.sha256 else None

    def _reuse(self, photo: Photo, planned: PlannedShot, record: Output) -> None:
        planned = planned.from_source(record.digital_source_type)
        facts = facts_of(
            planned,
            record.quality,
            size=(record.width, record.height),
            count=record.bytes,
            encoding_quality=record.encoding_quality,
            subject=record.subject,
        )
        quality = judged_again(planned, record.quality, photo.edition.catalog.quality, facts)
        if quality.verdict is Verdict.REJECT:
            photo.report.reject(photo.image_id, planned.variant.name, quality)
            return
        names = {
            "image_id": photo.output_id(planned),
            "source_image_id": photo.image_id,
            "variant": planned.variant.name,
            "adapted": photo.adapted(planned, record.width, record.height),
        }
        photo.report.stored(record.model_copy(update={**names, "quality": quality, "reused": True}))

    async def _block(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._blocking, work)

    def _tell_load(self) -> None:
        self._metrics.load(
            images=self._images.used,
            waiting=self._images.waiting,
            working_bytes=self._darkroom.working_bytes.used,
        )


def _refused(photo: Photo, planned: PlannedShot) -> bool:
    """Whether the plan itself says no to an output; then it stands in the report."""
    if planned.refusal is not None:
        photo.report.fail(photo.image_id, planned.variant.name, "plan", planned.refusal)
    return planned.refusal is not None


def _output(
    photo: Photo, planned: PlannedShot, *, shot: Shot, encoded: Encoded, stored: StoredObject, quality: Quality
) -> Output:
    if shot.pixels is None:
        raise ValueError("a shot is recorded after all stages")
    return Output(
        image_id=photo.output_id(planned),
        source_image_id=photo.image_id,
        source_sha256=shot.source.sha256,
        variant=planned.variant.name,
        operations=[operation.op for operation in planned.variant.operations],
        s3_uri=stored.uri,
        key=planned.key,
        sha256=stored.sha256,
        phash=phash(shot.pixels),
        width=encoded.width,
        height=encoded.height,
        format=planned.variant.format,
        content_type=encoded.content_type,
        bytes=stored.bytes,
        models=list(planned.models),
        seed=planned.seed,
        digital_source_type=planned.digital_source_type,
        marks=planned.marks.names,
        faces_blurred=shot.source.faces_blurred,
        source_phash=shot.source.phash,
        quality=quality,
        adapted=photo.adapted(planned, encoded.width, encoded.height),
        encoding_quality=encoded.quality,
        subject=shot.subject,
    )
