"""What the pipeline costs or gains: from photo to stored images, against a plain loop of the same steps and threads."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from deploy.bench.figure import Figure, Progress, in_turns
from deploy.bench.local_studio import LocalStudio, local_studio
from deploy.errors import ServiceFailed
from serve.catalog.plan import ENCODING_QUALITY, PlannedShot, plan
from serve.darkroom import checked, facts_of
from serve.images.decoding import decode
from serve.images.encoding import encode
from serve.images.provenance import Provenance
from serve.interfaces import FetchedBytes, Shot, ShotFailure, SourceImage
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Verdict

_GOAL = 0.85
Seconds = Callable[[], float]
Planned = Sequence[PlannedShot]
Made = list[Shot | ShotFailure]


def run(progress: Progress, *, photos: int = 3, rounds: int = 3) -> Figure:
    """Images per second by the clock on the wall."""
    return _run("pipeline", progress, time.perf_counter, photos, rounds)


def run_by_cpu(progress: Progress, *, photos: int = 2, rounds: int = 3) -> Figure:
    """Images per second of CPU time of this process: what the pipeline costs beside the steps themselves."""
    return _run("pipeline-cpu", progress, time.process_time, photos, rounds)


def _run(name: str, progress: Progress, seconds: Seconds, photos: int, rounds: int) -> Figure:
    with local_studio(photos) as local, asyncio.Runner() as runner:
        # Bytes of each image. The hashes differ: a file names its key, and the key its tenant.
        made: dict[str, list[int]] = {}

        def plain() -> float:
            items = local.events(next(local.tenants))
            started = seconds()
            sizes = plain_loop(local, items)
            spent = seconds() - started
            made["plain"] = sorted(sizes)
            return len(sizes) / spent

        def pipeline() -> float:
            items = local.events(next(local.tenants))
            started = seconds()
            outputs = runner.run(local.answer(items))
            spent = seconds() - started
            made["pipeline"] = sorted(output.bytes for output in outputs)
            if made["pipeline"] != made["plain"]:
                raise ServiceFailed("the plain loop and the pipeline made different images")
            return len(outputs) / spent

        found = in_turns(plain, pipeline, progress, rounds=rounds)
    unit = "images/s" if name == "pipeline" else "images/CPU s"
    return Figure.of(name, found, unit=unit, goal=_GOAL)


def plain_loop(local: LocalStudio, items: Sequence[EnrichItem]) -> list[int]:
    """Fetch, decode, cut out, compose, measure, encode, put; the bytes of each image.

    On the threads that the pipeline has: one for pictures, one that computes.
    """
    with ThreadPoolExecutor(1) as pictures, ThreadPoolExecutor(1) as compute:
        # Each thread has its work in the order of this list, so whoever waits for the other one waits for a reason.
        opened = [pictures.submit(_opened, local, item) for item in items]
        developed = [compute.submit(_developed, local, work) for work in opened]
        stored = [pictures.submit(_stored, local, work) for work in developed]
        return [size for work in stored for size in work.result()]


def _opened(local: LocalStudio, item: EnrichItem) -> tuple[Planned, SourceImage]:
    edition = local.studio.workbench.editions.current
    body = Path(urlsplit(item.listing.images[0].url).path).read_bytes()
    fetched = FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest())
    planned = plan(
        edition.catalog.choose(item.listing),
        tenant=item.listing.tenant_id,
        source_sha256=fetched.sha256,
        channels_for=lambda variant: edition.catalog.channels_for(item.listing, variant),
        models_for=edition.models_for,
    )
    return planned, decode(fetched, "0")


def _developed(local: LocalStudio, opened: "Future[tuple[Planned, SourceImage]]") -> tuple[Planned, Made]:
    planned, source = opened.result()
    shots: Made = [
        Shot(source=source, variant=one.variant, key=one.key, seed=one.seed, models=one.models) for one in planned
    ]
    for stage in local.studio.workbench.editions.current.stages:
        live = [shot for shot in shots if isinstance(shot, Shot)]
        todo = [shot for shot in live if stage.bucket(shot) is not None]
        made = iter(stage.run(todo))
        shots = [shot if stage.bucket(shot) is None else next(made) for shot in live]
    return planned, shots


def _stored(local: LocalStudio, developed: "Future[tuple[Planned, Made]]") -> list[int]:
    planned, shots = developed.result()
    sizes = [_put(local, shot, one) for shot, one in zip(shots, planned, strict=True)]
    return [size for size in sizes if size is not None]


def _put(local: LocalStudio, shot: Shot | ShotFailure, planned: PlannedShot) -> int | None:
    """The bytes of the stored image; None where the quality filter stops it, as it does in the pipeline."""
    if isinstance(shot, ShotFailure) or shot.pixels is None or shot.quality is None:
        raise ServiceFailed("a stage failed in the plain loop")
    if shot.quality.verdict is Verdict.REJECT:
        return None
    provenance = Provenance(
        digital_source_type=planned.digital_source_type, models=shot.models, seed=shot.seed, key=shot.key
    )
    variant = planned.variant
    encoded = encode(shot.pixels, variant.format, provenance, max_bytes=planned.max_bytes, quality=ENCODING_QUALITY)
    facts = facts_of(planned, shot.quality, size=(encoded.width, encoded.height), count=len(encoded.body))
    if checked(planned, shot.quality, facts).verdict is Verdict.REJECT:
        return None
    return local.store.put_if_absent(planned.key, encoded.body, encoded.content_type).bytes
