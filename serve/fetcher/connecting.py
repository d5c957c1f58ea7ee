"""Connections to checked addresses only, under the HTTP library, so that nothing gets past the guard.

A name is resolved once per connection, every answer is checked, and the connection goes to a checked address; the TLS
name and the Host header stay those of the URL. What comes in is counted for the fetch that asked for it.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any

import httpcore

from serve.errors import AddressRefused, SourceTooLarge
from serve.fetcher.guard import Verdict, is_address, judge
from serve.fetcher.policy import FetchPolicy

Resolver = Callable[[str, int], Awaitable[list[str]]]


class Meter:
    """Bytes that a fetch took from the network: framing counts, for a body can be dressed in any amount of it."""

    def __init__(self, limit: int) -> None:
        self.used = 0
        self.limit = limit

    def take(self, count: int) -> None:
        """Count; raise `SourceTooLarge` beyond the limit."""
        self.used += count
        if self.used > self.limit:
            raise SourceTooLarge("the server of the photo sends more than a photo")


#: The meter of the fetch that runs in this task; the HTTP library reads in the task of whoever asks.
METER: ContextVar[Meter | None] = ContextVar("vitrine_fetch_meter", default=None)


class SystemResolver:
    """The system's resolver in threads of its own: a name that nobody answers for must not hold up anything else."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> list[str]:
        """All addresses of the host, in the system's order; raise `OSError` if it has none."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(look_up, host, port))

    def close(self) -> None:
        """Drop what waits; a look-up that runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def look_up(host: str, port: int) -> list[str]:
    """All addresses of the host by the system's resolver. Blocking; raise `OSError` if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver) -> None:
        self._policy = policy
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
        asked = Verdict(allowed=True, reason="", host=host, port=port)
        verdict = judge(asked, await self._addresses(host, port, timeout), self._policy)
        if not verdict.allowed:
            raise AddressRefused(f"the address of {host} is not allowed: {verdict.reason}")
        failure: Exception = httpcore.ConnectError("no address")
        for address in verdict.addresses:
            try:
                stream = await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return MeteredStream(stream)
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as the library asks."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int, limit_s: float | None) -> list[str]:
        if is_address(host):
            return [host]
        try:
            async with asyncio.timeout(limit_s):
                return await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name is not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error


class MeteredStream(httpcore.AsyncNetworkStream):
    """A connection whose reads are told to the meter of the task that reads."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's
        """Read and count; raise `SourceTooLarge` beyond the limit."""
        data = await self._stream.read(max_bytes, timeout)
        if (meter := METER.get()) is not None:
            meter.take(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's
        """Send."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's
    ) -> httpcore.AsyncNetworkStream:
        """TLS over this connection; what is decrypted counts."""
        return MeteredStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What the library asks of its own stream."""
        return self._stream.get_extra_info(info)
