"""HTTP/1.1 with as little work per request as can be: asyncio streams and h11.

httpx takes four times the CPU time for the same exchange, which at 500 requests a second would be more than a core.
Connections are kept for a few seconds and there is no limit to their number: whoever waits for a free one is no open
loop any more.
"""

import asyncio
import errno
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

#: The code of a connection that came to its end before the answer did.
BROKEN = "connection_broken"
_CONNECT_S = 5.0
#: uvicorn keeps an idle connection for 5 s.
_KEEP_S = 4.0
_READ_BYTES = 65_536
#: Of what an error says of itself.
_MOST_ERROR_BYTES = 4_096


class NoFileDescriptor(Exception):
    """This process may open no further file or port."""


class Broken(Exception):
    """The other side is away, fell silent, or does not speak HTTP. `code` says where: a word for the report."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Refused(Exception):
    """A status other than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}: {body[:300]!r}")
        self.status = status
        self.body = body


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0
    reused: bool = False
    #: Whether a byte of the answer has come.
    heard: bool = False
    protocol: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))


class Exchanges:
    """Requests to one address. Use it from one event loop."""

    def __init__(self, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | bool, *, idle_s: float) -> None:
        """`idle_s`: an answer without a byte for so long is broken."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if self._secure and tls is True else tls
        self._headers = [("host", parts.netloc.rpartition("@")[2]), *headers.items()]
        self._idle_s = idle_s
        self._free: deque[_Connection] = deque()

    async def stream(self, method: str, path: str, body: bytes = b"") -> AsyncIterator[bytes]:
        """Pieces of the answer's body as they come, first an empty one when the answer begins.

        Raise `Refused`, `Broken` or `NoFileDescriptor`; an answer that simply ends is no error.
        """
        connection = await self._ask(method, path, body)
        done = False
        try:
            yield b""
            while True:
                event = await self._next(connection)
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
            done = True
        finally:
            self._give_back(connection, whole=done)

    def close(self) -> None:
        """Close what is not in use."""
        while self._free:
            self._free.pop().writer.close()

    async def _ask(self, method: str, path: str, body: bytes) -> _Connection:
        while True:
            connection = self._kept() or await self._open()
            try:
                self._write(connection, method, path, body)
                response = await self._next(connection)
                break
            except BaseException as error:
                connection.writer.close()
                # It was closed while it was idle, and nobody has read the request.
                stale = connection.reused and not connection.heard
                if not stale or not isinstance(error, Broken) or error.code != BROKEN:
                    raise
        assert isinstance(response, h11.Response)  # noqa: S101 - h11 gives no other first
        if response.status_code != 200:
            raise Refused(response.status_code, await self._error(connection))
        return connection

    def _write(self, connection: _Connection, method: str, path: str, body: bytes) -> None:
        length = [("content-type", "application/json"), ("content-length", str(len(body)))] if body else []
        request = h11.Request(method=method, target=self._path + path, headers=[*self._headers, *length])
        protocol = connection.protocol
        parts = [protocol.send(request), protocol.send(h11.Data(data=body)) if body else b""]
        parts.append(protocol.send(h11.EndOfMessage()))
        connection.heard = False
        connection.writer.write(b"".join(part or b"" for part in parts))

    async def _next(self, connection: _Connection) -> h11.Event:
        protocol = connection.protocol
        while True:
            try:
                event = protocol.next_event()
                if isinstance(event, h11.InformationalResponse):
                    continue
                if isinstance(event, h11.Event) and not isinstance(event, h11.ConnectionClosed):
                    return event
                if event is not h11.NEED_DATA:
                    raise Broken(BROKEN, "the connection was closed")
                async with asyncio.timeout(self._idle_s):
                    data = await connection.reader.read(_READ_BYTES)
                connection.heard = connection.heard or bool(data)
                protocol.receive_data(data)
            except TimeoutError as error:
                raise Broken("silent", f"not a byte in {self._idle_s:g} s") from error
            except (OSError, h11.RemoteProtocolError) as error:
                raise Broken(BROKEN, f"{type(error).__name__}: {error}") from error

    async def _error(self, connection: _Connection) -> bytes:
        said = b""
        whole = False
        try:
            while len(said) < _MOST_ERROR_BYTES:
                event = await self._next(connection)
                if isinstance(event, h11.EndOfMessage):
                    whole = True
                    break
                said += bytes(event.data) if isinstance(event, h11.Data) else b""
        except Broken:
            pass
        self._give_back(connection, whole=whole)
        return said

    async def _open(self) -> _Connection:
        try:
            async with asyncio.timeout(_CONNECT_S):
                tls = self._tls if self._secure else None
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=tls)
        except TimeoutError as error:
            raise Broken("connect_timeout", f"no connection in {_CONNECT_S:g} s") from error
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
                raise NoFileDescriptor(str(error)) from error
            raise Broken("connect_failed", str(error)) from error
        return _Connection(reader, writer)

    def _kept(self) -> _Connection | None:
        # The one used last, so that those that are too many grow old.
        while self._free and time.monotonic() - self._free[0].used_at > _KEEP_S:
            self._free.popleft().writer.close()
        while self._free:
            connection = self._free.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                connection.reused = True
                return connection
            connection.writer.close()
        return None

    def _give_back(self, connection: _Connection, *, whole: bool) -> None:
        protocol = connection.protocol
        if not whole or protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE:
            connection.writer.close()
            return
        protocol.start_next_cycle()
        connection.used_at = time.monotonic()
        self._free.append(connection)
