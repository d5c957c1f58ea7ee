"""Brings source photos from https, listed buckets, and, where the policy says so, local origins and files."""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from serve.errors import AddressRefused, SourceChanged, SourceNotFound, SourceTooLarge, SourceUnreachable
from serve.fetcher.bucket_source import BucketSource
from serve.fetcher.cache import KeptSource, SourceCache
from serve.fetcher.connecting import Resolver, SystemResolver
from serve.fetcher.guard import screen
from serve.fetcher.http_source import HttpSource, loop_time
from serve.fetcher.policy import FetchPolicy
from serve.interfaces import FetchedBytes, SourceOwner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["FetchPolicy", "SourceFetcher"]

R = TypeVar("R")
#: Reads of buckets and files at once; more wait their turn within their time limit.
_THREADS = 16


class SourceFetcher:
    """The `Fetcher` of `serve.interfaces`. Belongs to one event loop; close it with `aclose`.

    Names, and buckets and files, have threads of their own: what hangs there holds up nothing else of the process.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        s3_client: "S3Client | None" = None,
        *,
        cache: SourceCache | None = None,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._cache = cache
        self._buckets = BucketSource(s3_client, policy)
        self._names = SystemResolver()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sources")
        self._http = HttpSource(policy, resolver or self._names, ssl_context)

    async def fetch(self, url: str, *, owner: SourceOwner | None = None, sha256: str | None = None) -> FetchedBytes:
        """Raise `AddressRefused`, `SourceNotFound`, `SourceUnreachable` or `SourceTooLarge` if it cannot be had.

        With an owner a copy may be kept and used again; with a `sha256` (hex), other bytes are `SourceChanged`.
        """
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                fetched = await self._by_scheme(url, owner)
        except TimeoutError as error:
            raise SourceUnreachable(f"not here within {self._policy.timeout_s:g} s") from error
        if sha256 is not None and sha256.strip().lower() != fetched.sha256:
            raise SourceChanged
        return fetched

    async def aclose(self) -> None:
        """Close connections and threads."""
        self.close()
        await self._http.aclose()

    def close(self) -> None:
        """Give the threads back without waiting for them; for where no event loop runs any more."""
        self._names.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _by_scheme(self, url: str, owner: SourceOwner | None) -> FetchedBytes:
        verdict = screen(url, self._policy)
        if not verdict.allowed:
            raise AddressRefused(f"the address is not allowed: {verdict.reason}")
        if verdict.scheme == "s3":
            deadline = time.monotonic() + self._policy.timeout_s
            return _hashed(*await self._in_thread(lambda: self._buckets.read(url, deadline)))
        if verdict.scheme == "file":
            return _hashed(await self._in_thread(lambda: self._from_file(url)), None)
        return await self._from_web(url, None if self._cache is None else owner)

    async def _from_web(self, url: str, owner: SourceOwner | None) -> FetchedBytes:
        """Over HTTP. With an owner the copy that is kept for it is asked about, and the answer kept if it may be."""
        deadline = loop_time() + self._policy.timeout_s
        cache = self._cache
        if cache is None or owner is None:
            answer = await self._http.fetch(url, deadline)
            return _hashed(answer.body, answer.content_type)
        kept = await self._in_thread(lambda: cache.get(owner, url))
        answer = await self._http.fetch(url, deadline, kept)
        fetched = _hashed(answer.body, answer.content_type)
        if answer.validators is None and kept is not None:
            await self._in_thread(lambda: cache.erase(owner, [url]))
        elif answer.validators is not None and not answer.kept:
            source = KeptSource(
                body=fetched.body,
                sha256=fetched.sha256,
                validators=answer.validators,
                came_from=answer.came_from,
                content_type=fetched.content_type,
            )
            await self._in_thread(lambda: cache.put(owner, url, source))
        return fetched

    async def _in_thread(self, read: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    def _from_file(self, url: str) -> bytes:
        root = self._policy.file_root
        if not self._policy.files or root is None:
            raise AddressRefused("files are not read")
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"}:
            raise AddressRefused("a file address names no host")
        try:
            path = Path(unquote(parts.path)).resolve()
            if not path.is_relative_to(root.resolve()):
                raise AddressRefused("the file lies outside the allowed folder")
            if not path.is_file():
                raise SourceNotFound
            with path.open("rb") as stream:
                body = stream.read(self._policy.max_bytes + 1)
        except (OSError, ValueError) as error:
            raise SourceNotFound from error
        if len(body) > self._policy.max_bytes:
            raise SourceTooLarge
        return body


def _hashed(body: bytes, content_type: str | None) -> FetchedBytes:
    return FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest(), content_type=content_type)
