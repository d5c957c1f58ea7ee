"""Ray gets a second and a third chance to start."""

from typing import Any

import pytest

from deploy.services import serve_host


class FakeRay:
    """Fails so many times, then starts."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.story: list[str] = []

    def init(self, **_: Any) -> None:
        self.story.append("init")
        if self.story.count("init") <= self.failures:
            raise Exception("The current node timed out during startup.")  # noqa: TRY002 - as Ray does

    def shutdown(self) -> None:
        self.story.append("shutdown")


def test_a_slow_ray_is_started_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ray = FakeRay(failures=2)
    monkeypatch.setattr(serve_host, "ray", ray)
    serve_host.start_ray("/tmp/unused", attempts=3)
    assert ray.story == ["init", "shutdown", "init", "shutdown", "init"]
    assert "attempt 2 of 3): The current node timed out" in capsys.readouterr().out


def test_a_ray_that_never_starts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(failures=9)
    monkeypatch.setattr(serve_host, "ray", ray)
    with pytest.raises(Exception, match="timed out"):
        serve_host.start_ray("/tmp/unused", attempts=2)
    assert ray.story.count("init") == 2


def test_deploying_again_hands_the_config_over_and_survives_a_bad_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[list[str]] = []

    def cli(arguments: list[str]) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise ValueError("no such field")
        raise SystemExit(0)

    monkeypatch.setattr(serve_host, "cli", cli)
    serve_host.deploy_again("serve.yaml")
    serve_host.deploy_again("serve.yaml")
    assert calls == [["run", "--non-blocking", "serve.yaml"]] * 2
    assert "was not deployed again: no such field" in capsys.readouterr().out
