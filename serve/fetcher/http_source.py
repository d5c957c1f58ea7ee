"""Photos over HTTP: names are resolved once, every address is checked, and the connection goes to a checked address.

The guard sits where connections are made, under the HTTP library, so that no spelling of a URL, redirect or second
answer of a resolver gets past it. The TLS name and the Host header stay those of the URL.
"""

import asyncio
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import httpcore
import httpx

from serve.errors import (
    AddressRefused,
    SourceError,
    SourceNotFound,
    SourceTooLarge,
    SourceUnreachable,
    UnsupportedFormat,
)
from serve.fetcher.address import first_refusal, origin
from serve.fetcher.policy import FetchPolicy

Resolver = Callable[[str, int], Awaitable[list[str]]]
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Answers below 500 that a later try may change.
_PASSING = frozenset({408, 421, 425, 429})
_HEADERS = [(b"accept", b"image/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"vitrine")]
_PIECE = 64 * 1024
#: Names in their ASCII form, and IP addresses without brackets.
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


class SystemResolver:
    """The system's resolver in threads of its own: a name that nobody answers for must not hold up anything else."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> list[str]:
        """All addresses of the host, in the system's order; raise `OSError` if it has none."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Drop what waits; a look-up that runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver) -> None:
        self._origins = {value.lower() for value in policy.origins}
        self._resolve = resolver
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the library's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check every answer, connect to the first that answers; raise `AddressRefused` for a bad one."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        if origin(host, port) not in self._origins and (reason := first_refusal(addresses)):
            raise AddressRefused(f"the address of {host} is not allowed: {reason}")
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as the library asks."""
        await asyncio.sleep(seconds)


class HttpSource:
    """GET with the guard, redirects checked one by one, and a counted body. The caller sets the total time limit."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver, ssl_context: ssl.SSLContext | None) -> None:
        self._policy = policy
        self._origins = {value.lower() for value in policy.origins}
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore.default_ssl_context(),
            max_connections=64,
            max_keepalive_connections=16,
            keepalive_expiry=10,
            network_backend=GuardedBackend(policy, resolver),
        )

    async def fetch(self, url: str) -> tuple[bytes, str | None]:
        """Body and content type; raise `SourceError` kinds."""
        target = self._check(url)
        for _ in range(self._policy.max_redirects + 1):
            try:
                answer = await self._get(target)
            except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
                raise SourceUnreachable(f"{target.host} does not answer") from error
            if not isinstance(answer, httpx.URL):
                return answer
            target = self._check(str(answer))
        raise SourceNotFound(f"more than {self._policy.max_redirects} redirects")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    def _check(self, text: str) -> httpx.URL:
        """What can be said of a URL without asking a resolver."""
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise AddressRefused("not a URL") from error
        host = url.raw_host.decode("ascii")
        if url.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
            raise AddressRefused("not an http address")
        if url.userinfo:
            raise AddressRefused("the URL carries credentials")
        port = url.port or (443 if url.scheme == "https" else 80)
        if origin(host, port) in self._origins:
            return url
        if url.scheme != "https":
            raise AddressRefused("plain http is not allowed")
        if port not in self._policy.ports:
            raise AddressRefused(f"port {port} is not allowed")
        return url

    async def _get(self, url: httpx.URL) -> tuple[bytes, str | None] | httpx.URL:
        limit = self._policy.timeout_s
        core_url = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [(b"host", url.netloc), *_HEADERS]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), limit)
        async with self._pool.stream("GET", core_url, headers=headers, extensions={"timeout": timeouts}) as response:
            fields = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in fields:
                return _joined(url, fields[b"location"])
            _raise_for_status(response.status)
            size = fields.get(b"content-length", "0")
            if size.isdigit() and int(size) > self._policy.max_bytes:
                raise SourceTooLarge
            decoder = content_decoder(fields.get(b"content-encoding", "identity"))
            body = await _read(response.aiter_stream(), decoder, self._policy.max_bytes)
            return body, fields.get(b"content-type")


def _joined(base: httpx.URL, location: str) -> httpx.URL:
    try:
        return base.join(location)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise AddressRefused("redirected to something that is not a URL") from error


def _raise_for_status(status: int) -> None:
    if status == httpx.codes.OK:
        return
    if status >= 500 or status in _PASSING:
        raise SourceUnreachable(f"the server of the photo answers {status}")
    raise SourceNotFound(f"the server of the photo answers {status}")


class ContentDecoder(Protocol):
    """Undoes a content coding piece by piece, so that a bomb is cut where it passes the limit."""

    def decode(self, data: bytes, room: int) -> bytes:
        """At most about `room` bytes more than were asked for before."""
        ...


class _Identity:
    def decode(self, data: bytes, room: int) -> bytes:  # noqa: ARG002 - the protocol's signature
        return data


class _Inflate:
    def __init__(self, window: int) -> None:
        self._inflater = zlib.decompressobj(window)

    def decode(self, data: bytes, room: int) -> bytes:
        try:
            return self._inflater.decompress(data, room + 1)
        except zlib.error as error:
            raise UnsupportedFormat("the content coding is damaged") from error


def content_decoder(coding: str) -> ContentDecoder:
    """The decoder of a `Content-Encoding`; servers may use gzip or deflate though identity was asked for."""
    match coding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
        case other:
            raise UnsupportedFormat(f"unknown content coding {other[:20]!r}")


async def _read(pieces: AsyncIterator[bytes], decoder: ContentDecoder, limit: int) -> bytes:
    body = bytearray()
    raw = 0
    async for piece in pieces:
        raw += len(piece)
        for start in range(0, len(piece), _PIECE):
            body += decoder.decode(piece[start : start + _PIECE], limit - len(body))
            if len(body) > limit or raw > limit:
                raise SourceTooLarge
    if not body:
        raise SourceError("the photo is empty")
    return bytes(body)
