import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from serve.catalog.loader import load_catalog
from serve.errors import IndexUnavailable, ReplicaLost, ServeError, UnknownRecipe, UnsupportedFormat
from serve.ingress import create_app, parse_items
from serve.report import answer
from serve.schemas.exchange import NDJSON, AnswerLine, Capacity, EnrichItem, ErrorLine, ResultLine
from serve.schemas.outcome import Outcome
from serve.schemas.preview import PreviewAnswer
from tests.support.small_studio import item

CATALOG = load_catalog()


@dataclass
class FakeGateway:
    """Answers at once, but events whose listing is `slow`, which wait to be let go."""

    limit: int = 8
    problem: ServeError | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    started: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    async def answer(self, item: EnrichItem) -> AnswerLine:
        self.started.append(item.ref)
        try:
            if item.listing.listing_id == "slow":
                await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(item.ref)
            raise
        if item.listing.listing_id == "lost":
            return ErrorLine(ref=item.ref, error=ReplicaLost().info())
        return ResultLine(ref=item.ref, result=answer(item, Outcome.ENRICHED))

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer:
        if recipe == "none":
            raise UnknownRecipe
        if not body.startswith(b"\xff\xd8"):
            raise UnsupportedFormat
        return PreviewAnswer(recipe=recipe, recipe_version=1, images=[], timings_ms={})

    async def capacity(self) -> Capacity:
        return Capacity(replicas=1, max_in_flight=self.limit)

    async def check(self) -> None:
        if self.problem is not None:
            raise self.problem


@asynccontextmanager
async def client(gateway: FakeGateway, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(gateway, CATALOG, max_photo_bytes=100, **options)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://vitrine") as open_client:
        yield open_client


def body(*events: EnrichItem | dict[str, object]) -> str:
    raw = [event.model_dump(mode="json") if isinstance(event, EnrichItem) else event for event in events]
    return json.dumps({"items": raw})


def event(ref: int, listing_id: str = "L1") -> EnrichItem:
    return item("a", offset=ref, listing_id=listing_id)


def lines(response: httpx.Response) -> list[dict[str, object]]:
    return [json.loads(line) for line in response.text.splitlines()]


async def post(gateway: FakeGateway, content: str) -> httpx.Response:
    async with client(gateway) as http:
        return await http.post("/v1/enrich", content=content)


def test_every_event_gets_one_line() -> None:
    response = asyncio.run(post(FakeGateway(), body(event(4), event(5, "lost"), event(6))))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(NDJSON)
    answered = {line["ref"]: line["kind"] for line in lines(response)}
    assert answered == {4: "result", 5: "error", 6: "result"}
    error = next(line for line in lines(response) if line["kind"] == "error")
    assert error["error"] == ReplicaLost().info().model_dump(mode="json")


def call(app: FastAPI, content: str) -> tuple[asyncio.Task[None], asyncio.Queue[bytes], asyncio.Event]:
    """A running request to /v1/enrich, the pieces of its answer as they come, and how to hang up."""
    sent = asyncio.Queue[bytes]()
    gone = asyncio.Event()
    request: list[dict[str, object]] = [{"type": "http.request", "body": content.encode(), "more_body": False}]

    async def receive() -> dict[str, object]:
        if request:
            return request.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, object]) -> None:
        if piece := message.get("body"):
            assert isinstance(piece, bytes)
            await sent.put(piece)

    scope: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": "/v1/enrich",
        "headers": [],
    }
    scope |= {"query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http"}
    return asyncio.ensure_future(app(scope, receive, send)), sent, gone


def test_a_slow_event_does_not_hold_back_its_chunk_and_goes_with_its_client() -> None:
    async def main() -> None:
        gateway = FakeGateway()
        running, sent, gone = call(create_app(gateway, CATALOG), body(event(1, "slow"), event(2)))
        first = await asyncio.wait_for(sent.get(), 5)
        assert json.loads(first)["ref"] == 2
        assert not running.done()
        gone.set()
        await asyncio.wait_for(running, 5)
        assert gateway.cancelled == [1]

    asyncio.run(main())


def test_a_long_event_keeps_its_stream_alive_with_blank_lines() -> None:
    async def main() -> None:
        gateway = FakeGateway()
        running, sent, _ = call(create_app(gateway, CATALOG, silence_s=0.01), body(event(1, "slow")))
        for _ in range(3):
            assert await asyncio.wait_for(sent.get(), 5) == b"\n"
        gateway.go.set()
        await asyncio.wait_for(running, 5)
        rest = b"".join(sent.get_nowait() for _ in range(sent.qsize()))
        assert json.loads(rest)["ref"] == 1

    asyncio.run(main())


