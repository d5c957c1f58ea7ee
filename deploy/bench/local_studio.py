"""A replica without Ray for benches: built as in production, with rendered photos as files and an embedded store."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import cv2
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from deploy.bench import listings
from deploy.demo.products import render
from deploy.errors import ServiceFailed
from deploy.services.buckets import s3_client
from deploy.services.store_embedded import EmbeddedStore
from deploy.settings import DeploySettings
from serve.metrics import PrometheusMetrics
from serve.schemas.exchange import EnrichItem, ErrorLine
from serve.schemas.result import Output
from serve.settings import ServeSettings
from serve.storage import S3Store
from serve.studio import Studio, build_studio

_SEED = 7


@dataclass(slots=True)
class LocalStudio:
    """The studio, its store, and the addresses of the photos."""

    studio: Studio
    store: S3Store
    photos: Sequence[Path]
    tenants: Iterator[str] = field(default_factory=lambda: (f"tenant-{number:04}" for number in count()))
    numbers: Iterator[int] = field(default_factory=count)

    def events(self, tenant: str) -> list[EnrichItem]:
        """One new listing of the tenant for each photo. What a tenant's store holds, other tenants do not see."""
        return [listings.item(next(self.numbers), [photo.as_uri()], tenant) for photo in self.photos]

    async def answer(self, items: Sequence[EnrichItem]) -> list[Output]:
        """Answer all at once, as a request of the consumers; the images."""
        lines = await asyncio.gather(*map(self.studio.answer, items))
        made: list[Output] = []
        for line in lines:
            if isinstance(line, ErrorLine):
                raise ServiceFailed(f"the studio failed: {line.error.message}")
            made += line.result.outputs
        return made


@contextmanager
def local_studio(photos: int) -> Iterator[LocalStudio]:
    """Build it, with so many photos; all is gone after the block."""
    threads = cv2.getNumThreads()
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name:
        folder, deploy = Path(name), DeploySettings()
        files = _rendered(folder / "photos", photos)
        server = EmbeddedStore(folder / "store", deploy)
        try:
            server.start()
            studio = build_studio(_settings(folder, server.endpoint, deploy), PrometheusMetrics(CollectorRegistry()))
            try:
                client = s3_client(server.endpoint, deploy.access_key, deploy.secret_key, deploy.region)
                yield LocalStudio(studio, S3Store(client, deploy.bucket), files)
            finally:
                studio.close()
        finally:
            server.stop()
            cv2.setNumThreads(threads)


def _rendered(folder: Path, photos: int) -> list[Path]:
    folder.mkdir()
    files = []
    for number in range(photos):
        photo = render(_SEED, number)
        files.append(folder / f"{number}.{photo.suffix}")
        files[-1].write_bytes(photo.body)
    return files


def _settings(folder: Path, endpoint: str, deploy: DeploySettings) -> ServeSettings:
    return ServeSettings(
        fetch_files=folder / "photos",
        s3_endpoint=endpoint,
        s3_access_key=SecretStr(deploy.access_key),
        s3_secret_key=SecretStr(deploy.secret_key),
        s3_region=deploy.region,
        s3_bucket=deploy.bucket,
        state_dir=folder / "state",
    )
