"""What a run of the demo looks at before it starts anything, and the names that it uses."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from consumers.settings import ConsumerSettings
from deploy.demo import run
from deploy.demo.live import View
from deploy.demo.names import Names
from deploy.demo.options import DemoOptions
from deploy.errors import DeployError
from deploy.services.kafka_topics import topic_name
from deploy.services.stack import Choice, KafkaKind, StoreKind
from deploy.services.topic_plan import wanted_topics
from tests.support.demo_run import photo


class Started(Exception):
    """The run came as far as starting services."""


class NoStack:
    """Takes the place of `Stack`: nothing is ever started."""

    choice: Choice | None = None

    def __init__(self, choice: Choice, *_: Any, **__: Any) -> None:
        NoStack.choice = choice

    def start(self) -> None:
        raise Started

    def stop(self) -> None:
        """Nothing runs."""


@pytest.fixture(autouse=True)
def no_services(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    deleted: list[list[str]] = []
    monkeypatch.setattr(run, "Stack", NoStack)
    monkeypatch.setattr(run, "delete_topics", lambda _bootstrap, topics: deleted.append(list(topics)))
    monkeypatch.setattr(run.photos, "drawn", lambda *_: iter([photo()]))
    return deleted


def attempt(tmp_path: Path, **options: Any) -> None:
    run.Demo(DemoOptions(out=tmp_path / "out", **options), View(Console(), quiet=True)).run()


def test_a_demo_without_kafka_or_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="--bootstrap"):
        attempt(tmp_path, kafka=KafkaKind.NONE)
    with pytest.raises(DeployError, match="--endpoint"):
        attempt(tmp_path, store=StoreKind.NONE)
    with pytest.raises(Started):
        attempt(tmp_path, kafka=KafkaKind.NONE, bootstrap="b:1", store=StoreKind.NONE, endpoint="http://s:1")


def test_a_recipe_of_ones_own_catalog_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Path(__file__).parents[1] / "data" / "catalog"
    with pytest.raises(DeployError, match="no recipe 'tiny'"):
        attempt(tmp_path, recipe="tiny")
    monkeypatch.setenv("VITRINE_SERVE_CATALOG_DIR", str(catalog))
    with pytest.raises(Started):
        attempt(tmp_path, recipe="tiny")


def test_photos_in_the_output_folder_are_refused_and_stay(tmp_path: Path) -> None:
    mine = tmp_path / "out" / "images" / "mine.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"jpeg")
    with pytest.raises(DeployError, match="choose another --out"):
        attempt(tmp_path, photos=mine.parent)
    with pytest.raises(DeployError, match="not made by"):
        attempt(tmp_path)
    assert mine.exists()


def test_with_a_kafka_of_others_all_names_are_those_of_the_run_and_are_removed(
    tmp_path: Path, no_services: list[list[str]]
) -> None:
    with pytest.raises(Started):
        attempt(tmp_path, bootstrap="prod:9092")
    choice = NoStack.choice
    assert choice is not None
    assert set(choice.topics).isdisjoint(wanted_topics(1))
    usual = ConsumerSettings()
    told = {name.removeprefix("VITRINE_CONSUMERS_"): value for name, value in choice.consumers_env.items()}
    assert told["GROUP"] != usual.group
    retries = told["RETRY_TOPICS"].split(",")
    assert {told["TOPICS"], told["RESULTS_TOPIC"], told["DEAD_TOPIC"], *retries} == set(choice.topics)
    assert no_services == [list(choice.topics)]


def test_two_runs_share_no_name() -> None:
    one, other = Names.of_run("a", 3), Names.of_run("b", 3)
    assert {one.group, *one.topics}.isdisjoint({other.group, *other.topics})
    assert [topic_name(name) for name in one.topics] == list(one.topics)


def test_worker_and_reader_use_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in (Names.of_run("a", 3), Names.usual(3)):
        with monkeypatch.context() as patch:
            for name, value in names.environment().items():
                patch.setenv(name, value)
            worker = ConsumerSettings()
        assert worker == names.settings(ConsumerSettings())
        assert names.events in worker.topics
        assert set(worker.topics).isdisjoint(worker.retry_topics)


@pytest.mark.parametrize("name", ["bad topic!", "", ".", "..", "x" * 250, "ümlaut"])
def test_names_that_kafka_refuses(name: str) -> None:
    with pytest.raises(DeployError, match="no name for a topic"):
        topic_name(name)
