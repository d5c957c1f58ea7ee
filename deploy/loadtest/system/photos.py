"""The host of the photos that the events name."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from deploy.demo.photo_server import PhotoServer
from deploy.loadtest.options import RunOptions
from deploy.loadtest.workload.photos import small_photo
from deploy.loadtest.workload.planned import PhotoSource
from deploy.services.processes import ProcessRecord

_LOOPBACK = "127.0.0.1"
_DIFFERENT = 8


class PhotoHosting(PhotoSource, Protocol):
    """A photo source that runs for the length of a block."""

    @property
    def origin(self) -> str:
        """`host:port`, as Serve's list of allowed origins wants it."""
        ...

    def processes(self) -> Sequence[ProcessRecord]:
        """Its processes, unless it runs in ours."""
        ...

    def __enter__(self) -> Self:
        """Start it."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        ...


class ServedPhotos:
    """A few drawn photos under whatever names are asked for."""

    def __init__(self, seed: int, host: str, port: int) -> None:
        self._seed = seed
        self._server = PhotoServer(host, port)
        self._bodies: dict[int, bytes] = {}

    @property
    def origin(self) -> str:
        """`host:port`."""
        return self._server.origin

    def processes(self) -> Sequence[ProcessRecord]:
        """None: it is a thread."""
        return []

    def url(self, name: str) -> str:
        """Its address; it is there from now on."""
        number = int(name.partition("-")[0]) % _DIFFERENT
        if number not in self._bodies:
            self._bodies[number] = small_photo(self._seed, number)
        return self._server.add(name, self._bodies[number], "image/jpeg")

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)


def photo_hosting(options: RunOptions, folder: Path, *, host: str = _LOOPBACK, port: int = 0) -> PhotoHosting:
    """The host of a run's photos; `folder` is for what it keeps, port 0 takes a free one."""
    del folder
    return ServedPhotos(options.seed, host, port)
