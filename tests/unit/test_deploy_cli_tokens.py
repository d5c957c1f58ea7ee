"""`vitrine tokens`: made once, shown once, kept as a hash."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.errors import DeployError
from serve.doors.register_file import RegisterFile
from serve.doors.tokens import Right, parse_register

runner = CliRunner()


def told(*arguments: str) -> str:
    result = runner.invoke(app, ["tokens", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITRINE_SERVE_DOOR_TOKENS", str(tmp_path / "deep" / "tokens.yaml"))
    return tmp_path / "deep" / "tokens.yaml"


def test_a_token_is_shown_once_and_opens_the_door(file: Path) -> None:
    secret = told("new", "shop", "--rights", "enrich,preview", "--tenants", "acme, globex", "--days", "1").strip()
    text = file.read_text()
    assert secret not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = parse_register(text).find(secret, datetime.now(UTC))
    assert token is not None
    assert (token.name, token.rights) == ("shop", {Right.ENRICH, Right.PREVIEW})
    assert token.tenants == {"acme", "globex"}
    assert token.expires is not None
    shown = told("list", "--json")
    assert [one["name"] for one in json.loads(shown)] == ["shop"]
    assert token.sha256 not in shown + told("list")


def test_a_door_that_runs_takes_new_ones_and_drops_revoked_ones(file: Path) -> None:
    now = 0.0
    first = json.loads(told("new", "first", "--json"))["token"]
    door = RegisterFile(file, clock=lambda: now)
    second = told("new", "second").strip()
    now += 2
    assert door.current().find(second, datetime.now(UTC)) is not None
    told("revoke", "first")
    now += 2
    assert door.current().find(first, datetime.now(UTC)) is None
    assert door.current().find(second, datetime.now(UTC)) is not None


def test_rights_that_somebody_gave_the_file_stay(file: Path) -> None:
    told("new", "first")
    file.chmod(0o640)
    told("new", "second")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("new", "first"), "already"),
        (("new", "x", "--rights", "everything"), "rights"),
        (("new", "x", "--rights", ","), "rights"),
        (("new", "x", "--tenants", "../acme"), "tenants"),
        (("new", "Not A Name"), "name"),
        (("revoke", "nobody"), "no token 'nobody'; it has: first"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(arguments: tuple[str, ...], reason: str, file: Path) -> None:
    told("new", "first")
    before = file.read_bytes()
    with pytest.raises(DeployError, match=reason):
        runner.invoke(app, ["tokens", *arguments], catch_exceptions=False)
    assert file.read_bytes() == before


def test_without_a_file_it_is_asked_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VITRINE_SERVE_DOOR_TOKENS", raising=False)
    with pytest.raises(DeployError, match="VITRINE_SERVE_DOOR_TOKENS"):
        runner.invoke(app, ["tokens", "new", "x"], catch_exceptions=False)
    for text in ("tokens: {", "\xff"):
        broken = tmp_path / "broken.yaml"
        broken.write_text(text, encoding="latin-1")
        with pytest.raises(DeployError, match=r"broken\.yaml"):
            runner.invoke(app, ["tokens", "list", "--file", str(broken)], catch_exceptions=False)
    with pytest.raises(DeployError, match="makes it"):
        runner.invoke(app, ["tokens", "list", "--file", str(tmp_path / "none")], catch_exceptions=False)
