"""The seller's image host, as a process of its own: nobody who measures shares its interpreter.

    python -m deploy.loadtest.workload.photo_host SPEC

SPEC is JSON: `host`, `port`, `seed`, `edges`, `bases`, `photos`, `huge_bytes`.
"""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.demo.photos import draw_evenly, shelves
from deploy.demo.products import render
from deploy.errors import DeployError
from deploy.loadtest.workload.photo_bytes import JPEG, PhotoFile, PhotoFiles, PhotoName, base, picture
from deploy.services.interface import Endpoints
from deploy.services.ports import accepts, free_ports, require_free
from deploy.services.processes import Child, ProcessRecord
from deploy.settings import DeploySettings
from serve.settings import ServeSettings

_MODULE = "deploy.loadtest.workload.photo_host"
#: Different pictures; drawing one takes 0.4 s.
BASES = 16
#: Answers are gathered up to this size, so that head and photo go in one piece.
_SENT_AT_ONCE = 128 * 1024


class PhotoHost:
    """Serves `/NUMBER-EDGE[-FLAW].jpg` for the edges named, see `photo_bytes`; everything else is a 404."""

    name = "photos"

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        edges: Sequence[int],
        photos: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        advertised: str | None = None,
        bases: int = BASES,
        settings: DeploySettings | None = None,
    ) -> None:
        """`folder` is for the log. `photos`: a folder of pictures to use instead of drawn ones.

        `host` is the address to listen on, with a free port where `port` is 0; `advertised` the name under which
        others reach it. Of each of `bases` different pictures, of which a folder may hold fewer, each edge has a
        file.
        """
        self._folder = folder
        self._host = host
        self._advertised = advertised or host
        self._photos = photos
        self._settings = settings or DeploySettings()
        self._spec = {
            "host": host,
            "seed": seed,
            "edges": sorted(set(edges)),
            "bases": bases,
            "photos": str(photos.absolute()) if photos else None,
            "huge_bytes": ServeSettings.model_fields["fetch_max_bytes"].default + 1024 * 1024,
        }
        self._port = port
        self._child: Child | None = None

    @property
    def origin(self) -> str:
        """`host:port`, as Serve's list of allowed origins wants it; known once it was started."""
        return f"{self._advertised}:{self._port}"

    def url(self, name: str) -> str:
        """The address of a photo, whether it is there or not."""
        return f"http://{self.origin}/{name}"

    def start(self) -> None:
        """Start it and wait until its pictures are drawn; `DeployError` where the folder holds none."""
        if self._photos is not None:
            shelves(self._photos)
        # The same port when started again, so that addresses hold.
        self._port = self._port or free_ports(1)[0]
        require_free(self._port, "the photo host")
        spec = json.dumps({**self._spec, "port": self._port})
        self._child = Child(self.name, [sys.executable, "-m", _MODULE, spec], log=self._folder / "photos.log")
        self._child.start()
        self._child.wait_ready(self.healthy, self._settings.start_timeout_s)

    def stop(self) -> None:
        """Stop it; no error if it is not running."""
        if self._child is not None:
            self._child.stop(self._settings.stop_timeout_s)

    def healthy(self) -> bool:
        """Whether it listens."""
        return self._port != 0 and accepts(self._port, self._host)

    def processes(self) -> Sequence[ProcessRecord]:
        """The server."""
        return [self._child.record] if self._child and self._child.record else []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Clients get the addresses of photos in their events."""
        return endpoints


class Handler(BaseHTTPRequestHandler):
    """Answers from `files`, which a subclass names."""

    files: PhotoFiles
    protocol_version = "HTTP/1.1"
    wbufsize = _SENT_AT_ONCE
    disable_nagle_algorithm = True
    #: Seconds until an idle connection is closed.
    timeout = 60

    def do_GET(self) -> None:
        """The photo, 304 where the asker has it, or 404."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """The same without the photo."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        name = PhotoName.parse(self.path.removeprefix("/"))
        file = self.files.file(name) if name is not None else None
        if file is None:
            self._head(404, "text/plain", 0)
        elif self.headers.get("If-None-Match") == file.etag:
            self._head(304, JPEG, None, file.etag)
        else:
            self._head(200, JPEG, file.length, file.etag)
            if with_body:
                self._send(file)

    def _head(self, status: int, content_type: str, length: int | None, etag: str | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if etag is not None:
            self.send_header("ETag", etag)
        self.end_headers()

    def _send(self, file: PhotoFile) -> None:
        try:
            for piece in file.pieces:
                self.wfile.write(piece)
        except OSError:
            # Whoever does not want the rest of a huge file goes away.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Thousands of lines that nobody reads."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break; only what else goes wrong is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def server(host: str, port: int, files: PhotoFiles) -> ThreadingHTTPServer:
    """A server that listens; port 0 chooses one."""
    return _Server((host, port), type("PhotoHandler", (Handler,), {"files": files}))


def pictures(seed: int, count: int, folder: Path | None) -> Iterator[NDArray[np.uint8]]:
    """So many pictures, drawn or from the folder, where there may be fewer; `uint8 [H, W, 3]` BGR."""
    if folder is None:
        for index in range(count):
            yield picture(render(seed, index).body, f"drawn photo {index}")
        return
    for path in draw_evenly(shelves(folder), Random(seed), count):  # noqa: S311 - a game of chance
        yield picture(path.read_bytes(), str(path))


def files_of(spec: dict[str, Any]) -> PhotoFiles:
    """The files that a spec asks for."""
    bases: dict[int, list[bytes]] = {edge: [] for edge in spec["edges"]}
    for pixels in pictures(spec["seed"], spec["bases"], Path(spec["photos"]) if spec["photos"] else None):
        for edge, files in bases.items():
            files.append(base(pixels, edge))
    return PhotoFiles(bases, seed=spec["seed"], huge_bytes=spec["huge_bytes"])


def main(argument: str) -> int:
    """Serve until SIGTERM or SIGINT."""
    signals = {signal.SIGTERM, signal.SIGINT}
    # Blocked before threads start, so that none of them takes the signal; while photos are drawn nobody waits for it.
    spec = json.loads(argument)
    cv2.setNumThreads(1)
    try:
        files = files_of(spec)
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    listening = server(spec["host"], spec["port"], files)
    Thread(target=listening.serve_forever, daemon=True).start()
    signal.sigwait(signals)
    listening.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
