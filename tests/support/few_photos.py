"""A host of photos that costs nothing to start, for load tests' systems."""

from collections.abc import Sequence

from deploy.demo.photo_server import PhotoServer
from deploy.loadtest.system.photos import LOOPBACK
from deploy.loadtest.workload.photos import small_photo
from deploy.services.processes import ProcessRecord

_DIFFERENT = 8


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
