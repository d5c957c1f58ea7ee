"""The door of Serve with nobody behind it: the real ingress, which answers every event at once.

    python -m deploy.bench.answering ADDRESS_FILE

A process of its own, as Serve is, so that it does not share an interpreter lock with who asks it.
"""

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


class Idle:
    """A `Gateway` of `serve.ingress` that has nothing to do."""

    async def answer(self, item: EnrichItem) -> AnswerLine:
        """Enriched, without images."""
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
def answering(folder: Path) -> Iterator[str]:
    """Start it and give its address; stop it after the block."""
    settings, address_file = DeploySettings(), folder.absolute() / "serve.json"
    command = [sys.executable, "-m", "deploy.bench.answering", str(address_file)]
    child = Child("serve", command, log=folder / "serve.log")
    try:
        child.start()
        child.wait_ready(address_file.exists, settings.start_timeout_s)
        yield json.loads(address_file.read_text())["url"]
    finally:
        child.stop(settings.stop_timeout_s)


def main(address_file: str) -> None:
    """Serve until SIGTERM; the address goes into the file."""
    app = create_app(Idle(), load_catalog())
    listener = socket.create_server(("127.0.0.1", 0))
    write_atomically(Path(address_file), json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
