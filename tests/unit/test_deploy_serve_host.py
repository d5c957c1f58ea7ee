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
