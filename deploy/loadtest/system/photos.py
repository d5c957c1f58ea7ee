"""The host of the photos that the events name."""

from collections.abc import Callable, Sequence
from typing import Protocol

from deploy.loadtest.workload.planned import PhotoSource
from deploy.services.processes import ProcessRecord

LOOPBACK = "127.0.0.1"


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
