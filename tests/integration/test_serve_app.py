"""The application on a real Ray Serve, started from deploy/serve.yaml, with a real S3 protocol behind it."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from serve.schemas.exchange import EnrichItem
from tests.support.photos import garment, photo_server
from tests.support.servers import StoreServer
from tests.support.small_studio import item

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240


@dataclass
class Served:
    """A running `serve run deploy/serve.yaml`."""

    url: str
    process: subprocess.Popen[bytes]
    photos: str
    #: Takes connections and never answers: whoever fetches a photo from it is surely at work.
    gate: socket.socket

    @property
    def stuck(self) -> str:
        return f"http://127.0.0.1:{self.gate.getsockname()[1]}/stuck.jpg"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config(folder: Path, port: int) -> Path:
    document = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())
    document["http_options"]["port"] = port
    for deployment in document["applications"][0]["deployments"]:
        deployment["num_replicas"] = 1
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


#: Ray gives its own node 30 s to start, and no setting for it; a busy machine may need another try.
STARTS = 3
STARVED = "The current node timed out during startup"


def start(command: list[str], env: dict[str, str], log: Path, url: str) -> subprocess.Popen[bytes]:
    for _ in range(STARTS):
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True)
        if ready(process, log, url):
            return process
        assert STARVED in log.read_text(), log.read_text()[-3000:]
    pytest.fail(f"Ray did not start {STARTS} times")


def ready(process: subprocess.Popen[bytes], log: Path, url: str) -> bool:
    """True once the application answers, False where the process ended."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return True
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"not ready in {PATIENCE_S} s:\n{log.read_text()[-3000:]}")
        time.sleep(0.5)
    return False


def family(served: Served) -> dict[int, str]:
    """Process ids and command lines of all that carry our mark in their environment: a Ray with all its workers."""
    mark = f"VITRINE_TEST_FAMILY={served.url.rsplit(':', 1)[1]}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def served(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serve")
    port = free_port()
    with photo_server() as photos, socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(60)
        photos.add("shirt.jpg", garment())
        env = {
            **os.environ,
            "VITRINE_TEST_FAMILY": str(port),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "200000000",
            "VITRINE_SERVE_S3_ENDPOINT": embedded_store.endpoint,
            "VITRINE_SERVE_S3_ACCESS_KEY": embedded_store.access_key,
            "VITRINE_SERVE_S3_SECRET_KEY": embedded_store.secret_key,
            "VITRINE_SERVE_S3_BUCKET": embedded_store.bucket,
            "VITRINE_SERVE_FETCH_ALLOW": f"{photos.origin},127.0.0.1:{gate.getsockname()[1]}",
            "VITRINE_SERVE_STATE_DIR": str(folder / "state"),
        }
        log = folder / "serve.log"
        url = f"http://127.0.0.1:{port}"
        # `serve run`, in a Ray without dashboard: on a busy machine that one does not start in the 30 s that Ray gives.
        # Sockets lie under Ray's folder and their paths must be short, hence not in pytest's.
        ray_folder = tempfile.mkdtemp(prefix="vt-", dir="/tmp")
        command = [sys.executable, "-m", "deploy.services.serve_host", str(config(folder, port)), ray_folder]
        process = start(command, env, log, url)
        try:
            yield Served(url, process, photos.url("shirt.jpg"), gate)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def enrich(served: Served, *events: EnrichItem) -> dict[int, dict[str, object]]:
    body = {"items": [event.model_dump(mode="json") for event in events]}
    with httpx.stream("POST", f"{served.url}/v1/enrich", json=body, timeout=PATIENCE_S) as response:
        assert response.status_code == 200
        lines = [json.loads(line) for line in response.iter_lines() if line]
    return {line["ref"]: line for line in lines}


def test_an_event_goes_in_and_its_images_lie_in_the_bucket(served: Served, embedded_store: StoreServer) -> None:
    good = item(served.photos, offset=1, recipe="studio")
    missing = item(served.photos + ".none", offset=2, listing_id="L2")
    answers = enrich(served, good, missing)
    result, failed = answers[1]["result"], answers[2]["result"]
    assert isinstance(result, dict)
    assert isinstance(failed, dict)
    assert result["outcome"] in ("enriched", "review_required"), result["errors"]
    assert len(result["outputs"]) == 3
    for output in result["outputs"]:
        stored = embedded_store.client().get_object(Bucket=embedded_store.bucket, Key=output["key"])
        assert hashlib.sha256(stored["Body"].read()).hexdigest() == output["sha256"]
        assert stored["ContentType"] == "image/jpeg"
    assert (failed["outcome"], failed["code"]) == ("failed", "source_not_found")
    # The same answer again, without the moments of the work, for none was done.
    again = enrich(served, good)[1]["result"]
    assert again == {**result, "started_at": None, "stored_at": None, "clock": None}


def test_the_door_tells_capacity_recipes_and_previews(served: Served) -> None:
    # A door that hears nothing from Serve for two seconds tells what it last knew: perhaps that all replicas start.
    deadline = time.monotonic() + PATIENCE_S
    wanted = {"replicas": 1, "max_in_flight": 8, "max_events_per_request": 32}
    while (capacity := httpx.get(f"{served.url}/v1/capacity").json()) != wanted:
        assert time.monotonic() < deadline, capacity
        time.sleep(0.2)
    assert "everything" in [recipe["recipe"] for recipe in httpx.get(f"{served.url}/v1/recipes").json()]
    form = {"recipe": "studio", "variants": "white"}
    shown = httpx.post(f"{served.url}/v1/preview", files={"image": garment()}, data=form, timeout=PATIENCE_S).json()
    assert [image["variant"] for image in shown["images"]] == ["white"]
    refused = httpx.post(f"{served.url}/v1/preview", files={"image": b"text"}, data=form, timeout=PATIENCE_S)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unsupported_format")
    assert httpx.get(f"{served.url}/docs").status_code == 200


def test_a_replica_that_dies_is_told_and_replaced(served: Served) -> None:
    stuck = item(served.stuck, offset=3, listing_id="L3")
    studio = [pid for pid, command in family(served).items() if "ServeReplica:vitrine:Studio" in command]
    assert len(studio) == 1
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(enrich, served, stuck)
        with served.gate.accept()[0]:
            os.kill(studio[0], signal.SIGKILL)
            line = answer.result(PATIENCE_S)[3]
    assert line["kind"] == "error"
    error = line["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["retry"]) == ("replica_lost", "transient")
    line = enrich(served, item(served.photos, offset=4, listing_id="L4", recipe="studio"))[4]
    assert line["kind"] == "result", line
    result = line["result"]
    assert isinstance(result, dict)
    assert len(result["outputs"]) == 3
    assert all(output["reused"] for output in result["outputs"])


def test_stopping_leaves_no_process(served: Served) -> None:
    assert len(family(served)) > 3
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(60)
    deadline = time.monotonic() + 30
    while family(served) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert family(served) == {}
