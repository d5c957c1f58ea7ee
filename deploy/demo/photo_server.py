"""A web server on this machine that plays the seller's image host."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class PhotoServer:
    """Serves the photos given to it from memory; everything else is a 404."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """`host`: the address of this machine to listen on; `port`: 0 takes a free one."""
        self._photos: dict[str, tuple[bytes, str]] = {}
        photos = self._photos

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body, content_type = photos.get(self.path, (b"not here", "text/plain"))
                self.send_response(200 if self.path in photos else 404)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """The demo's screen is for other things."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._host = host
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="photo-server", daemon=True)

    @property
    def origin(self) -> str:
        """`host:port`, as Serve's list of allowed origins wants it."""
        return f"{self._host}:{self._server.server_port}"

    def add(self, name: str, body: bytes, content_type: str) -> str:
        """Serve the photo; returns its address."""
        self._photos[f"/{name}"] = (body, content_type)
        return self.url(name)

    def url(self, name: str) -> str:
        """The address of a photo, whether it is there or not."""
        return f"http://{self.origin}/{name}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
