"""The door on a real Ray Serve: where it listens, whom it lets in, and what clients that mean ill can do."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from deploy.services.ray_serve import _ENV
from serve.doors.tokens import Register, Token, digest_of, new_secret
from serve.doors.tokens import write_register as written
from tests.support.servers import StoreServer
from tests.support.small_studio import item

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240
SECRET, SPENT = new_secret(), new_secret()
BEARER = {"authorization": f"Bearer {SECRET}"}


@dataclass
class Served:
    port: int
    tokens: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


def token(secret: str, name: str, **changes: object) -> Token:
    fields: dict[str, object] = {"rights": ["enrich", "catalog"], "tenants": ["acme"]}
    return Token.model_validate({**fields, "name": name, "sha256": digest_of(secret), **changes})


def config(folder: Path, port: int, host: str = "127.0.0.1") -> Path:
    document = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())
    document["http_options"] |= {"port": port, "host": host}
    for deployment in document["applications"][0]["deployments"]:
        deployment["num_replicas"] = 1
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def host(folder: Path, config: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    # Sockets lie under Ray's folder and their paths must be short, hence not in pytest's.
    ray_folder = tempfile.mkdtemp(prefix="vt-", dir="/tmp")
    command = [sys.executable, "-m", "deploy.services.serve_host", str(config), ray_folder]
    with (folder / "serve.log").open("wb") as out:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True)


def environment(store: StoreServer, folder: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        **_ENV,
        "PYTHONPATH": str(ROOT),
        "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "200000000",
        "VITRINE_SERVE_S3_ENDPOINT": store.endpoint,
        "VITRINE_SERVE_S3_ACCESS_KEY": store.access_key,
        "VITRINE_SERVE_S3_SECRET_KEY": store.secret_key,
        "VITRINE_SERVE_S3_BUCKET": store.bucket,
        "VITRINE_SERVE_STATE_DIR": str(folder / "state"),
        "VITRINE_SERVE_CUTOUT": "grabcut",
        **more,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("doors")
    tokens = folder / "tokens.yaml"
    tokens.write_text(written(Register([token(SECRET, "shop"), token(SPENT, "spent", per_second=0.01, burst=1)])))
    port = free_port()
    env = environment(embedded_store, folder, VITRINE_SERVE_DOOR_TOKENS=str(tokens), VITRINE_SERVE_DOOR_BODY_IDLE_S="1")
    process = host(folder, config(folder, port), env)
    served = Served(port, tokens, process, folder / "serve.log")
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{served.url}/readyz", timeout=5).status_code == 200:
                    break
            assert process.poll() is None, served.log.read_text()[-3000:]
            assert time.monotonic() < deadline, served.log.read_text()[-3000:]
            time.sleep(0.5)
        yield served
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def listening(port: int) -> set[str]:
    """The addresses, as the kernel writes them, at which anybody listens to the port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].rpartition(":")
            if fields[3] == "0A" and int(number, 16) == port:
                found.add(address)
    return found


def body(*events: object) -> dict[str, object]:
    return {"items": [event.model_dump(mode="json") for event in events]}  # type: ignore[attr-defined]


def hangs_up(client: socket.socket) -> bytes:
    said = b""
    with suppress(ConnectionError):
        while piece := client.recv(65536):
            said += piece
    return said


def test_it_does_not_start_where_a_network_could_reach_it_without_tokens(
    embedded_store: StoreServer, tmp_path: Path
) -> None:
    port = free_port()
    process = host(tmp_path, config(tmp_path, port, "0.0.0.0"), environment(embedded_store, tmp_path))
    log = tmp_path / "serve.log"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "VITRINE_SERVE_OPEN_DOOR=1" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            assert process.poll() is None or "VITRINE_SERVE_OPEN_DOOR=1" in log.read_text(), log.read_text()[-3000:]
            time.sleep(0.5)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).raise_for_status()
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def test_it_listens_on_this_machine_alone(served: Served) -> None:
    assert listening(served.port) == {"0100007F"}


def test_tokens_are_asked_for_and_tenants_are_kept_apart(served: Served) -> None:
    assert httpx.get(f"{served.url}/healthz").status_code == 200
    assert httpx.get(f"{served.url}/v1/capacity").json()["error"]["code"] == "unauthorized"
    assert httpx.get(f"{served.url}/metrics", headers=BEARER).json()["error"]["code"] == "forbidden"
    events = body(item(offset=1), item(offset=2, tenant_id="globex"))
    answered = httpx.post(f"{served.url}/v1/enrich", json=events, headers=BEARER, timeout=PATIENCE_S)
    lines = {line["ref"]: line for line in map(json.loads, filter(str.strip, answered.text.splitlines()))}
    assert lines[1]["result"]["code"] == "no_images"
    assert lines[2]["error"]["code"] == "tenant_not_allowed"
    spent = {"authorization": f"Bearer {SPENT}"}
    statuses = [httpx.get(f"{served.url}/v1/capacity", headers=spent).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]


def test_a_revoked_token_is_out_without_a_restart(served: Served) -> None:
    extra = new_secret()
    before = served.tokens.read_text()

    def replaced(text: str, status: int) -> None:
        draft = served.tokens.with_suffix(".new")
        draft.write_text(text)
        draft.replace(served.tokens)
        deadline = time.monotonic() + 60
        bearer = {"authorization": f"Bearer {extra}"}
        while httpx.get(f"{served.url}/v1/capacity", headers=bearer).status_code != status:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    replaced(written(Register([token(SECRET, "shop"), token(extra, "extra")])), 200)
    replaced(before, 401)


def test_slow_headers_slow_bodies_and_endless_bodies_end_and_hold_up_nobody(served: Served) -> None:
    clients = [served.connect() for _ in range(30)]
    for client in clients:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    head = f"POST /v1/enrich HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {SECRET}\r\n".encode()
    slow = served.connect()
    slow.sendall(head + b"Content-Length: 1000\r\n\r\n{")
    assert httpx.get(f"{served.url}/v1/recipes", headers=BEARER, timeout=60).status_code == 200
    assert b"request_too_slow" in hangs_up(slow)
    for client in clients:
        assert hangs_up(client) == b""
    sent = 0
    with served.connect() as endless, suppress(ConnectionError):
        endless.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        while sent < 400 * 2**20:
            endless.sendall(b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n")
            sent += 65536
    assert sent < 400 * 2**20
    assert httpx.get(f"{served.url}/healthz", timeout=60).status_code == 200
