"""The door of the object store: a proxy before it, and a doorkeeper who refuses everybody."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

from deploy.loadtest.proxy.server import Proxy
from deploy.loadtest.proxy.toxics import Toxic


class _Refusal(NamedTuple):
    """An answer of S3 to whatever is asked."""

    status: int
    code: str
    message: str

    @property
    def body(self) -> bytes:
        return f'<?xml version="1.0"?><Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>'.encode()


_DENIED = _Refusal(403, "AccessDenied", "Access Denied")
_SLOW_DOWN = _Refusal(503, "SlowDown", "Please reduce your request rate.")


class _Refuser(ThreadingHTTPServer):
    """Refuses everybody."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusal = _DENIED


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Refuser

    def _refuse(self) -> None:
        # Read first: a client that is still sending would see a broken connection instead of the answer.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        refusal = self.server.refusal
        self.send_response(refusal.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(refusal.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(refusal.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _refuse  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""


class StoreFront:
    """`StoreLine` on a real store, for the length of a block."""

    def __init__(self, store_port: int, *, seed: int = 0) -> None:
        self._store_port = store_port
        self._proxy = Proxy(store_port, seed=seed)
        self._refuser = _Refuser()
        self._thread = threading.Thread(target=self._refuser.serve_forever, name="refuser", daemon=True)

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._proxy.port

    def disable(self) -> None:
        """Refuse connections and cut those that are open."""
        self._proxy.disable()

    def add(self, toxic: Toxic) -> None:
        """Put a toxic on."""
        self._proxy.add(toxic)

    def deny(self) -> None:
        """Answer every request with 403, as a store whose keys have changed."""
        self._refuse(_DENIED)

    def throttle(self) -> None:
        """Answer every request with 503 SlowDown, as a store that has too much to do."""
        self._refuse(_SLOW_DOWN)

    def _refuse(self, refusal: _Refusal) -> None:
        self._refuser.refusal = refusal
        self._proxy.redirect(self._refuser.server_port)

    def reset(self) -> None:
        """All as it should be."""
        self._proxy.redirect(self._store_port)
        self._proxy.reset()

    def __enter__(self) -> Self:
        self._thread.start()
        self._proxy.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proxy.stop()
        self._refuser.shutdown()
        self._refuser.server_close()
