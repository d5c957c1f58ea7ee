"""The command line as programs and people meet it: errors in one line, JSON that holds, paths as they are."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import deploy.cli
from consumers.settings import ConsumerSettings
from deploy.cli import app
from deploy.cli.connection import consumer_settings
from deploy.cli.style_names import style_names
from deploy.errors import ServiceFailed
from deploy.services.interface import Endpoints
from deploy.services.kafka_topics import require_kafka
from deploy.services.processes import ProcessRecord, start_mark
from deploy.services.state import StackState, StateFile
from serve.settings import ServeSettings

runner = CliRunner()
WHITE = "recipe: r\nversion: 1\ndescription: x\nvariants: [{name: w, operations: [{op: studio}]}]\n"


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITRINE_DEPLOY_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `vitrine` as the console script runs it."""
    monkeypatch.setattr(sys, "argv", ["vitrine", *arguments])
    monkeypatch.setattr(deploy.cli.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        deploy.cli.main()
    code = ended.value.code
    assert isinstance(code, int)
    return code


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.splitlines()


@pytest.mark.parametrize("command", [["recipes", "show", "nope"], ["doctor"], ["topics", "--bootstrap", "b:1"]])
def test_a_wrong_setting_of_ours_never_ends_in_a_stack(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITRINE_DEPLOY_PARTITIONS", "abc")
    monkeypatch.setenv("VITRINE_DEPLOY_DEBUG", "perhaps")
    assert typed(monkeypatch, *command) in {1, 2}
    lines = said(capsys)
    assert all(line.startswith("error: ") for line in lines)
    if command[0] == "recipes":
        assert "there is no 'nope'" in lines[0]


def test_each_wrong_setting_is_a_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITRINE_DEPLOY_PARTITIONS", "abc")
    monkeypatch.setenv("VITRINE_DEPLOY_STOP_TIMEOUT_S", "-1")
    assert typed(monkeypatch, "down") == 2
    assert [line.split(": ")[1] for line in said(capsys)] == [
        "VITRINE_DEPLOY_PARTITIONS",
        "VITRINE_DEPLOY_STOP_TIMEOUT_S",
    ]
    monkeypatch.undo()
    monkeypatch.setenv("VITRINE_CONSUMERS_WINDOW", "x")
    assert typed(monkeypatch, "tail", "--until", "1") == 2
    assert said(capsys)[0].startswith("error: VITRINE_CONSUMERS_WINDOW: ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (
            ["up", "--endpoint", "nonsense", "--kafka", "none", "--no-serve", "--consumers", "1"],
            "'nonsense' is no address",
        ),
        (["status", "--state", "FILE"], "FILE"),
        (["down", "--state", "FILE"], "FILE"),
        (["up", "--state", "FILE"], "FILE"),
        (["up", "--kafka", "none", "--store", "none", "--no-serve"], "nothing to start"),
        (["produce", "FILE", "--topic", "bad topic!"], "no name for a topic"),
        (["demo", "--out", "FILE"], "cannot be used"),
        (["demo", "--photos", "/nonexistent[b]", "--json"], "/nonexistent[b]"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("")
    assert typed(monkeypatch, *arguments) == 1
    line = said(capsys)[-1]
    assert line.startswith("error: ")
    assert word in line


def test_a_port_that_does_not_exist_is_refused() -> None:
    done = runner.invoke(app, ["up", "--serve-port", "99999999"])
    assert done.exit_code == 2
    assert "65535" in done.output


def test_nothing_running_is_told_with_the_path_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]c"
    status = runner.invoke(app, ["status", "--state", str(folder)])
    assert status.exit_code == 1
    assert "a[b]c" in status.stdout
    down = runner.invoke(app, ["down", "--state", str(folder), "--json"])
    assert json.loads(down.stdout) == {"stopped": [], "purged": False}


def test_a_state_without_services_is_not_healthy(state_folder: Path) -> None:
    StateFile(state_folder).write(StackState(endpoints=Endpoints(), processes=[]))
    status = runner.invoke(app, ["status", "--json"])
    assert status.exit_code == 1
    assert json.loads(status.stdout)["running"] is False


@pytest.fixture
def stranger(state_folder: Path) -> Any:
    """A state file of a running stack."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = ProcessRecord(name="kafka", pid=process.pid, started=start_mark(process.pid) or "")
    here = Endpoints(bootstrap="state:1", kafka_api_version=(2, 3), serve_url="http://state:2")
    StateFile(state_folder).write(StackState(endpoints=here, processes=[record]))
    yield process
    process.kill()
    process.wait()


@pytest.mark.usefixtures("stranger")
def test_option_goes_before_environment_before_state_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(option: str | None = None) -> tuple[str, str | None, str]:
        settings = consumer_settings(option, None)
        return settings.bootstrap, settings.api_version, settings.serve_url

    assert found() == ("state:1", "2.3", "http://state:2")
    monkeypatch.setenv("VITRINE_CONSUMERS_SERVE_URL", "http://own:2")
    assert found() == ("state:1", "2.3", "http://own:2")
    monkeypatch.setenv("VITRINE_CONSUMERS_BOOTSTRAP", "own:1")
    assert found() == ("own:1", None, "http://own:2")
    assert found("option:1")[:2] == ("option:1", None)


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:1", "127.0.0.1:port"])
def test_a_kafka_out_of_reach_is_told_with_what_to_do(bootstrap: str) -> None:
    with pytest.raises(ServiceFailed, match=r"cannot be reached within 0\.2 s.*--bootstrap"):
        require_kafka(ConsumerSettings(bootstrap=bootstrap), 0.2)


def validated(kind: str, *files: Path) -> tuple[int, list[tuple[str, str, str]]]:
    done = runner.invoke(app, [kind, "validate", *map(str, files), "--json"])
    answer = json.loads(done.stdout)
    return done.exit_code, [(Path(one["file"]).name, one["path"], one["reason"]) for one in answer["faults"]]


def write(folder: Path, files: dict[str, str]) -> Sequence[Path]:
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    files = write(tmp_path, {"deep.yaml": "[" * 5000, "twice.yaml": WHITE + "version: 2\n", "ok.yaml": WHITE})
    code, faults = validated("recipes", *files)
    assert code == 1
    assert [file for file, _, _ in faults] == ["deep.yaml", "twice.yaml"]


def test_names_of_channels_and_styles_are_checked(tmp_path: Path) -> None:
    variants = "variants: [{name: v, channels: [nowhere], operations: [{op: studio}, {op: style, style: none_such}]}]\n"
    files = write(tmp_path, {"r.yaml": WHITE.partition("variants")[0] + variants})
    code, faults = validated("recipes", *files)
    assert code == 1
    assert [path for _, path, _ in faults] == ["variants[0].channels[0]", "variants[0].operations[1].style"]


def test_style_names_are_those_of_the_bundled_net() -> None:
    assert "oil" in style_names(ServeSettings())


def test_without_files_the_catalog_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert validated("recipes") == (0, [])
    (tmp_path / "recipes").mkdir()
    write(tmp_path / "recipes", {"r.yaml": WHITE.replace("studio", "nonsense")})
    monkeypatch.setenv("VITRINE_SERVE_CATALOG_DIR", str(tmp_path))
    code, faults = validated("channels")
    assert (code, faults[0][0]) == (1, "r.yaml")


@pytest.mark.parametrize("kind", ["recipes", "channels"])
def test_what_list_shows_can_be_shown(kind: str) -> None:
    items = json.loads(runner.invoke(app, [kind, "list", "--json"]).stdout)
    first = items[0]
    assert isinstance(first["version"], int)
    assert kind == "channels" or first["variants"] > 0
    for name in (first["name"], f"{first['name']}@{first['version']}"):
        assert runner.invoke(app, [kind, "show", name, "--json"]).exit_code == 0
    assert runner.invoke(app, [kind, "show", f"{first['name']}@999"]).exit_code == 1
    assert f"{first['name']}@{first['version']}" in runner.invoke(app, [kind, "list"]).stdout
