"""The door of Serve with nobody behind it: the real ingress, which answers every event at once, or after a while.

    python -m deploy.bench.answering ADDRESS_FILE [DELAY_S [TRIES_FILE]]

With a file for the tries it writes a line for each: the event's id. A process of its own, as Serve is, so that it does
not share an interpreter lock with who asks it.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from deploy.bench import listings
from deploy.services.atomic import write_atomically
from deploy.services.processes import Child
from deploy.settings import DeploySettings
from serve.catalog.loader import load_catalog
from serve.errors import RequestError
from serve.ingress import create_app
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem
from serve.schemas.preview import PreviewAnswer

#: With a delay, the first so many events are answered only when every bench is long over.
SLOW = 40
_SLOW_EVENTS = frozenset(f"bench-{number}" for number in range(SLOW))
_FOR_EVER_S = 3600.0


class Idle:
    """A `Gateway` of `serve.ingress` that has nothing to do."""

    def __init__(self, delay_s: float, tries: Path | None) -> None:
        self._delay_s = delay_s
        self._tries = None if tries is None else tries.open("a", buffering=1)

    async def answer(self, item: EnrichItem) -> AnswerLine:
        """Enriched, without images."""
        if self._tries is not None:
            self._tries.write(f"{item.event_id}\n")
        if self._delay_s:
            slow = item.event_id in _SLOW_EVENTS
            await asyncio.sleep(_FOR_EVER_S if slow else self._delay_s)
        return listings.answer(item)

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer:  # noqa: ARG002 - protocol
        """There are no previews here."""
        raise RequestError("The bench makes no previews.")

    async def capacity(self) -> Capacity:
        """More than a worker asks for."""
        return Capacity(replicas=1, max_in_flight=1024)

    async def check(self) -> None:
        """Always ready."""


@contextmanager
def answering(folder: Path, *, delay_s: float = 0.0, tries: Path | None = None) -> Iterator[str]:
    """Start it and give its address; stop it after the block."""
    settings, address_file = DeploySettings(), folder.absolute() / "serve.json"
    command = [sys.executable, "-m", "deploy.bench.answering", str(address_file), str(delay_s)]
    command += [] if tries is None else [str(tries)]
    child = Child("serve", command, log=folder / "serve.log")
    try:
        child.start()
        child.wait_ready(address_file.exists, settings.start_timeout_s)
        yield json.loads(address_file.read_text())["url"]
    finally:
        child.stop(settings.stop_timeout_s)


def main(address_file: str, delay_s: str = "0", tries: str | None = None) -> None:
    """Serve until SIGTERM; the address goes into the file."""
    app = create_app(Idle(float(delay_s), None if tries is None else Path(tries)), load_catalog())
    listener = socket.create_server(("127.0.0.1", 0))
    write_atomically(Path(address_file), json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
