"""The photos of a load test as Serve's fetcher gets them: from the host's process, and from a bucket."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.loadtest.workload.photo_bytes import PhotoName, picture
from deploy.loadtest.workload.photo_host import PhotoHost
from deploy.loadtest.workload.planned import PhotoFault
from deploy.services.processes import alive
from serve.errors import ServeError, SourceNotFound, SourceTooLarge
from serve.fetcher.fetcher import SourceFetcher
from serve.fetcher.policy import FetchPolicy
from serve.interfaces import FetchedBytes

EDGE = 48


def fetched(fetcher: SourceFetcher, urls: Sequence[str]) -> list[FetchedBytes | ServeError]:
    async def all_of_them() -> list[FetchedBytes | ServeError]:
        found = await asyncio.gather(*map(fetcher.fetch, urls), return_exceptions=True)
        await fetcher.aclose()
        assert all(isinstance(one, FetchedBytes | ServeError) for one in found), found
        return found  # type: ignore[return-value]

    return asyncio.run(all_of_them())


def test_serve_fetches_from_a_process_that_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    host = PhotoHost(tmp_path, seed=5, edges=[EDGE], bases=1)
    try:
        host.start()
        (process,) = host.processes()
        assert process.pid != os.getpid()
        names = [PhotoName(number, EDGE) for number in range(20)]
        wanted = [*names, PhotoName(0, EDGE, PhotoFault.HUGE), PhotoName(0, EDGE, PhotoFault.MISSING)]
        urls = [host.url(str(name)) for name in wanted]
        *photos, huge, missing = fetched(SourceFetcher(FetchPolicy(origins=(host.origin,))), urls)
        assert (type(huge), type(missing)) == (SourceTooLarge, SourceNotFound)
        first = photos[0]
        assert isinstance(first, FetchedBytes)
        assert max(picture(first.body, "photo").shape[:2]) == EDGE
        assert len({one.sha256 for one in photos if isinstance(one, FetchedBytes)}) == len(names)

        host.stop()
        assert not host.healthy()
        assert not alive(process)
        host.start()
        (again,) = fetched(SourceFetcher(FetchPolicy(origins=(host.origin,))), urls[:1])
        assert again == first
    finally:
        host.stop()
    host.stop()


def test_a_folder_without_a_readable_photo_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    host = PhotoHost(tmp_path, seed=5, edges=[EDGE], photos=tmp_path)
    try:
        with pytest.raises(DeployError, match=r"error: .*bad\.jpg is no picture"):
            host.start()
    finally:
        host.stop()
