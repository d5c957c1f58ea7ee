"""uvicorn's HTTP protocol with the deadlines that it lacks: for headers, whole requests, and clients that do not read.

uvicorn waits for ever for the rest of a header and for room in a client's buffer, and takes headers of any length. Both
happen before and after an application is asked, so no middleware can see to it.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Any

from uvicorn import config
from uvicorn.config import create_ssl_context
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.settings import ServeSettings

log = logging.getLogger(__name__)

#: Where Serve's proxies find `install`.
INSTALL = "serve.doors.wary.install"


#: What a client must take of its answer within the time for it, or all of it: a drop now and then is not reading.
_LEAST_TAKEN_BYTES = 4096


class _Phase(Enum):
    IDLE = 0
    HEAD = 1
    BODY = 2


class WaryProtocol(HttpToolsProtocol):
    """One connection. The bounds are attributes of the class, in seconds and bytes."""

    #: From the first byte of a request, or from connecting, to the end of its header.
    header_s = 10.0
    #: From there to the end of its body.
    body_s = 90.0
    #: Without the client taking anything of what waits for it.
    write_s = 60.0
    max_header_bytes = 64 * 1024
    max_connections = 1000

    _phase = _Phase.IDLE
    _head_bytes = 0
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
            return
        self._expect(self.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._expect(None)
        self._cancel_write()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        began_in_head = self._phase is not _Phase.BODY
        super().data_received(data)
        if self._phase is _Phase.IDLE and self._reading is None and not self._answering():
            # Empty lines before a request begin nothing, but have stopped the clock of the idle connection.
            self._expect(self.header_s)
        if self._phase is not _Phase.HEAD:
            return
        if began_in_head:
            self._head_bytes += len(data)
        if self._head_bytes > self.max_header_bytes:
            self._drop("header too large")

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self._phase, self._head_bytes = _Phase.HEAD, 0
        self._expect(self.header_s)

    def on_headers_complete(self) -> None:
        """See httptools."""
        super().on_headers_complete()
        self._phase = _Phase.BODY
        self._expect(self.body_s)

    def on_message_complete(self) -> None:
        """See httptools."""
        super().on_message_complete()
        self._phase = _Phase.IDLE
        self._expect(None)

    def handle_websocket_upgrade(self) -> None:
        """See uvicorn."""
        self._expect(None)
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """See uvicorn. The last of the answer may still wait for a client that does not read."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size() > 0:
            self._watch_write()

    def pause_writing(self) -> None:
        """See asyncio."""
        super().pause_writing()
        self._watch_write()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._cancel_write()
        super().resume_writing()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect(self, seconds: float | None) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = None if seconds is None else self._after(seconds, lambda: self._drop("too slow"))

    def _watch_write(self) -> None:
        self._cancel_write()
        waiting = self.transport.get_write_buffer_size()
        self._writing = self._after(self.write_s, lambda: self._look_at_write(waiting))

    def _look_at_write(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if before - waiting < min(before, _LEAST_TAKEN_BYTES):
            self._drop("does not read")
        elif waiting > 0:
            self._watch_write()

    def _cancel_write(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _drop(self, why: str) -> None:
        """Close without waiting for anything to be taken."""
        log.info("connection dropped: %s", why, extra={"client": str(self.client)})
        self.transport.abort()

    def _after(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, call)


def install() -> list[object]:
    """Have every uvicorn of this process use it, and ask for client certificates where their issuers are named.

    Serve's proxies call this before they listen, if `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` in the environment of
    the Ray nodes is `INSTALL`. Serve itself only names `ssl_ca_certs` to uvicorn, which then asks nobody. No middleware
    is added.
    """
    # The guard shall be the first to lose patience: it can say so.
    WaryProtocol.body_s = max(WaryProtocol.body_s, ServeSettings().door_body_s + 30)
    auto.AutoHTTPProtocol = WaryProtocol
    config.create_ssl_context = _strict_context
    return []


def _strict_context(*args: Any, **options: Any) -> ssl.SSLContext:
    context = create_ssl_context(*args, **options)
    if options.get("ca_certs"):
        context.verify_mode = ssl.CERT_REQUIRED
    return context
