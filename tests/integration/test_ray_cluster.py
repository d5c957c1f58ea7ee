"""Two Ray nodes under load: one dies and comes back, then the application is replaced. Every event is answered once."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pytest
import yaml

from deploy.services.environment import serve_env
from deploy.services.interface import Endpoints
from tests.support.cluster_traffic import CATALOG, ClusterTraffic, until
from tests.support.photos import PhotoServer, photo_server
from tests.support.ray_cluster import HEAD, SECOND, RayCluster
from tests.support.servers import KafkaServer, StoreServer

pytestmark = pytest.mark.timeout(1500)

SERVE_YAML = Path(__file__).parents[2] / "deploy" / "serve.yaml"
PATIENCE_S = 400
NODES = (HEAD, SECOND)
VITRINE = Path(sys.executable).with_name("vitrine")


@dataclass
class Town:
    """The cluster, what it works for, and the file that is deployed there."""

    cluster: RayCluster
    photos: PhotoServer
    store: Endpoints
    folder: Path

    def deploy(self, release: str) -> None:
        """`serve deploy` of serve.yaml with one Studio replica per node; another release replaces all replicas."""
        document = yaml.safe_load(SERVE_YAML.read_text())
        # Both nodes are this machine, so two proxies would want the same port.
        document["proxy_location"] = "HeadOnly"
        document["http_options"]["port"] = self.cluster.serve_port
        # The access log says who has answered.
        document["logging_config"]["log_level"] = "INFO"
        application = document["applications"][0]
        application["runtime_env"] = {"env_vars": {**self._env(), "RELEASE": release}}
        options = {one["name"]: one for one in application["deployments"]}
        options["Ingress"]["ray_actor_options"]["resources"] = {"door": 0.01}
        options["Studio"] |= {"num_replicas": 2, "max_replicas_per_node": 1}
        file = self.folder / f"{release}.yaml"
        file.write_text(yaml.safe_dump(document))
        self.cluster.deploy(file)

    def _env(self) -> dict[str, str]:
        own = {"VITRINE_SERVE_FETCH_ALLOW": self.photos.origin, "VITRINE_SERVE_CATALOG_DIR": str(CATALOG)}
        return {**serve_env(self.store, self.folder), **own}

    def replicas(self) -> int:
        """Studio replicas that the door counts; 0 while it is closed."""
        with suppress(httpx.HTTPError, KeyError, ValueError):
            return int(httpx.get(f"{self.cluster.url}/v1/capacity", timeout=10).json()["replicas"])
        return 0

    def calls(self, node: str) -> int:
        """Events that Studio replicas on the node have answered so far."""
        return sum(self.cluster.calls(node).values())

    def updated(self, old: Collection[str]) -> bool:
        """Whether all replicas are other ones than these, each node has one, and one of them has answered."""
        new = [{name: calls for name, calls in self.cluster.calls(node).items() if name not in old} for node in NODES]
        return self.settled and all(new) and any(sum(one.values()) for one in new)

    @property
    def settled(self) -> bool:
        """Whether Serve has nothing left to change."""
        return self.cluster.applications()["vitrine"]["status"] == "RUNNING"

    def wait_for(self, replicas: int) -> None:
        """Wait until so many Studio replicas run, all of the newest release."""
        until(
            lambda: self.settled and self.replicas() == replicas,
            PATIENCE_S,
            lambda: f"{self.cluster.applications()}",
        )

    def vitrine(self, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
        """The command as a user of this cluster calls it."""
        told = {**os.environ, **self.cluster.env, "VITRINE_SERVE_CATALOG_DIR": str(CATALOG), **env}
        command = [str(VITRINE), *map(str, words)]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=told, cwd=self.folder)


class Knocking:
    """Asks at the door again and again, for the length of a block."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: Counter[int] = Counter()

    def _run(self) -> None:
        while not self._done.wait(0.2):
            self.answers[self._status()] += 1

    def _status(self) -> int:
        """0 where there was no answer."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self._url}/v1/capacity", timeout=120).status_code
        return 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@pytest.fixture(scope="module")
def town(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    cluster = RayCluster()
    store = Endpoints(
        s3_endpoint=embedded_store.endpoint,
        access_key=embedded_store.access_key,
        secret_key=embedded_store.secret_key,
        bucket=embedded_store.bucket,
    )
    try:
        cluster.start(HEAD)
        cluster.start(SECOND)
        with photo_server() as photos:
            yield Town(cluster, photos, store, tmp_path_factory.mktemp("town"))
    finally:
        cluster.stop()


@pytest.fixture
def traffic(town: Town, embedded_kafka: KafkaServer, tmp_path: Path) -> ClusterTraffic:
    return ClusterTraffic(embedded_kafka, town.store, town.cluster.url, town.photos, tmp_path)


def test_a_demo_is_a_guest_on_the_cluster_and_leaves_it_as_it_was(town: Town, tmp_path: Path) -> None:
    cluster = town.cluster
    neighbour = {"name": "neighbour", "route_prefix": "/neighbour", "import_path": "neighbour:app"}
    http = {"host": "127.0.0.1", "port": cluster.serve_port}
    file = tmp_path / "neighbour.yaml"
    file.write_text(yaml.safe_dump({"proxy_location": "HeadOnly", "http_options": http, "applications": [neighbour]}))
    cluster.deploy(file)
    demo = ["demo", "--json", "--limit", 2, "--recipe", "tiny", "--out", tmp_path / "out"]
    done = town.vitrine(*demo, "--ray-address", f"127.0.0.1:{cluster.gcs_port}")
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert cluster.applications().keys() == {"neighbour"}
    assert httpx.get(f"{cluster.url}/neighbour", timeout=30).text == "here"
    assert all(map(cluster.calls, NODES)), "not every node had a replica"


def test_a_node_that_dies_costs_no_event_and_works_again_when_it_is_back(town: Town, traffic: ClusterTraffic) -> None:
    cluster = town.cluster
    town.deploy("first")
    town.wait_for(2)
    idle = {node: town.calls(node) for node in NODES}

    def disturb() -> None:
        traffic.busy_until(lambda: all(town.calls(node) > idle[node] for node in NODES), PATIENCE_S)
        cluster.kill(SECOND)
        assert traffic.open > 0, "the kill came too late"
        before = town.calls(SECOND)
        cluster.start(SECOND)
        traffic.busy_until(lambda: town.calls(SECOND) > before, PATIENCE_S)

    traffic.run(disturb, PATIENCE_S)
    assert traffic.faults() == []
    assert max(traffic.attempts()) > 1, "the node that died had nothing in work"


@pytest.mark.parametrize(
    ("address", "env", "reason"),
    [
        ("http://127.0.0.1:{dashboard_port}", {"RAY_AUTH_MODE": "disabled"}, "asks for a token"),
        ("http://127.0.0.1:{serve_port}", {}, "is no Ray dashboard"),
        ("127.0.0.1:1", {}, "no Ray cluster found"),
    ],
)
def test_a_guest_who_does_not_fit_is_told_why(town: Town, address: str, env: dict[str, str], reason: str) -> None:
    _is_refused(town, address.format_map(vars(town.cluster)), reason, **env)


def test_a_guest_takes_no_name_that_is_taken(town: Town) -> None:
    town.deploy("first")
    _is_refused(town, town.cluster.dashboard, "already has an application `vitrine`")
    assert "vitrine" in town.cluster.applications()


def _is_refused(town: Town, address: str, reason: str, **env: str) -> None:
    done = town.vitrine("up", "--kafka", "none", "--store", "none", "--ray-address", address, **env)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_an_update_under_load_costs_no_event_and_no_second_try(town: Town, traffic: ClusterTraffic) -> None:
    cluster = town.cluster
    town.deploy("second")
    town.wait_for(2)
    old = {name for node in NODES for name in cluster.calls(node)}

    def disturb() -> None:
        traffic.busy_until(traffic.attempts, PATIENCE_S)
        with Knocking(cluster.url) as door:
            town.deploy("third")
            traffic.busy_until(lambda: town.updated(old), PATIENCE_S)
        # 503 says that one may ask again; it may not be the last word.
        assert door.answers.keys() <= {200, 503}
        assert town.replicas() > 0

    traffic.run(disturb, PATIENCE_S)
    assert traffic.faults() == []
    # Streams that were open when the door was replaced, and events that old replicas had begun, came to their end.
    assert set(traffic.attempts()) == {1}
