"""`vitrine up`, `status`, `topics` and `down`, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.services.processes import start_mark
from deploy.services.state import StateFile
from tests.support.servers import unique

PROGRAM = str(Path(sys.executable).with_name("vitrine"))
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def vitrine(tmp_path: Path) -> Iterator[Run]:
    env = {**os.environ, "VITRINE_DEPLOY_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1", "COLUMNS": "200"}

    def run(*arguments: str, **consumers: str) -> subprocess.CompletedProcess[str]:
        own = {f"VITRINE_CONSUMERS_{name}": value for name, value in consumers.items()}
        return subprocess.run(
            [PROGRAM, *arguments], env={**env, **own}, capture_output=True, text=True, timeout=180, check=False
        )

    yield run
    if (tmp_path / "state").exists():
        run("down")


def answer(result: subprocess.CompletedProcess[str]) -> Any:
    assert not result.stderr.startswith("error"), result.stderr
    return json.loads(result.stdout)


def test_up_status_topics_down(vitrine: Run, tmp_path: Path) -> None:
    up = vitrine("up", "--no-serve", "--json")
    assert up.returncode == 0, up.stderr
    told = answer(up)
    assert told["environment"]["VITRINE_CONSUMERS_BOOTSTRAP"] == told["endpoints"]["kafka"]
    assert told["environment"]["VITRINE_SERVE_S3_ENDPOINT"] == told["endpoints"]["s3_endpoint"]

    status = answer(vitrine("status", "--json"))
    assert status["running"]
    assert [service["name"] for service in status["services"]] == ["kafka", "store"]
    pids = [service["pid"] for service in status["services"]]
    assert all(start_mark(pid) for pid in pids)

    topics = {topic["topic"]: topic for topic in answer(vitrine("topics", "--json"))}
    assert topics["listings.new"]["found"] == topics["listings.new"]["wanted"] == 6
    assert topics["listings.dead"]["found"] == 1

    again = vitrine("up", "--no-serve")
    assert again.returncode == 1
    assert "vitrine down" in again.stderr
    assert "Traceback" not in again.stderr

    assert vitrine("down", "--purge").returncode == 0
    assert not any(start_mark(pid) for pid in pids)
    assert vitrine("status", "--json").returncode == 1
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["lock"]


def test_a_dead_service_is_reported(vitrine: Run) -> None:
    assert vitrine("up", "--no-serve").returncode == 0
    kafka = answer(vitrine("status", "--json"))["services"][0]
    os.kill(kafka["pid"], signal.SIGKILL)
    while start_mark(kafka["pid"]):
        time.sleep(0.02)
    status = vitrine("status", "--json")
    assert status.returncode == 1
    assert [service["running"] for service in json.loads(status.stdout)["services"]] == [False, True]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_up_leaves_nothing_running(tmp_path: Path, number: signal.Signals, code: int) -> None:
    state = tmp_path / "state"
    command = [PROGRAM, "up", "--no-serve", "--state", str(state)]
    up = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert up.stderr is not None
    told = []
    for line in up.stderr:
        told.append(line.strip())
        if line.startswith("store starting"):
            up.send_signal(number)
    assert up.wait(60) == code
    assert told[-2:] == ["kafka stopping", "kafka stopped"]
    assert StateFile(state).read() is None
    assert not running_with(str(state))


def running_with(text: str) -> list[int]:
    """Processes that name `text` in their command or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in told:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--brokers", "3"], "three brokers need the real Kafka"),
        (["topics", "--bootstrap", "127.0.0.1:1"], "127.0.0.1:1"),
        (["recipes", "show", "nothing"], "there is no 'nothing'"),
        (["recipes", "validate", "/nonexistent.yaml"], "/nonexistent.yaml"),
    ],
)
def test_errors_are_one_line_and_a_code(vitrine: Run, arguments: list[str], message: str) -> None:
    result = vitrine(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_doctor_tells_what_is_ready(vitrine: Run) -> None:
    told = json.loads(vitrine("doctor", "--json").stdout)
    assert set(told["ready"]) == {"embedded demo", "--kafka real", "--store real"}
    assert all(check["ok"] or check["remedy"] for check in told["checks"])


@pytest.mark.real
def test_topics_are_made_and_checked_on_the_real_kafka(vitrine: Run, real_kafka: str) -> None:
    names = {"TOPICS": unique("new"), "RESULTS_TOPIC": unique("enriched"), "DEAD_TOPIC": unique("dead")}
    names["RETRY_TOPICS"] = f"{unique('retry')}.30s"
    here = ("--bootstrap", real_kafka)
    before = vitrine("topics", *here, "--json", **names)
    assert before.returncode == 1
    assert {topic["problem"] for topic in answer(before)} == {"missing"}
    created = vitrine("topics", *here, "--create", "--partitions", "2", **names)
    assert created.returncode == 0, created.stderr
    assert sorted(created.stderr.split()[::2]) == sorted(names.values())
    after = answer(vitrine("topics", *here, "--partitions", "2", "--json", **names))
    assert {topic["topic"]: topic["found"] for topic in after} == {
        names["TOPICS"]: 2,
        names["RESULTS_TOPIC"]: 2,
        names["RETRY_TOPICS"]: 2,
        names["DEAD_TOPIC"]: 1,
    }
    too_small = vitrine("topics", *here, "--create", "--partitions", "3", **names)
    assert too_small.returncode == 1
    assert "2 partitions, 3 wanted" in too_small.stdout
