"""Real Serve, scaled by what real metrics of workers say: up, down to nothing, and back."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from consumers.core.breaker import BreakerState
from consumers.core.status import Status
from consumers.records import TopicPartition
from consumers.shell.ends import End
from consumers.shell.metrics import Metrics
from deploy.services.ports import free_ports
from tests.support.consumer_bench import Bench
from tests.support.servers import KafkaServer

ROOT = Path(__file__).parents[2]
TP = TopicPartition("listings.new", 0)
PATIENCE_S = 240
#: Serve counts requests over so long a time, and hears of them every 10 s.
LOOK_BACK_S = 11
pytestmark = pytest.mark.timeout(900)
POLICY = {
    "look_every_s": 0.5,
    "timeout_s": 2,
    "stale_s": 5,
    "forget_s": 5,
    "rate_window_s": 4,
    "events_per_s": 4,
    "drain_s": 10,
    "hold_s": 3,
    "idle_s": 4,
    # Ray counts every head node once under this name, so there is room for three.
    "replica_needs": {"node:__internal_head__": 0.3},
}


@dataclass
class Scaled:
    """A running application, and where its policy looks for the workers' metrics."""

    url: str
    metrics_ports: tuple[int, int]
    log: Path

    def capacity(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/v1/capacity", timeout=10).raise_for_status().json())

    def wait(self, replicas: int, meanwhile: Callable[[], object] = lambda: None) -> set[int]:
        """Wait for this number of running replicas; the numbers that were seen on the way."""
        deadline, seen = time.monotonic() + PATIENCE_S, set()
        while True:
            meanwhile()
            seen.add(found := self.capacity()["replicas"])
            if found == replicas:
                return seen
            assert time.monotonic() < deadline, f"{found} instead of {replicas}:\n{self.log.read_text()[-3000:]}"
            time.sleep(0.3)


def config(folder: Path, port: int, metrics_ports: Sequence[int]) -> Path:
    """deploy/serve.yaml with the cheap Studio, scaled by the policy, in seconds instead of minutes."""
    document = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())
    document["http_options"]["port"] = port
    application = document["applications"][0]
    application["import_path"] = "tests.support.scaling_app:build_app"
    ingress, studio = application["deployments"][:2]
    assert (ingress["name"], studio["name"]) == ("Ingress", "Studio")
    application["deployments"] = [ingress, studio]
    for gone in ("num_replicas", "user_config"):
        studio.pop(gone, None)
    studio["ray_actor_options"] = {"num_cpus": 0.01}
    studio["graceful_shutdown_timeout_s"] = 5
    studio["autoscaling_config"] = {
        "min_replicas": 0,
        "initial_replicas": 1,
        "max_replicas": 5,
        "upscale_delay_s": 0,
        "downscale_delay_s": 0,
        "downscale_to_zero_delay_s": 0,
        "look_back_period_s": LOOK_BACK_S,
        "policy": {
            "policy_function": "serve.app.autoscaling:ByBacklog",
            "policy_kwargs": {**POLICY, "metrics_urls": [f"http://127.0.0.1:{one}/metrics" for one in metrics_ports]},
        },
    }
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaled]:
    tmp_path = tmp_path_factory.mktemp("scaled")
    port, *metrics_ports = free_ports(3)
    env = {
        **os.environ,
        "VITRINE_TEST_FAMILY": str(port),
        "RAY_USAGE_STATS_ENABLED": "0",
        "VITRINE_SERVE_CAPACITY_TTL_S": "0.5",
        "VITRINE_SERVE_STATE_DIR": str(tmp_path / "state"),
    }
    # Ray puts sockets here, and their paths must be short.
    ray_folder = tempfile.mkdtemp(prefix="vt-", dir="/tmp")
    log = tmp_path / "serve.log"
    file = config(tmp_path, port, metrics_ports)
    command = [sys.executable, "-m", "deploy.services.serve_host", str(file), ray_folder]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True)
    running = Scaled(f"http://127.0.0.1:{port}", (metrics_ports[0], metrics_ports[1]), log)
    try:
        wait_ready(running, process)
        yield running
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        while left := family(port):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        process.wait()


def family(port: int) -> list[int]:
    """What carries our mark in its environment and has not ended: a Ray with all its workers."""
    mark, found = f"VITRINE_TEST_FAMILY={port}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def wait_ready(running: Scaled, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 2 * PATIENCE_S
    while True:
        try:
            if httpx.get(f"{running.url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert process.poll() is None, running.log.read_text()[-3000:]
        assert time.monotonic() < deadline, running.log.read_text()[-3000:]
        time.sleep(0.5)


class Worker:
    """The metrics of a worker with as much backlog as the test says."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self.serve = self._metrics.serve

    def show(self, backlog: int) -> None:
        status = Status(
            in_flight=min(backlog, 8),
            buffered=backlog,
            buffered_bytes=0,
            paused=frozenset(),
            positions={TP: 0},
            window_used={TP: 0},
            open={TP: backlog},
            oldest_ms=None,
            oldest_new_ms=None,
            breaker=BreakerState.CLOSED,
            unpublished=0,
            commits_unanswered=0,
        )
        self._metrics.show(status, {TP: End(1000, 0)})


def test_replicas_follow_the_backlog_down_to_nothing_and_back(scaled: Scaled) -> None:
    # Nobody has told anything yet: what was started stays. The look after the health of the fresh replica must be
    # forgotten: for a request that it still counts Serve itself would wake a replica as soon as there is none.
    time.sleep(LOOK_BACK_S + 10 + 4)
    assert scaled.capacity() == {"replicas": 1, "max_in_flight": 8, "max_events_per_request": 32}
    worker = Worker()
    worker.show(1000)
    worker.serve(scaled.metrics_ports[0])
    assert max(scaled.wait(3, lambda: worker.show(1000))) == 3
    scaled.wait(0, lambda: worker.show(0))
    assert scaled.capacity() == {"replicas": 0, "max_in_flight": 0, "max_events_per_request": 32}
    # Whoever asks after its health does not wake it.
    for _ in range(10):
        assert httpx.get(f"{scaled.url}/readyz", timeout=10).status_code == 200
        worker.show(0)
        time.sleep(0.5)
    assert scaled.capacity()["replicas"] == 0
    assert max(scaled.wait(1, lambda: worker.show(1))) == 1
    # The worker hangs: its page is there, but does not change any more.
    time.sleep(POLICY["stale_s"] + POLICY["hold_s"] + POLICY["idle_s"] + 3)
    assert scaled.capacity()["replicas"] == 1


def test_a_real_worker_wakes_serve_and_lets_it_sleep(
    scaled: Scaled, embedded_kafka: KafkaServer, tmp_path: Path
) -> None:
    bench = Bench(embedded_kafka, tmp_path)
    try:
        bench.worker(SimpleNamespace(url=scaled.url), metrics_port=scaled.metrics_ports[1])
        scaled.wait(0)
        events = {f"e{number}": (f"listing-{number}", number) for number in range(300)}
        bench.produce(events)
        seen = scaled.wait(3)
        assert 0 in seen
        answered = bench.visible(len(events), timeout_s=PATIENCE_S)
        assert set(answered) == set(events)
        scaled.wait(0)
        bench.produce({"late": ("listing-late", 1)})
        assert "late" in bench.visible(len(events) + 1, timeout_s=PATIENCE_S)
    finally:
        bench.stop()
