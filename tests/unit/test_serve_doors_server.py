"""Clients that mean ill, against a real server: they are cut off, and everybody else is served meanwhile."""

import importlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.catalog.loader import load_catalog
from serve.doors import wary
from serve.doors.address import DoorOpen, require_asked
from serve.doors.door import Door, DoorLimits
from serve.doors.wary import WaryProtocol
from serve.ingress import create_app
from serve.report import answer
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem, ResultLine
from serve.schemas.outcome import Outcome
from serve.schemas.preview import PreviewAnswer
from tests.support.small_studio import item
from tests.support.web import self_signed

CATALOG = load_catalog()
LARGE = 8 * 2**20
PATIENCE_S = 20


class Gateway:
    async def answer(self, item: EnrichItem) -> AnswerLine:
        result = answer(item, Outcome.ENRICHED)
        large = item.listing.listing_id == "large"
        return ResultLine(ref=item.ref, result=result.model_copy(update={"message": "x" * LARGE}) if large else result)

    async def preview(self, body: bytes, recipe: str, variants: Sequence[str]) -> PreviewAnswer:
        return PreviewAnswer(recipe=recipe, recipe_version=len(body), images=[], timings_ms={})

    async def capacity(self) -> Capacity:
        return Capacity(replicas=1, max_in_flight=64)

    async def check(self) -> None: ...


class Hasty(WaryProtocol):
    """The same with no patience."""

    header_s = 1.0
    body_s = 5.0
    write_s = 1.0
    max_header_bytes = 32 * 1024
    max_connections = 40


