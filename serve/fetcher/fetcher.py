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

from botocore.exceptions import BotoCoreError, ClientError

from serve.errors import AddressRefused, ServeError, SourceNotFound, SourceTooLarge, SourceUnreachable
from serve.fetcher.http_source import HttpSource, Resolver, SystemResolver
from serve.fetcher.policy import FetchPolicy
from serve.interfaces import FetchedBytes

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

__all__ = ["FetchPolicy", "SourceFetcher"]

R = TypeVar("R")
#: Reads of buckets and files at once; more wait their turn within their time limit.
_THREADS = 16
_PIECE = 64 * 1024


class SourceFetcher:
    """The `Fetcher` of `serve.interfaces`. Belongs to one event loop; close it with `aclose`.

    Names, and buckets and files, have threads of their own: what hangs there holds up nothing else of the process.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        s3_client: "S3Client | None" = None,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._s3 = s3_client
        self._names = SystemResolver()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sources")
        self._http = HttpSource(policy, resolver or self._names, ssl_context)

    async def fetch(self, url: str) -> FetchedBytes:
        """Raise `AddressRefused`, `SourceNotFound`, `SourceUnreachable` or `SourceTooLarge` if it cannot be had."""
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                body, content_type = await self._by_scheme(url)
        except TimeoutError as error:
            raise SourceUnreachable(f"not here within {self._policy.timeout_s:g} s") from error
        return FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest(), content_type=content_type)

    async def aclose(self) -> None:
        """Close connections and threads."""
        self.close()
        await self._http.aclose()

    def close(self) -> None:
        """Give the threads back without waiting for them; for where no event loop runs any more."""
        self._names.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _by_scheme(self, url: str) -> tuple[bytes, str | None]:
        match url.split(":", 1)[0].strip().lower():
            case "http" | "https":
                return await self._http.fetch(url)
            case "s3":
                deadline = time.monotonic() + self._policy.timeout_s
                return await self._in_thread(lambda: self._from_bucket(url, deadline))
            case "file":
                return await self._in_thread(lambda: self._from_file(url)), None
            case _:
                raise AddressRefused("only https, s3 and, by setting, file addresses are read")

    async def _in_thread(self, read: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    def _from_bucket(self, url: str, deadline: float) -> tuple[bytes, str | None]:
        bucket, _, key = url[len("s3://") :].partition("/")
        if self._s3 is None or bucket not in self._policy.buckets or not key:
            raise AddressRefused("the bucket is not listed")
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key)
            with answer["Body"] as stream:
                if answer["ContentLength"] > self._policy.max_bytes:
                    raise SourceTooLarge
                return _read(stream, self._policy.max_bytes, deadline), answer.get("ContentType")
        except ClientError as error:
            raise _store_error(error) from error
        except BotoCoreError as error:
            raise SourceUnreachable("the bucket does not answer") from error

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


def _read(stream: "StreamingBody", limit: int, deadline: float) -> bytes:
    """The whole body, piece by piece: nobody can stop a thread from outside, so it must look at the clock itself."""
    body = bytearray()
    while piece := stream.read(_PIECE):
        body += piece
        if len(body) > limit:
            raise SourceTooLarge
        if time.monotonic() > deadline:
            raise SourceUnreachable("the bucket is too slow")
    return bytes(body)


def _store_error(error: ClientError) -> ServeError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if status >= 500 or status == 429:
        return SourceUnreachable("the bucket does not answer")
    return SourceNotFound(f"the bucket answers {status}")
