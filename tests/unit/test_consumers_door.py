"""The consumers' client at a door that asks for tokens: what it is refused for costs no event."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from pydantic import ValidationError

from consumers.core import actions, signals
from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell.client import ServeClient, in_the_open
from consumers.shell.inbox import Inbox
from serve.catalog.loader import load_catalog
from serve.doors.door import Door
from serve.doors.tokens import Register, Token, digest_of, new_secret
from serve.ingress import create_app
from serve.report import answer
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem, ErrorLine, ResultLine
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.preview import PreviewAnswer
from tests.support.listing_events import envelope
from tests.support.web import self_signed

SECRET = new_secret()
PATIENCE_S = 20


class Gateway:
    async def answer(self, item: EnrichItem) -> AnswerLine:
        return ResultLine(ref=item.ref, result=answer(item, Outcome.ENRICHED))

    async def preview(self, *_: object) -> PreviewAnswer:
        raise NotImplementedError

    async def capacity(self) -> Capacity:
        return Capacity(replicas=1, max_in_flight=8)

    async def check(self) -> None: ...


class Tokens:
    def __init__(self, **changes: object) -> None:
        fields: dict[str, object] = {"name": "workers", "rights": ["enrich"], "tenants": ["acme"]}
        self.register = Register([Token.model_validate({**fields, "sha256": digest_of(SECRET), **changes})])

    def current(self) -> Register:
        return self.register


@contextmanager
def door(tokens: Tokens, **options: object) -> Iterator[int]:
    app = create_app(Gateway(), load_catalog(), door=Door(tokens))
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", **options)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(PATIENCE_S)


@contextmanager
def client(**settings: object) -> Iterator[tuple[ServeClient, Inbox]]:
    inbox = Inbox()
    serve_client = ServeClient(ConsumerSettings(capacity_every_s=60, **settings), inbox)
    serve_client.start()
    try:
        yield serve_client, inbox
    finally:
        serve_client.stop(5)


def ends(inbox: Inbox, count: int) -> list[signals.Signal]:
    kinds = (signals.Answered, signals.StreamEnded, signals.StreamBroken)
    found: list[signals.Signal] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        found += [signal for signal in inbox.drain() if isinstance(signal, kinds)]
        time.sleep(0.01)
    return found


def sending(ref: int, tenant: str = "acme") -> actions.Item:
    document = envelope(f"e{ref}", data={"tenant_id": tenant, "listing_id": f"fine-{ref}", "revision": 1})
    record = SourceRecord(TopicPartition("t", 0), ref, None, json.dumps(document).encode())
    event = parse(record)
    assert isinstance(event, ListingEvent)
    return actions.Item(ref, event, record, 1, final=False)


def test_a_wrong_token_is_waited_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens()
    with door(tokens) as port:
        for secret, status in ((None, 401), ("wrong", 401)):
            with client(serve_url=f"http://127.0.0.1:{port}", serve_token=secret) as (serve, inbox):
                serve.send(actions.Send(1, [sending(1)]))
                (refused,) = ends(inbox, 1)
            assert isinstance(refused, signals.StreamBroken)
            # Refused is what the engine repeats without end and without spending an attempt.
            assert refused.kind is signals.Break.REFUSED
            assert refused.message.startswith(f"HTTP {status}")
        assert "VITRINE_CONSUMERS_SERVE_TOKEN" in caplog.text
        tokens.register = Tokens(rights=["preview"]).register
        with client(serve_url=f"http://127.0.0.1:{port}", serve_token=SECRET) as (serve, inbox):
            serve.send(actions.Send(1, [sending(1)]))
            (refused,) = ends(inbox, 1)
            assert isinstance(refused, signals.StreamBroken)
            assert (refused.kind, refused.message[:8]) == (signals.Break.REFUSED, "HTTP 403")
            # Somebody mends the rights, and the same worker goes on.
            tokens.register = Tokens().register
            serve.send(actions.Send(2, [sending(1)]))
            answered, ended = ends(inbox, 2)
        assert isinstance(answered, signals.Answered)
        assert isinstance(ended, signals.StreamEnded)
        assert SECRET not in caplog.text


def test_too_often_is_back_pressure_with_its_time() -> None:
    with (
        door(Tokens(per_second=0.2, burst=1)) as port,
        client(serve_url=f"http://127.0.0.1:{port}", serve_token=SECRET) as (serve, inbox),
    ):
        # The look at the capacity may have taken the first turn.
        for number in (1, 2):
            serve.send(actions.Send(number, [sending(number)]))
            told = ends(inbox, 1)
            if isinstance(told[0], signals.Answered):
                ends(inbox, 1)
        (refused,) = told
    assert isinstance(refused, signals.StreamBroken)
    assert refused.kind is signals.Break.REFUSED
    assert refused.retry_after_s is not None
    assert 1 <= refused.retry_after_s <= 5


def test_an_event_of_a_foreign_tenant_fails_alone() -> None:
    with (
        door(Tokens()) as port,
        client(serve_url=f"http://127.0.0.1:{port}", serve_token=SECRET) as (serve, inbox),
    ):
        serve.send(actions.Send(1, [sending(1), sending(2, "globex"), sending(3)]))
        *answered, ended = ends(inbox, 4)
    assert isinstance(ended, signals.StreamEnded)
    lines = {one.line.ref: one.line for one in answered if isinstance(one, signals.Answered)}
    assert [type(lines[ref]) for ref in (1, 2, 3)] == [ResultLine, ErrorLine, ResultLine]
    assert (lines[2].error.code, lines[2].error.retry) == ("tenant_not_allowed", RetryClass.PERMANENT)


def test_over_tls_serve_must_be_who_it_says(tmp_path: Path) -> None:
    self_signed("localhost", tmp_path)
    pem = str(tmp_path / "server.pem")
    with door(Tokens(), ssl_certfile=pem, ssl_keyfile=pem) as port:
        url = f"https://localhost:{port}"
        for cafile, kind in ((None, signals.StreamBroken), (pem, signals.Answered)):
            with client(serve_url=url, serve_token=SECRET, serve_cafile=cafile) as (serve, inbox):
                serve.send(actions.Send(1, [sending(1)]))
                first = ends(inbox, 1)[0]
            assert isinstance(first, kind)
            if isinstance(first, signals.StreamBroken):
                assert "CERTIFICATE_VERIFY_FAILED" in first.message


@pytest.mark.parametrize("secret", ["two words", "line\nbreak", "naïve", "x" * 300])
def test_what_fits_no_header_is_no_token(secret: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ConsumerSettings(serve_token=secret)
    assert secret not in str(refused.value)


def test_a_token_file_with_its_line_break_and_an_empty_variable_are_understood() -> None:
    settings = ConsumerSettings(serve_token=f"{SECRET}\n")
    assert settings.serve_headers() == {"authorization": f"Bearer {SECRET}"}
    assert SECRET not in repr(settings)
    assert ConsumerSettings(serve_token="").serve_headers() == {}


@pytest.mark.parametrize(
    ("url", "open_"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("http://serve:8000", True),
        ("https://serve:8000", False),
    ],
)
def test_a_token_that_would_cross_the_network_unencrypted_is_noticed(url: str, open_: bool) -> None:
    assert in_the_open(httpx.URL(url)) is open_
