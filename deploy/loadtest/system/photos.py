"""The host of the photos that the events name."""

from collections.abc import Callable, Sequence
from typing import Protocol

from deploy.demo.photo_server import PhotoServer
from deploy.loadtest.workload.photos import small_photo
from deploy.loadtest.workload.planned import PhotoSource
from deploy.services.processes import ProcessRecord

LOOPBACK = "127.0.0.1"
_DIFFERENT = 8


class PhotoHosting(PhotoSource, Protocol):
    """A photo source that must be started."""

    @property
    def origin(self) -> str:
        """`host:port`, as Serve's list of allowed origins wants it; known from the start on."""
        ...

    def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def stop(self) -> None:
        """Stop it."""
        ...

    def processes(self) -> Sequence[ProcessRecord]:
        """Its processes, unless it runs in ours."""
        ...


#: Makes the host on this address and port of this machine; port 0 takes a free one.
MakePhotos = Callable[[str, int], PhotoHosting]


class FewPhotos:
    """A few drawn photos, in a thread of this process, under whatever names are asked for."""

    def __init__(self, host: str = LOOPBACK, port: int = 0, *, seed: int = 0) -> None:
        self._seed = seed
        self._server = PhotoServer(host, port)
        self._bodies: dict[int, bytes] = {}

    @property
    def origin(self) -> str:
        """`host:port`."""
        return self._server.origin

    def url(self, name: str) -> str:
        """Its address; it is there from now on."""
        number = int(name.partition("-")[0]) % _DIFFERENT
        if number not in self._bodies:
            self._bodies[number] = small_photo(self._seed, number)
        return self._server.add(name, self._bodies[number], "image/jpeg")

    def start(self) -> None:
        """Start it."""
        self._server.__enter__()

    def stop(self) -> None:
        """Stop it."""
        self._server.__exit__(None, None, None)

    def processes(self) -> Sequence[ProcessRecord]:
        """None: it is a thread."""
        return []