@dataclass
class Running:
    port: int
    server: uvicorn.Server
    door: Door

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def enrich(self, **changes: object) -> httpx.Response:
        content = {"items": [item("a", **changes).model_dump(mode="json")]}
        with httpx.Client(trust_env=False) as client:
            return client.post(f"{self.url}/v1/enrich", json=content, timeout=PATIENCE_S)

    def until_empty(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.server.server_state.connections:
            assert time.monotonic() < deadline, "connections stay open"
            time.sleep(0.01)


@contextmanager
def running(door: Door, protocol: type[HttpToolsProtocol] = Hasty, **options: object) -> Iterator[Running]:
    app = create_app(Gateway(), CATALOG, max_photo_bytes=100_000, door=door)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", http=protocol, **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield Running(server.servers[0].sockets[0].getsockname()[1], server, door)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def shop() -> Iterator[Running]:
    with running(Door(limits=DoorLimits(body_idle_s=1.0, body_total_s=2.5))) as shop:
        yield shop


def hangs_up(client: socket.socket) -> bytes:
    """All that the server still says before it closes; a test that fails here waited for ever."""
    said = b""
    with suppress(ConnectionError):
        while piece := client.recv(65536):
            said += piece
    return said


def test_headers_that_never_end_are_cut_and_hold_up_nobody(shop: Running) -> None:
    clients = [shop.connect() for _ in range(20)]
    for client in clients[:10]:
        client.sendall(b"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    assert shop.enrich().status_code == 200
    # Ten have begun a header, ten say nothing at all, and one drips.
    dripping = shop.connect()
    dripping.settimeout(0.05)
    closed = False
    deadline = time.monotonic() + PATIENCE_S
    while not closed and time.monotonic() < deadline:
        try:
            dripping.sendall(b"G")
            closed = dripping.recv(100) == b""
        except TimeoutError:
            continue
        except ConnectionError:
            closed = True
    assert closed
    for client in clients:
        assert hangs_up(client) == b""
    shop.until_empty()


def test_a_header_without_bound_is_cut(shop: Running) -> None:
    with shop.connect() as client, suppress(ConnectionError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        for _ in range(2000):
            client.sendall((b"X-More: " + b"y" * 1000 + b"\r\n") * 100)
        pytest.fail("two hundred megabytes of header were taken")
    shop.until_empty()


def test_a_large_header_that_ends_is_refused_by_name(shop: Running) -> None:
    refused = httpx.get(f"{shop.url}/v1/recipes", headers={"x-large": "y" * 20_000}, trust_env=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")


def test_empty_lines_for_ever_are_no_request(shop: Running) -> None:
    with shop.connect() as client:
        client.settimeout(0.05)
        deadline = time.monotonic() + PATIENCE_S
        closed = False
        while not closed and time.monotonic() < deadline:
            try:
                client.sendall(b"\r\n")
                closed = client.recv(100) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
        assert closed


def test_a_body_that_stops_is_answered_and_closed(shop: Running) -> None:
    with shop.connect() as client:
        client.sendall(b"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        assert shop.enrich().status_code == 200
        said = hangs_up(client)
    assert said.startswith(b"HTTP/1.1 408")
    assert b"request_too_slow" in said


def test_a_body_that_drips_is_cut_by_its_total_time(shop: Running) -> None:
    with shop.connect() as client:
        client.sendall(b"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
        client.settimeout(0.05)
        said = b""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                client.sendall(b" ")
                piece = client.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not piece:
                break
            said += piece
    assert b"request_too_slow" in said


@pytest.mark.parametrize("path", ["/v1/enrich", "/v1/preview"])
def test_an_endless_body_ends_at_its_limit(shop: Running, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    form = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    begin = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    sent = 0
    with shop.connect() as client, suppress(ConnectionError):
        client.sendall((head + form).encode() + b"%x\r\n" % len(begin) + begin + b"\r\n")
        piece = b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"
        while sent < 200 * 2**20:
            client.sendall(piece)
            sent += 65536
    assert sent < 100 * 2**20
    shop.until_empty()
    assert shop.door.open_requests == 0


def test_a_client_that_never_reads_is_dropped(shop: Running) -> None:
    events = [item("a", offset=ref, listing_id="large").model_dump(mode="json") for ref in range(8)]
    content = json.dumps({"items": events}).encode()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE_S)
    client.connect(("127.0.0.1", shop.port))
    with client:
        head = f"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
        client.sendall(head.encode() + content)
        shop.until_empty()
        # What lay in the buffers between is far less than the answer.
        assert len(hangs_up(client)) < 8 * LARGE
    deadline = time.monotonic() + PATIENCE_S
    while shop.door.open_requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_client_that_reads_slowly_but_reads_gets_all(shop: Running) -> None:
    content = json.dumps({"items": [item("a", listing_id="large").model_dump(mode="json")]}).encode()
    with shop.connect() as client:
        head = f"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n"
        head += "Connection: close\r\n\r\n"
        client.sendall(head.encode() + content)
        got = 0
        while piece := client.recv(2**18):
            got += len(piece)
            time.sleep(0.03)
    assert got > LARGE


def test_connections_are_bounded(shop: Running) -> None:
    clients = [shop.connect() for _ in range(Hasty.max_connections)]
    deadline = time.monotonic() + PATIENCE_S
    while len(shop.server.server_state.connections) < Hasty.max_connections and time.monotonic() < deadline:
        time.sleep(0.005)
    with shop.connect() as one_more:
        assert hangs_up(one_more) == b""
    for client in clients:
        client.close()
    shop.until_empty()
    assert shop.enrich().status_code == 200


def test_kept_connections_serve_many_requests(shop: Running) -> None:
    with httpx.Client(trust_env=False, base_url=shop.url) as client:
        assert {client.get("/healthz").status_code for _ in range(50)} == {200}
        assert len(shop.server.server_state.connections) == 1


def test_pipelined_requests_are_answered_in_turn(shop: Running) -> None:
    with shop.connect() as client:
        one = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        client.sendall(one * 5 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert hangs_up(client).count(b'{"status":"ok"}') == 6


def test_a_page_in_the_browser_cannot_reach_a_door_without_tokens(shop: Running) -> None:
    with httpx.Client(trust_env=False) as client:
        for headers in ({"origin": "https://page.example"}, {"host": "rebound.example"}):
            refused = client.get(f"{shop.url}/v1/recipes", headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "door_closed")


def test_websockets_are_closed(shop: Running) -> None:
    with shop.connect() as client:
        client.sendall(
            b"GET /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " not in client.recv(65536).split(b"\r\n")[0]


def test_over_tls_the_same_holds(tmp_path: Path) -> None:
    _, trusting = self_signed("localhost", tmp_path)
    pem = str(tmp_path / "server.pem")
    with running(Door(), ssl_certfile=pem, ssl_keyfile=pem) as shop:
        url = f"https://localhost:{shop.port}"
        with httpx.Client(trust_env=False, verify=trusting) as client:
            assert client.get(f"{url}/v1/recipes").status_code == 200
        with shop.connect() as plain, trusting.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            with suppress(ssl.SSLError):
                assert hangs_up(client) == b""
        shop.until_empty()


def test_with_a_file_of_issuers_client_certificates_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trusting = self_signed("localhost", tmp_path)
    pem = str(tmp_path / "server.pem")
    known = ssl.create_default_context(cafile=pem)
    known.load_cert_chain(pem)
    # By itself uvicorn, told of issuers as Serve tells it, lets everybody in.
    for strict in (False, True):
        if strict:
            monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
            monkeypatch.setattr(uvicorn.config, "create_ssl_context", uvicorn.config.create_ssl_context)
            wary.install()
        with running(Door(), ssl_certfile=pem, ssl_keyfile=pem, ssl_ca_certs=pem) as shop:
            url = f"https://localhost:{shop.port}/v1/recipes"
            assert httpx.get(url, verify=known, trust_env=False).status_code == 200
            if strict:
                with pytest.raises(httpx.TransportError):
                    httpx.get(url, verify=trusting, trust_env=False)
            else:
                assert httpx.get(url, verify=trusting, trust_env=False).status_code == 200


def test_certificates_that_nobody_would_ask_for_keep_the_door_shut() -> None:
    require_asked(None, None, wary.INSTALL)
    require_asked("ca.pem", wary.INSTALL, wary.INSTALL)
    for callback in (None, "", "somebody.else"):
        with pytest.raises(DoorOpen, match=wary.INSTALL):
            require_asked("ca.pem", callback, wary.INSTALL)
    module, _, name = wary.INSTALL.rpartition(".")
    assert getattr(importlib.import_module(module), name) is wary.install


def test_serves_proxies_are_given_it_by_their_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "AutoHTTPProtocol", HttpToolsProtocol)
    monkeypatch.setattr(uvicorn.config, "create_ssl_context", uvicorn.config.create_ssl_context)
    monkeypatch.setattr(WaryProtocol, "body_s", WaryProtocol.body_s)
    monkeypatch.setenv("VITRINE_SERVE_DOOR_BODY_S", "600")
    assert wary.install() == []
    assert WaryProtocol.body_s > 600
    config = uvicorn.Config(create_app(Gateway(), CATALOG), lifespan="off")
    config.load()
    assert config.http_protocol_class is WaryProtocol
