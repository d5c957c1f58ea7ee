"""The HTTP door: events in, NDJSON lines out as each event is answered, previews, catalog, health, metrics."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Protocol

from fastapi import FastAPI, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from serve.body_limit import BodyLimit, BodyTooLarge
from serve.catalog.channel import Channel
from serve.catalog.recipe import Recipe
from serve.doors.door import PREVIEW, Door
from serve.doors.events import MAX_EVENT_BYTES, allowed, parse_items
from serve.doors.guard import BodyTooSlow, Guard, visitor_of
from serve.doors.refusal import response_to
from serve.errors import (
    Overloaded,
    RequestTooLarge,
    RequestTooSlow,
    ServeError,
    SourceTooLarge,
)
from serve.report import software_version
from serve.schemas.exchange import (
    MAX_EVENTS_PER_REQUEST,
    NDJSON,
    AnswerLine,
    Capacity,
    EnrichItem,
    EnrichRequest,
    ErrorLine,
)
from serve.schemas.preview import PreviewAnswer

#: A request with more bytes than this is refused unread: 32 events of the largest size.
MAX_REQUEST_BYTES = MAX_EVENTS_PER_REQUEST * MAX_EVENT_BYTES

#: After so long without an answer the stream says that it is alive; proxies and senders cut silent ones.
SILENCE_S = 15.0
#: Room for the other fields of a preview's form, and for what lies between them.
_FORM_BYTES = 64 * 1024


class Gateway(Protocol):
    """The replicas behind the door."""

    async def answer(self, item: EnrichItem) -> AnswerLine:
        """One line per event; never raises but for cancellation."""
        ...

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer:
        """Raise `ServeError`."""
        ...

    async def capacity(self) -> Capacity:
        """What may be in flight; from a cache, at once."""
        ...

    async def check(self) -> None:
        """Raise `ServeError` unless a replica is up and store and index answer."""
        ...


class Listing(Protocol):
    """What the door shows of the catalog. It may be another one from request to request."""

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """By name."""
        ...

    @property
    def channels(self) -> Mapping[str, Channel]:
        """By name."""
        ...


class _Figures:
    """What the door counts; stages are counted where they run."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = 0
        self._lines = Counter(
            "vitrine_ingress_lines", "Answer lines by kind and code", ["kind", "code"], registry=self.registry
        )
        self._refused = Counter("vitrine_ingress_refused", "Requests refused with 503", registry=self.registry)
        self._turned_away = Counter(
            "vitrine_door_refused", "Requests that the door did not let in", ["code", "token"], registry=self.registry
        )
        gauge = Gauge("vitrine_ingress_in_flight", "Events taken and not answered yet", registry=self.registry)
        gauge.set_function(lambda: self.in_flight)

    def lines(self, lines: Sequence[AnswerLine]) -> str:
        """Count the lines and write them."""
        for line in lines:
            code = line.error.code if isinstance(line, ErrorLine) else line.result.outcome
            self._lines.labels(line.kind, code).inc()
        return "".join(f"{line.model_dump_json()}\n" for line in lines)

    def refused(self) -> None:
        self._refused.inc()

    def turned_away(self, code: str, token: str) -> None:
        self._turned_away.labels(code, token).inc()

    def watch(self, door: Door) -> None:
        """Show how many requests the door has inside."""
        gauge = Gauge("vitrine_door_open_requests", "Requests that are open", registry=self.registry)
        gauge.set_function(lambda: door.open_requests)


def create_app(
    gateway: Gateway,
    catalog: Listing,
    *,
    max_photo_bytes: int = 25 * 2**20,
    retry_after_s: float = 1.0,
    silence_s: float = SILENCE_S,
    door: Door | None = None,
) -> FastAPI:
    """The application; its page stands at `/docs`. Without a `door` of yours it is that of one machine."""
    door = door or Door()
    app = FastAPI(title="Vitrine", version=software_version(), summary="Store-ready images from listing events.")
    figures = _Figures()
    app.add_exception_handler(ServeError, _error_answer)
    app.add_exception_handler(BodyTooLarge, _error_answer)
    app.add_exception_handler(BodyTooSlow, _error_answer)
    figures.watch(door)
    app.add_middleware(BodyLimit, path=PREVIEW, limit=max_photo_bytes + _FORM_BYTES)
    # Added last, so it comes first.
    app.add_middleware(Guard, door=door, refused=figures.turned_away)
    _add_enrich(app, gateway, figures, retry_after_s, silence_s)
    _add_preview(app, gateway, max_photo_bytes)
    _add_catalog(app, catalog)
    _add_operations(app, gateway, figures)
    return app