def test_a_malformed_event_does_not_fail_its_neighbours() -> None:
    bad = event(7).model_dump(mode="json")
    del bad["listing"]["tenant_id"]
    response = asyncio.run(post(FakeGateway(), body(event(1), bad)))
    by_ref = {line["ref"]: line for line in lines(response)}
    assert by_ref[1]["kind"] == "result"
    error = by_ref[7]["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["retry"]) == ("bad_request", "permanent")
    assert error["message"] == "listing.tenant_id: Field required"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "list of 1 to 32"),
        ('{"items": []}', "list of 1 to 32"),
        (body(*(event(ref) for ref in range(33))), "list of 1 to 32"),
        (body({"ref": "1"}), "whole number"),
        (body({"ref": True}), "whole number"),
        (body(event(1), event(1)), "of its own"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_with_its_reason(content: str, message: str) -> None:
    response = asyncio.run(post(FakeGateway(), content))
    assert response.status_code == 422
    assert message in response.json()["error"]["message"]


def test_a_full_house_answers_503_with_the_time_to_wait() -> None:
    async def main() -> None:
        gateway = FakeGateway(limit=2)
        async with client(gateway, retry_after_s=7) as http:
            full = asyncio.create_task(http.post("/v1/enrich", content=body(event(1, "slow"), event(2, "slow"))))
            while len(gateway.started) < 2:  # noqa: ASYNC110 - the fake has no event for this
                await asyncio.sleep(0.001)
            refused = await http.post("/v1/enrich", content=body(event(3)))
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
            assert refused.json()["error"]["retry"] == "back_pressure"
            gateway.go.set()
            assert len(lines(await full)) == 2
            assert (await http.post("/v1/enrich", content=body(event(3)))).status_code == 200
            figures = (await http.get("/metrics")).text
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(figures)
            for sample in family.samples
        }
        assert samples["vitrine_ingress_lines_total", "enriched", "result"] == 3
        assert samples["vitrine_ingress_refused_total",] == 1
        assert samples["vitrine_ingress_in_flight",] == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("photo", "recipe", "status", "code"),
    [
        (b"\xff\xd8", "studio", 200, None),
        (b"\xff\xd8", "none", 404, "unknown_recipe"),
        (b"text", "studio", 422, "unsupported_format"),
        (b"\xff\xd8" * 51, "studio", 413, "source_too_large"),
    ],
)
def test_preview(photo: bytes, recipe: str, status: int, code: str | None) -> None:
    async def main() -> httpx.Response:
        async with client(FakeGateway()) as http:
            return await http.post("/v1/preview", files={"image": ("photo.jpg", photo)}, data={"recipe": recipe})

    response = asyncio.run(main())
    assert response.status_code == status
    assert response.json().get("error", {}).get("code") == code


@pytest.mark.parametrize("announced", [True, False])
def test_a_preview_that_is_too_large_is_cut_while_it_comes(announced: bool) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        while read < 50_000_000:
            read += 10_000
            yield b"x" * 10_000

    async def main() -> httpx.Response:
        headers = {"content-type": "multipart/form-data; boundary=b"}
        if announced:
            headers["content-length"] = "50000000"
        async with client(FakeGateway()) as http:
            return await http.post("/v1/preview", content=endless(), headers=headers)

    response = asyncio.run(main())
    assert (response.status_code, response.json()["error"]["code"]) == (413, "source_too_large")
    assert response.json()["error"]["message"] == "The body has more than 65,636 bytes."
    assert read <= (0 if announced else 100_000)


def test_catalog_capacity_health_and_documentation() -> None:
    async def main() -> None:
        gateway = FakeGateway()
        async with client(gateway) as http:
            recipes = (await http.get("/v1/recipes")).json()
            assert [recipe["recipe"] for recipe in recipes] == sorted(CATALOG.recipes)
            channels = {channel["channel"]: channel for channel in (await http.get("/v1/channels")).json()}
            rule = channels["google"]["min_shortest_side"]
            assert (rule["value"], rule["confirmed"], rule["from"]) == (500, True, "2027-01-31")
            assert rule["source"].startswith("support.google.com")
            assert (await http.get("/v1/capacity")).json()["max_in_flight"] == 8
            assert (await http.get("/healthz")).json() == {"status": "ok"}
            assert (await http.get("/readyz")).status_code == 200
            gateway.problem = IndexUnavailable()
            down = await http.get("/readyz")
            assert (down.status_code, down.json()["error"]["code"]) == (503, "index_unavailable")
            assert (await http.get("/healthz")).status_code == 200
            paths = (await http.get("/openapi.json")).json()["paths"]
            assert {"/v1/enrich", "/v1/preview", "/v1/recipes", "/v1/channels", "/v1/capacity"} <= set(paths)
            assert (await http.get("/docs")).status_code == 200

    asyncio.run(main())


def test_unknown_fields_of_a_listing_survive_parsing() -> None:
    entry = event(1).model_dump(mode="json")
    entry["listing"]["season"] = "autumn"
    (parsed,), refused = parse_items(json.dumps({"items": [entry]}).encode())
    assert refused == []
    assert parsed.listing.model_dump()["season"] == "autumn"
