"""Systems under load: what is started for which run, what is refused, and what is told of the place."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, Self

import pytest
from pydantic import ValidationError

from deploy.errors import DeployError, ServiceFailed
from deploy.loadtest.faults.program import FAULTS
from deploy.loadtest.faults.scene import Part
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.system import given, local
from deploy.loadtest.system.environment import UNKNOWN, cpu_model, environment, redacted_settings, revision
from deploy.loadtest.system.given import GivenSystem, facing, open_system, served_recipes
from deploy.loadtest.system.local import LocalSystem, parts_of
from deploy.loadtest.system.recipes import CATALOG, merged_catalog, recipe_names
from deploy.loadtest.system.services import Plan, Services, settings_of
from deploy.services.interface import Endpoints
from deploy.services.kafka_topics import TopicCheck
from deploy.services.processes import ProcessRecord
from deploy.services.stack import Choice, KafkaKind, StoreKind
from deploy.settings import DeploySettings
from serve.settings import ServeSettings
from tests.support.few_photos import FewPhotos

OPTIONS = RunOptions(driver=DriverKind.KAFKA, rate=1, duration_s=1, seed=1, out=Path("out"))
REAL = replace(OPTIONS, kafka=KafkaKind.REAL, store=StoreKind.REAL)
CHAOS = Path("chaos.yaml")


def quiet(_service: str, _phase: str) -> None: ...


@dataclass
class Crew:
    """Workers that are only names."""

    names: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def start(self) -> str:
        self.names.append(f"consumer-{len(self.names) + 1}")
        return self.names[-1]

    def died(self) -> Sequence[str]:
        return list(self.dead)

    def replace(self, name: str) -> str:
        self.dead.remove(name)
        return self.start()


@dataclass
class Given:
    """Stands for services: it notes the plan."""

    plan: Plan
    report: object
    folder: Path
    crew: Crew = field(default_factory=Crew)
    gone: list[ProcessRecord] = field(default_factory=list)
    made: ClassVar[list["Given"]] = []

    def __post_init__(self) -> None:
        Given.made.append(self)

    consumers_env: ClassVar[Mapping[str, str]] = {"VITRINE_CONSUMERS_BOOTSTRAP": "127.0.0.1:1"}
    serve_env: ClassVar[Mapping[str, str]] = {"VITRINE_SERVE_S3_BUCKET": "b"}

    def settings(self) -> str:
        return "settings"

    def processes(self) -> dict[str, Sequence[ProcessRecord]]:
        return {"kafka": [ProcessRecord(name="kafka-1", pid=1, started="x")], "consumers": []}

    def lost(self) -> list[ProcessRecord]:
        return self.gone

    def scene(self) -> str:
        return "scene"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[Given]:
    Given.made.clear()
    monkeypatch.setattr(local, "Services", Given)
    return Given.made


# -- our own --


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (replace(REAL, chaos=CHAOS), set(Part)),
        (REAL, set(Part) - {Part.BROKERS}),
        (replace(REAL, brokers=3), set(Part)),
        (replace(OPTIONS, chaos=CHAOS), set(Part) - {Part.BROKERS}),
        (replace(REAL, chaos=CHAOS, driver=DriverKind.HTTP), {Part.SERVE, Part.STORE}),
        (replace(REAL, chaos=CHAOS, driver=DriverKind.INPROCESS), {Part.STORE}),
        (replace(OPTIONS, store=StoreKind.NONE), {Part.CONSUMERS, Part.SERVE}),
        (replace(OPTIONS, bootstrap="k:9092"), set()),
        (replace(OPTIONS, serve_url="http://s:8000"), set()),
    ],
)
def test_what_a_run_has_to_disturb(options: RunOptions, parts: set[Part]) -> None:
    assert parts_of(options) == parts


@pytest.mark.parametrize(
    ("options", "kafka", "serve", "consumers"),
    [
        (REAL, KafkaKind.REAL, True, 2),
        (replace(REAL, consumers=4), KafkaKind.REAL, True, 4),
        (OPTIONS, KafkaKind.EMBEDDED, True, 1),
        (replace(OPTIONS, driver=DriverKind.HTTP), KafkaKind.NONE, True, 0),
        (replace(OPTIONS, driver=DriverKind.INPROCESS), KafkaKind.NONE, False, 0),
        (replace(REAL, mode=Mode.BACKLOG), KafkaKind.REAL, True, 0),
    ],
)
def test_each_driver_has_what_it_needs(
    options: RunOptions, kafka: KafkaKind, serve: bool, consumers: int, services: list[Given], tmp_path: Path
) -> None:
    with LocalSystem(options, quiet, folder=tmp_path, make_photos=FewPhotos) as system:
        [running] = services
        choice = running.plan.choice
        assert (choice.kafka, choice.serve, choice.store) == (kafka, serve, options.store)
        assert not running.plan.disturbed
        assert len(running.crew.names) == consumers
        assert choice.topics.keys() >= {*settings_of({}).topics, "listings.enriched", "listings.dead"}
        assert choice.serve_env["VITRINE_SERVE_FETCH_ALLOW"].startswith("127.0.0.1:")
        assert (system.settings() is None) == (options.driver is not DriverKind.KAFKA)
        assert ("VITRINE_SERVE_S3_BUCKET" in system.env) == (options.driver is DriverKind.INPROCESS)


def test_held_back_consumers_start_once(services: list[Given], tmp_path: Path) -> None:
    with LocalSystem(replace(REAL, mode=Mode.BACKLOG), quiet, folder=tmp_path, make_photos=FewPhotos) as system:
        assert services[0].crew.names == []
        system.release()
        system.release()
        assert services[0].crew.names == ["consumer-1", "consumer-2"]


def test_with_faults_there_are_three_brokers_and_a_proxy(services: list[Given], tmp_path: Path) -> None:
    with LocalSystem(replace(REAL, chaos=CHAOS), quiet, folder=tmp_path, make_photos=FewPhotos) as system:
        assert services[0].plan.choice.brokers == 3
        assert services[0].plan.disturbed
        assert services[0].plan.session_timeout_s is not None
        assert system.scene() == "scene"
    with (
        LocalSystem(REAL, quiet, folder=tmp_path, make_photos=FewPhotos) as system,
        pytest.raises(DeployError, match="--chaos"),
    ):
        system.scene()


def test_a_worker_that_died_is_told_and_replaced(services: list[Given], tmp_path: Path) -> None:
    with LocalSystem(REAL, quiet, folder=tmp_path, make_photos=FewPhotos) as system:
        assert system.check() == []
        services[0].crew.dead.append("consumer-1")
        assert system.check() == ["consumer-1 ended by itself; consumer-3 took its place"]
        assert system.check() == []
        services[0].gone.append(ProcessRecord(name="serve", pid=1, started="x", log="serve.log"))
        with pytest.raises(ServiceFailed, match=r"serve ended by itself; its log is serve\.log"):
            system.check()


def test_only_roles_with_processes_are_named(services: list[Given], tmp_path: Path) -> None:
    with LocalSystem(REAL, quiet, folder=tmp_path, make_photos=FewPhotos) as system:
        assert list(system.processes()) == ["kafka"]


def test_a_kafka_driver_needs_a_kafka(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="needs a Kafka"):
        LocalSystem(replace(OPTIONS, kafka=KafkaKind.NONE), quiet, folder=tmp_path, make_photos=FewPhotos)


def test_a_service_that_ended_is_missed(tmp_path: Path) -> None:
    """A process in the stack that does not run is lost, unless it is a broker that a fault has killed."""
    running = Services(Plan(choice=Choice(kafka=KafkaKind.NONE), group="g"), quiet, tmp_path)

    class Ended:
        name = "store"

        def processes(self) -> Sequence[ProcessRecord]:
            return [ProcessRecord(name="store", pid=2**22 + 1, started="x")]

        def describe(self, endpoints: Endpoints) -> Endpoints:
            return endpoints

    running._stack.services.append(Ended())  # type: ignore[arg-type]
    assert [record.name for record in running.lost()] == ["store"]


# -- recipes --


def test_our_recipes_come_beside_those_of_the_user(tmp_path: Path) -> None:
    own = tmp_path / "own" / "recipes"
    own.mkdir(parents=True)
    light = (CATALOG / "recipes" / "light.yaml").read_text()
    (own / "mine.yaml").write_text(light.replace("recipe: light", "recipe: mine"))
    serving = ServeSettings(catalog_dir=tmp_path / "own")
    names = recipe_names(merged_catalog(tmp_path / "merged", serving), serving)
    assert {"light", "mine", "studio"} <= set(names)
    again = merged_catalog(tmp_path / "merged", ServeSettings())
    assert "mine" not in recipe_names(again, ServeSettings())


def test_a_catalog_that_serve_would_refuse_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad" / "recipes").mkdir(parents=True)
    (tmp_path / "bad" / "recipes" / "x.yaml").write_text("recipe: [")
    monkeypatch.setenv("VITRINE_SERVE_CATALOG_DIR", str(tmp_path / "bad"))
    with pytest.raises(DeployError, match=r"x\.yaml"):
        LocalSystem(OPTIONS, quiet, folder=tmp_path / "run", make_photos=FewPhotos)
    monkeypatch.setenv("VITRINE_SERVE_CATALOG_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(DeployError, match="cannot be read"):
        LocalSystem(OPTIONS, quiet, folder=tmp_path / "run", make_photos=FewPhotos)


# -- somebody else's --


@contextmanager
def serving(status: int, body: object) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(body).encode()
            self.send_response(status if self.path == "/v1/recipes" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bootstrap": "k:9092", "chaos": CHAOS}, "--chaos needs services of our own"),
        ({"bootstrap": "k:9092", "mode": Mode.BACKLOG}, "a backlog needs consumers of our own"),
        ({"bootstrap": "k:9092", "driver": DriverKind.INPROCESS}, "uses no Kafka"),
        ({"serve_url": "http://s:8000"}, "--bootstrap HOST:PORT"),
        ({"bootstrap": "k:9092", "driver": DriverKind.HTTP}, "--serve-url"),
    ],
)
def test_what_cannot_be_done_to_services_of_others(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=said):
        open_system(replace(OPTIONS, **changed), quiet, tmp_path, FewPhotos)


def test_a_given_serve_is_asked_for_its_recipes_and_cannot_be_disturbed(tmp_path: Path) -> None:
    with serving(200, [{"recipe": "b", "version": 1}, {"recipe": "a", "version": 1}]) as url:
        options = replace(OPTIONS, driver=DriverKind.HTTP, serve_url=url)
        with open_system(options, quiet, tmp_path, FewPhotos) as system:
            assert isinstance(system, GivenSystem)
            assert system.recipes == ["a", "b"]
            assert system.env["VITRINE_CONSUMERS_SERVE_URL"] == url
            assert system.photos.url("1-100.jpg").startswith("http://127.0.0.1:")
            assert system.processes() == {}
            assert system.settings() is None
            system.release()
            assert system.check() == []
            with pytest.raises(DeployError, match="Chaos Mesh"):
                system.scene()


@pytest.mark.parametrize(("status", "body"), [(500, []), (200, {"no": "list"}), (200, [{"name": "x"}])])
def test_a_serve_that_does_not_tell_is_named(status: int, body: object) -> None:
    with serving(status, body) as url, pytest.raises(DeployError, match=f"Serve at {url} does not tell its recipes"):
        served_recipes(settings_of({"VITRINE_CONSUMERS_SERVE_URL": url}))


def test_missing_topics_are_told_with_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        given,
        "check_topics",
        lambda _, topics, __: [TopicCheck(topic=name, wanted=1, found=1 if "new" in name else None) for name in topics],
    )
    with pytest.raises(DeployError, match=r"listings\.dead: vitrine topics --create --bootstrap k:9"):
        open_system(replace(OPTIONS, bootstrap="k:9092"), quiet, tmp_path, FewPhotos)


def test_without_an_address_of_serve_the_local_catalog_is_the_best_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given, "check_topics", lambda *_: [])
    with open_system(replace(OPTIONS, bootstrap="127.0.0.1:9092"), quiet, tmp_path, FewPhotos) as system:
        assert "studio" in system.recipes
        assert "light" not in system.recipes
        assert system.env["VITRINE_CONSUMERS_BOOTSTRAP"] == "127.0.0.1:9092"


def test_photos_are_served_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "check_topics", lambda *_: [])
    monkeypatch.setenv("VITRINE_DEPLOY_LOADTEST_PHOTOS", "localhost:0")
    asked: list[tuple[str, int]] = []

    class Photos(FewPhotos):
        def __init__(self, host: str, port: int) -> None:
            asked.append((host, port))
            super().__init__(host, port)

    with open_system(replace(OPTIONS, bootstrap="127.0.0.1:9092"), quiet, tmp_path, Photos):
        assert asked == [("localhost", 0)]
    monkeypatch.setenv("VITRINE_DEPLOY_LOADTEST_PHOTOS", "http://localhost")
    with pytest.raises(ValidationError):
        DeploySettings()


def test_our_address_that_faces_a_machine() -> None:
    assert facing("127.0.0.1", 9092) == "127.0.0.1"
    with pytest.raises(DeployError, match="there is no way to"):
        facing("no such host", 1)


# -- the place --


def test_the_place_is_described_without_names_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SERVE_S3_SECRET_KEY", "open sesame")
    monkeypatch.setenv("VITRINE_SERVE_INDEX_URL", "postgresql+psycopg://me:hush-hush@host/db")
    monkeypatch.setenv("VITRINE_CONSUMERS_SASL_PASSWORD", "swordfish")
    monkeypatch.setenv("VITRINE_CONSUMERS_GROUP", "seven")
    monkeypatch.setenv("SOMETHING_ELSE", "not ours")
    found = environment(replace(REAL, driver=DriverKind.KAFKA))
    text = json.dumps(found)
    assert not any(secret in text for secret in ("open sesame", "hush-hush", "swordfish", "not ours"))
    assert found["settings"]["VITRINE_CONSUMERS_GROUP"] == "seven"
    assert found["settings"].keys() >= {"VITRINE_SERVE_S3_SECRET_KEY", "VITRINE_SERVE_INDEX_URL"}
    assert found["cpus"] >= 1
    assert found["memory_gib"] > 0
    assert found["packages"]["kafka-python"].startswith("3.")
    assert found["services"].keys() == {"kafka", "store", "serve"}
    assert found["services"]["kafka"].startswith("Apache Kafka")


def test_secrets_are_hidden_by_their_names_too() -> None:
    assert redacted_settings({"VITRINE_DEPLOY_SECRET_KEY": "abc"}) == {"VITRINE_DEPLOY_SECRET_KEY": "[hidden]"}


def test_services_of_others_are_not_guessed() -> None:
    found = environment(replace(OPTIONS, bootstrap="k:9092"))
    assert found["services"].keys() == {"given"}
    assert environment(replace(OPTIONS, driver=DriverKind.INPROCESS))["services"].keys() == {"store"}


def test_the_processor_is_named() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: AMD EPYC\nmodel\t: 1\n") == "AMD EPYC"
    assert cpu_model("") != ""


def test_the_revision_says_whether_files_were_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        own = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-C", str(tmp_path)]
        return subprocess.run(["git", *own, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    assert revision(tmp_path) == UNKNOWN
    git("init", "-q")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert revision(tmp_path) == commit
    (tmp_path / "file").write_text("b")
    assert revision(tmp_path) == f"{commit}+changes"


def test_without_git_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision() == UNKNOWN


def test_a_fault_of_every_part_is_known() -> None:
    assert {fault.part for fault in FAULTS} == set(Part)
