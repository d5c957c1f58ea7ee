"""A stand-in for Serve over real HTTP: what it does with an event is told by the first word of the listing's id."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, StreamingResponse

from serve.schemas.exchange import NDJSON, Capacity, EnrichItem, EnrichRequest, ErrorLine, ResultLine
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.listing_events import result_for

_ERRORS = {"bad": RetryClass.PERMANENT, "flaky": RetryClass.TRANSIENT, "late": RetryClass.DELAYED}


class CutError(Exception):
    """Ends the answer stream in the middle."""


@dataclass
class FakeServe:
    """`with FakeServe() as serve: serve.url`. Words: fine, slow, flaky, late, bad, cut, poison."""

    delay_s: float = 0.0
    capacity: int = 64
    #: Seconds between blank lines while an answer stream has nothing to say; none by default.
    heartbeat_s: float | None = None
    #: Requests are refused with 503 while this is set.
    busy: bool = False
    port: int = 0
    seen: dict[str, list[EnrichItem]] = field(default_factory=lambda: defaultdict(list))
    sizes: list[int] = field(default_factory=list)
    refused: int = 0

    def __enter__(self) -> "FakeServe":
        config = uvicorn.Config(self._app(), host="127.0.0.1", port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tries(self) -> int:
        return sum(map(len, self.seen.values()))

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/capacity")
        async def capacity() -> Capacity:
            return Capacity(replicas=1, max_in_flight=self.capacity)

        @app.post("/v1/enrich")
        async def enrich(request: EnrichRequest) -> Response:
            if self.busy:
                self.refused += 1
                return JSONResponse({"code": "overloaded"}, 503, {"retry-after": "0"})
            self.sizes.append(len(request.items))
            return StreamingResponse(self._lines(request), media_type=NDJSON)

        return app

    async def _lines(self, request: EnrichRequest) -> AsyncIterator[str]:
        tasks = {asyncio.ensure_future(self._line(item)) for item in request.items}
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, timeout=self.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
                yield "".join(task.result().model_dump_json() + "\n" for task in done) or "\n"
        finally:
            for task in tasks:
                task.cancel()

    async def _line(self, item: EnrichItem) -> ResultLine | ErrorLine:
        self.seen[item.event_id].append(item)
        word = item.listing.listing_id.split("-")[0]
        await asyncio.sleep(0.3 if word == "slow" else self.delay_s)
        if word == "poison" or (word == "cut" and item.attempt == 1):
            raise CutError
        first = len(self.seen[item.event_id]) == 1
        if word == "bad" or (word in _ERRORS and first):
            return ErrorLine(ref=item.ref, error=ErrorInfo(code=f"{word}_listing", retry=_ERRORS[word], message=word))
        return ResultLine(ref=item.ref, result=result_for(item))