def _add_enrich(app: FastAPI, gateway: Gateway, figures: _Figures, retry_after_s: float, silence_s: float) -> None:
    body = {"required": True, "content": {"application/json": {"schema": EnrichRequest.model_json_schema()}}}

    @app.post(
        "/v1/enrich",
        openapi_extra={"requestBody": body},
        responses={200: {"content": {NDJSON: {}}}, 422: {}, 503: {}},
        response_class=StreamingResponse,
    )
    async def enrich(request: Request) -> StreamingResponse:
        """Answer up to 32 events: one NDJSON line each, in the order in which they are finished.

        A blank line says that work goes on.
        """
        items, refused = parse_items(await _read(request, MAX_REQUEST_BYTES))
        items, foreign = allowed(items, visitor_of(request.scope))
        capacity = await gateway.capacity()
        if figures.in_flight >= max(capacity.max_in_flight, 1):
            figures.refused()
            raise Overloaded(retry_after_s=retry_after_s)
        lines = _lines(gateway, figures, items, [*refused, *foreign], silence_s)
        return StreamingResponse(lines, media_type=NDJSON)


async def _lines(
    gateway: Gateway,
    figures: _Figures,
    items: Sequence[EnrichItem],
    refused: Sequence[ErrorLine],
    silence_s: float,
) -> AsyncIterator[str]:
    """Each line as its event is answered, and blank ones in between while nothing is.

    Whoever goes away takes the unanswered events along.
    """
    figures.in_flight += len(items)
    open_events = len(items)
    tasks = [asyncio.ensure_future(gateway.answer(item)) for item in items]
    try:
        if refused:
            yield figures.lines(refused)
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=silence_s, return_when=asyncio.FIRST_COMPLETED)
            open_events -= len(done)
            figures.in_flight -= len(done)
            # What is done together goes out together: every piece of a stream costs Serve's proxy the same.
            yield figures.lines([task.result() for task in done]) or "\n"
    finally:
        figures.in_flight -= open_events
        for task in tasks:
            task.cancel()


def _add_preview(app: FastAPI, gateway: Gateway, max_photo_bytes: int) -> None:
    @app.post(PREVIEW, responses={404: {}, 413: {}, 422: {}, 503: {}})
    async def preview(
        image: Annotated[UploadFile, File(description="One photo.")],
        recipe: Annotated[str, Form(description="Name of a recipe.")],
        variants: Annotated[list[str] | None, Form(description="Only these variants.")] = None,
    ) -> PreviewAnswer:
        """Show what a recipe makes of one photo; nothing is stored."""
        body = await image.read(max_photo_bytes + 1)
        if len(body) > max_photo_bytes:
            raise SourceTooLarge(f"The photo has more than {max_photo_bytes:,} bytes.")
        return await gateway.preview(body, recipe, variants or [])


def _add_catalog(app: FastAPI, catalog: Listing) -> None:
    @app.get("/v1/recipes")
    async def recipes() -> list[Recipe]:
        """All recipes, by name."""
        return [recipe for _, recipe in sorted(catalog.recipes.items())]

    @app.get("/v1/channels", response_model_exclude_none=True)
    async def channels() -> list[Channel]:
        """All channel profiles, by name."""
        return [channel for _, channel in sorted(catalog.channels.items())]


def _add_operations(app: FastAPI, gateway: Gateway, figures: _Figures) -> None:
    @app.get("/v1/capacity")
    async def capacity() -> Capacity:
        """How many events may be in flight: what the consumers' credit window feeds on."""
        return await gateway.capacity()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {}})
    async def readyz() -> dict[str, str]:
        """A replica is up with its weights, and bucket and index answer."""
        await gateway.check()
        return {"status": "ready"}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """The figures of this ingress replica; those of the stages come from Ray's node agents."""
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RequestTooLarge(f"The body has more than {limit:,} bytes.")
    return bytes(body)


async def _error_answer(_: Request, error: Exception) -> JSONResponse:
    """Every error of this room as JSON. A body that was not read to its end ends the connection."""
    if isinstance(error, BodyTooLarge):
        return response_to(SourceTooLarge(error.detail), close=True)
    if isinstance(error, BodyTooSlow):
        return response_to(RequestTooSlow(error.detail), close=True)
    if not isinstance(error, ServeError):
        raise error
    return response_to(error, close=isinstance(error, RequestTooLarge))
