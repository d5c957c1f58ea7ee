"""The real ingress over the small studio, by HTTP: everything of Serve but Ray and the models."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from serve.catalog.loader import load_catalog
from serve.errors import ServeError
from serve.ingress import create_app
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem, ErrorLine, ResultLine
from serve.schemas.preview import PreviewAnswer
from tests.support.small_studio import SmallStudio


class _Gateway:
    """One replica, in this process."""

    def __init__(self, studio: SmallStudio) -> None:
        self._studio = studio

    async def answer(self, item: EnrichItem) -> AnswerLine:
        try:
            return ResultLine(ref=item.ref, result=await self._studio.pipeline.answer(item))
        except ServeError as error:
            return ErrorLine(ref=item.ref, error=error.info())

    async def preview(self, *_: object) -> PreviewAnswer:
        raise NotImplementedError

    async def capacity(self) -> Capacity:
        return Capacity(replicas=1, max_in_flight=8)

    async def check(self) -> None:
        await asyncio.sleep(0)


@contextmanager
def studio_server(studio: SmallStudio) -> Iterator[str]:
    """Serve the studio at the address that this gives."""
    app = create_app(_Gateway(studio), load_catalog())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
