"""A stack starts in order and stops in reverse, whatever goes wrong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from consumers.settings import ConsumerSettings
from deploy.errors import DeployError, ServiceFailed
from deploy.services.environment import consumers_env, serve_env
from deploy.services.interface import Endpoints, Service
from deploy.services.kafka_real import ClusterPlan, server_properties
from deploy.services.processes import ProcessRecord
from deploy.services.ray_dashboard import ServeDetails
from deploy.services.ray_given import GivenRay
from deploy.services.ray_serve import CONFIG, local_config
from deploy.services.stack import Choice, KafkaKind, Stack, StoreKind
from deploy.services.topic_plan import EVENTS, wanted_topics
from deploy.settings import DeploySettings
from serve.settings import ServeSettings


class Fake:
    def __init__(self, name: str, story: list[str], *, fails: BaseException | None = None) -> None:
        self.name = name
        self.story = story
        self.fails = fails

    def start(self) -> None:
        self.story.append(f"start {self.name}")
        if self.fails:
            raise self.fails

    def stop(self) -> None:
        self.story.append(f"stop {self.name}")
        if self.fails:
            raise OSError("will not stop")

    def healthy(self) -> bool:
        return True

    def processes(self) -> Sequence[ProcessRecord]:
        return [ProcessRecord(name=self.name, pid=1, started="now")]

    def describe(self, endpoints: Endpoints) -> Endpoints:
        return replace(endpoints, **{"bootstrap" if self.name == "kafka" else "s3_endpoint": self.name})


class FakeStack(Stack):
    def __init__(self, kafka: Service, store: Service) -> None:
        self.said: list[tuple[str, str]] = []
        super().__init__(Choice(serve=False), Path(), report=lambda service, phase: self.said.append((service, phase)))
        self.fakes = {"kafka": kafka, "store": store}

    def _kafka(self) -> Service | None:
        return self.fakes["kafka"]

    def _store(self) -> Service | None:
        return self.fakes["store"]


def test_services_start_in_order_and_stop_in_reverse() -> None:
    story: list[str] = []
    stack = FakeStack(Fake("kafka", story), Fake("store", story))
    with stack as endpoints:
        assert (endpoints.bootstrap, endpoints.s3_endpoint) == ("kafka", "store")
        assert [record.name for record in stack.processes()] == ["kafka", "store"]
    assert story == ["start kafka", "start store", "stop store", "stop kafka"]
    assert stack.said == [
        ("kafka", "starting"),
        ("kafka", "ready"),
        ("store", "starting"),
        ("store", "ready"),
        ("store", "stopping"),
        ("store", "stopped"),
        ("kafka", "stopping"),
        ("kafka", "stopped"),
    ]


@pytest.mark.parametrize("error", [ServiceFailed("no port"), KeyboardInterrupt()])
def test_a_failure_at_start_stops_what_was_started(error: BaseException) -> None:
    story: list[str] = []
    stack = FakeStack(Fake("kafka", story), Fake("store", story, fails=error))
    with pytest.raises(type(error)):
        stack.start()
    assert story == ["start kafka", "start store", "stop store", "stop kafka"]
    assert ("store", "not stopped: will not stop") in stack.said


def test_three_brokers_need_the_real_kafka() -> None:
    with pytest.raises(DeployError, match="three brokers"):
        Choice(brokers=3)
    with pytest.raises(DeployError, match="1 or 3"):
        Choice(kafka=KafkaKind.REAL, brokers=2)
    assert Choice(kafka=KafkaKind.REAL, brokers=3, store=StoreKind.NONE).brokers == 3


def test_serve_understands_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = Endpoints(
        s3_endpoint="http://127.0.0.1:1", access_key="a", secret_key="s", bucket="b", kafka_incarnation="k1"
    )
    for name, value in serve_env(here, tmp_path).items():
        monkeypatch.setenv(name, value)
    settings = ServeSettings()
    assert (settings.s3_endpoint, settings.s3_bucket) == ("http://127.0.0.1:1", "b")
    assert settings.s3_secret_key is not None
    assert settings.s3_secret_key.get_secret_value() == "s"
    assert settings.state_dir == tmp_path / "serve" / "k1"


def test_consumers_understand_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Endpoints(bootstrap="127.0.0.1:9", kafka_api_version=(2, 3), serve_url="http://127.0.0.1:8")
    for name, value in consumers_env(here).items():
        monkeypatch.setenv(name, value)
    settings = ConsumerSettings()
    assert settings.client()["bootstrap_servers"] == ["127.0.0.1:9"]
    assert settings.client()["api_version"] == (2, 3)
    assert settings.serve_url == "http://127.0.0.1:8"
    assert consumers_env(Endpoints(bootstrap="127.0.0.1:9")) == {"VITRINE_CONSUMERS_BOOTSTRAP": "127.0.0.1:9"}


def test_dead_letters_have_one_partition() -> None:
    topics = wanted_topics(5)
    assert {topics[name] for name in EVENTS} == {5}
    assert topics[ConsumerSettings().dead_topic] == 1


@pytest.mark.parametrize("brokers", [1, 3])
def test_a_lone_broker_has_a_dynamic_quorum_and_three_a_fixed_one(brokers: int, tmp_path: Path) -> None:
    plan = ClusterPlan(
        cluster_id="id", client_ports=list(range(1, brokers + 1)), controller_ports=list(range(11, brokers + 11))
    )
    lines = dict(line.split("=", 1) for line in server_properties(plan, brokers, tmp_path).splitlines())
    assert ("controller.quorum.bootstrap.servers" in lines) == (brokers == 1)
    assert ("controller.quorum.voters" in lines) == (brokers == 3)
    assert lines["listeners"] == f"PLAINTEXT://127.0.0.1:{brokers},CONTROLLER://127.0.0.1:{10 + brokers}"
    assert lines["min.insync.replicas"] == {1: "1", 3: "2"}[brokers]


def test_the_serve_config_keeps_all_but_its_address() -> None:
    text = local_config(CONFIG, 12345)
    assert "host: 127.0.0.1" in text
    assert "port: 12345" in text
    assert "import_path: serve.app:build_app" in text


def test_a_further_deployment_is_another_version_of_the_application() -> None:
    first, second = local_config(CONFIG, 12345), local_config(CONFIG, 12345, deployment=2)
    assert "VITRINE_DEPLOYMENT" not in first
    assert "VITRINE_DEPLOYMENT: '2'" in second


def test_the_shipped_config_listens_on_this_machine_alone_and_so_does_the_local_stack() -> None:
    shipped = yaml.safe_load(CONFIG.read_text())
    assert shipped["http_options"]["host"] == "127.0.0.1"
    assert yaml.safe_load(local_config(CONFIG, 12345))["http_options"]["host"] == "127.0.0.1"


def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, **env: str) -> dict[str, object]:
    for name in ("VITRINE_SERVE_DOOR_TOKENS", "VITRINE_SERVE_OPEN_DOOR"):
        monkeypatch.delenv(name, raising=False)
    cluster = GivenRay("http://head:8265", tmp_path, DeploySettings())
    cluster.env |= env
    there = ServeDetails(http_options={"host": host, "port": 8000})
    return cluster._http(yaml.safe_load(CONFIG.read_text()), there, [])


def test_on_a_cluster_that_listens_to_the_network_tokens_are_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert given(monkeypatch, tmp_path, "127.0.0.1")["host"] == "127.0.0.1"
    with pytest.raises(ServiceFailed, match="VITRINE_SERVE_DOOR_TOKENS"):
        given(monkeypatch, tmp_path, "0.0.0.0")
    for name, value in (("VITRINE_SERVE_DOOR_TOKENS", "/tokens.yaml"), ("VITRINE_SERVE_OPEN_DOOR", "1")):
        assert given(monkeypatch, tmp_path, "0.0.0.0", **{name: value})["host"] == "0.0.0.0"
