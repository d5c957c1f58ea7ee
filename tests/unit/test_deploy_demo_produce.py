"""`vitrine produce`, `tail` and `consume`: what happens before and around Kafka."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.cli import app, produce, tail
from deploy.demo.reading import dead_letter_of
from deploy.demo.validation import read_lines
from deploy.errors import DeployError
from deploy.services.connection import settings_for
from deploy.services.interface import Endpoints
from serve.schemas.result import Position
from tests.support.demo_run import planned, position

runner = CliRunner()


class Broker:
    """Takes the place of `EventSender`."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def __call__(self, settings: Any, topic: str) -> "Broker":
        self.topic = topic
        return self

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, message: Any) -> Any:
        self.taken.append(message)
        offset = len(self.taken) - 1

        class Receipt:
            def position(self) -> Position:
                return position(offset)

        return Receipt()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(produce, "EventSender", broker)
    monkeypatch.setattr(produce, "require_kafka", lambda *_: None)
    return broker


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Two good lines, a blank one, a cut one, one of an unknown type."""
    good, bad = planned(2)[:2], planned(2)[-2:]
    lines = [good[0].message.value, b"", good[1].message.value, *(event.message.value for event in bad)]
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(line or b"" for line in lines) + b"\n")
    return path


def test_lines_are_judged_as_the_worker_judges(events: Path) -> None:
    lines = list(read_lines(events.read_bytes().splitlines(keepends=True)))
    assert [(line.number, line.code) for line in lines] == [
        (1, None),
        (3, None),
        (4, "invalid_json"),
        (5, "unknown_event_type"),
    ]
    assert [line.message.key for line in lines[:2]] == [b"demo:listing-001", b"demo:listing-002"]


def test_produce_sends_good_lines_and_reports_the_others(events: Path, broker: Broker) -> None:
    done = runner.invoke(app, ["produce", str(events), "--topic", "t", "--bootstrap", "b:1", "--json"])
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert [line["line"] for line in answer["sent"]] == [1, 3]
    assert [(line["line"], line["code"]) for line in answer["invalid"]] == [
        (4, "invalid_json"),
        (5, "unknown_event_type"),
    ]
    assert (len(broker.taken), broker.topic) == (2, "t")


def test_produce_raw_sends_every_line(events: Path, broker: Broker) -> None:
    done = runner.invoke(app, ["produce", str(events), "--raw", "--bootstrap", "b:1"])
    assert done.exit_code == 0
    assert [message.value for message in broker.taken] == [line for line in events.read_bytes().splitlines() if line]


def test_produce_reads_standard_input(events: Path, broker: Broker) -> None:
    first = events.read_bytes().splitlines()[0]
    done = runner.invoke(app, ["produce", "-", "--bootstrap", "b:1"], input=first)
    assert done.exit_code == 0, done.output
    assert "1 events sent" in done.stdout


def test_produce_says_that_the_file_is_missing(tmp_path: Path) -> None:
    done = runner.invoke(app, ["produce", str(tmp_path / "none.ndjson"), "--bootstrap", "b:1"])
    assert isinstance(done.exception, DeployError)
    assert "cannot be read" in str(done.exception)


def test_tail_looks_for_kafka_no_longer_than_it_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(tail, "require_kafka", lambda _settings, seconds: asked.append(seconds))
    monkeypatch.setattr(tail, "read", lambda *_args, **_options: iter(()))
    for options in (["--timeout", "3"], ["--timeout", "300"], []):
        runner.invoke(app, ["tail", "--bootstrap", "b:1", *options])
    assert asked == [3, 10, 10]


def test_tail_fails_when_too_few_results_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "require_kafka", lambda *_: None)
    monkeypatch.setattr(tail, "read", lambda *_args, **_options: iter(()))
    done = runner.invoke(app, ["tail", "--until", "2", "--timeout", "1", "--bootstrap", "b:1"])
    assert done.exit_code == 1
    assert done.stdout == ""


def test_settings_for_an_embedded_kafka() -> None:
    endpoints = Endpoints(bootstrap="127.0.0.1:5", kafka_api_version=(2, 3), serve_url="http://127.0.0.1:6")
    settings = settings_for(endpoints)
    assert settings.serve_url == "http://127.0.0.1:6"
    assert settings.client()["bootstrap_servers"] == ["127.0.0.1:5"]
    assert settings.client()["api_version"] == (2, 3)


def test_dead_letters_are_known_by_their_headers() -> None:
    headers = [
        ("content-type", b"application/json"),
        ("vitrine-original-topic", b"listings.new"),
        ("vitrine-original-partition", b"2"),
        ("vitrine-original-offset", b"17"),
        ("vitrine-error-code", b"invalid_json"),
        ("vitrine-error-message", b"not JSON"),
    ]
    letter = dead_letter_of(b"{", headers)
    assert letter is not None
    assert letter.position == position(17, partition=2)
    assert (letter.code, letter.message, letter.value, letter.event_id) == ("invalid_json", "not JSON", b"{", None)
    assert dead_letter_of(b"{", headers[:2]) is None
