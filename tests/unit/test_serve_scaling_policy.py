"""The policy as Serve calls it: what it answers, that it never waits or raises, and that its thread ends with it."""

import gc
import inspect
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ray.serve import config

from serve.scaling.figures import Figures
from serve.scaling.policy import BacklogPolicy
from serve.scaling.settings import ScalingSettings, WrongSettings
from serve.scaling.watch import Watch

ROOT = Path(__file__).parents[2]
GIVEN = {"metrics_urls": ["http://127.0.0.1:1/metrics"], "events_per_s": 1.0, "hold_s": 10, "idle_s": 20}


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray keeps what is logged below its own loggers to itself, once it is loaded."""
    log = logging.getLogger("ray.serve.scaling")
    monkeypatch.setattr(log, "propagate", False)
    log.addHandler(caplog.handler)
    yield
    log.removeHandler(caplog.handler)


class FakeWatch:
    """What was seen is what the test says."""

    def __init__(self, settings: ScalingSettings, cluster: object, *, clock: object) -> None:
        self.settings, self.cluster, self.clock = settings, cluster, clock
        self.figures: Figures | None = None
        self.room: int | None = None
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False


class Stage:
    """A policy with a clock and figures of the test's."""

    def __init__(self, **given: Any) -> None:
        self.now = 0.0
        self.watches: list[FakeWatch] = []

        def watch(*args: Any, **named: Any) -> FakeWatch:
            self.watches.append(FakeWatch(*args, **named))
            return self.watches[-1]

        self.policy = BacklogPolicy(clock=lambda: self.now, watch=watch, **{**GIVEN, **given})

    def ask(self, target: int, *, running: int | None = None, ongoing: float = 0.0) -> int:
        ctx = SimpleNamespace(
            current_num_replicas=target if running is None else running,
            target_num_replicas=target,
            capacity_adjusted_min_replicas=0,
            capacity_adjusted_max_replicas=10,
            total_num_requests=ongoing,
        )
        replicas, state = self.policy(ctx)
        assert state == {}
        return replicas

    def see(self, **figures: float) -> None:
        self.watches[0].figures = Figures(at=self.now, **{"backlog": 0.0, **figures})


def test_it_follows_what_was_seen_within_serves_bounds() -> None:
    stage = Stage()
    stage.see(backlog=600)
    assert stage.ask(1) == 2
    stage.see(backlog=1e9)
    assert stage.ask(2) == 10
    stage.watches[0].room = 4
    assert stage.ask(2) == 4


def test_it_goes_to_none_when_there_is_nothing_to_do_and_nobody_asks() -> None:
    stage = Stage()
    wanted = []
    for _ in range(30):
        stage.see()
        wanted.append(stage.ask(1, ongoing=0.1))
        stage.now += 1.0
    assert wanted[0] == 1
    assert wanted[-1] == 0
    assert stage.ask(1, ongoing=2.0) == 1


def test_without_figures_the_number_stays_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    for _ in range(100):
        assert stage.ask(7) == 7
        stage.now += 0.1
    stage.see(backlog=1)
    stage.now += 1000
    assert stage.ask(3) == 3
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the number of replicas stays: the figures are stale (there have never been any)",
        "the number of replicas stays: the figures are stale (they are 1000 s old)",
    ]
    stage.see()
    stage.ask(3)
    assert caplog.records[-1].getMessage() == "scaling goes on"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"events_per_s": 0}, "events_per_s"),
        ({"metrics_urls": ["worker:9100"]}, "metrics_urls.0"),
        ({"metrics_urls": []}, "either metrics_urls or prometheus_url"),
        ({"prometheus_url": "http://p:9090"}, "not both"),
        ({"drain": 5}, "drain: Extra inputs"),
        ({"stale_s": 5}, "stale_s must be longer"),
        ({"forget_s": 20}, "forget_s must not be shorter"),
        ({"replica_needs": {"GPU": 0}}, "replica_needs.GPU"),
        ({"look_every_s": "often"}, "look_every_s"),
    ],
)
def test_wrong_settings_are_named_and_the_number_stays(
    given: dict[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WrongSettings, match="policy_kwargs") as raised:
        ScalingSettings.read({**GIVEN, **given})
    assert problem in str(raised.value)
    stage = Stage(**given)
    assert stage.watches == []
    assert stage.ask(5) == 5
    assert problem in caplog.text


def test_a_defect_here_never_reaches_serve(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.watches[0].figures = "no figures"  # type: ignore[assignment]
    for _ in range(50):
        assert stage.ask(4) == 4
    assert len(caplog.records) == 1


def test_it_answers_at_once_while_the_workers_hang() -> None:
    hung = threading.Event()

    class Hanging:
        async def look(self) -> Figures:
            hung.set()
            time.sleep(30)  # noqa: ASYNC251 - the worst that a source can do
            raise AssertionError

    def watch(settings: ScalingSettings, cluster: Any, **named: Any) -> Watch:
        return Watch(settings, cluster, source=lambda *_: Hanging(), **named)

    policy = BacklogPolicy(watch=watch, **GIVEN)
    assert hung.wait(10)
    ctx = SimpleNamespace(
        current_num_replicas=2,
        target_num_replicas=2,
        capacity_adjusted_min_replicas=0,
        capacity_adjusted_max_replicas=10,
        total_num_requests=0.0,
    )
    for _ in range(1000):
        assert policy(ctx) == (2, {})
    assert any(thread.name == "scaling-watch" for thread in threading.enumerate())


def test_its_thread_ends_with_it() -> None:
    kept: list[Watch] = []

    def watch(*args: Any, **named: Any) -> Watch:
        kept.append(Watch(*args, **named))
        return kept[0]

    policy = BacklogPolicy(watch=watch, **{**GIVEN, "look_every_s": 0.2})
    assert not kept[0].join(0.5)
    del policy
    gc.collect()
    assert kept[0].join(10)


def test_the_class_that_serve_is_told_of_travels_and_knows_the_cluster() -> None:
    policy = config.AutoscalingPolicy(
        policy_function="serve.app.autoscaling:ByBacklog", policy_kwargs=json.loads(json.dumps(GIVEN))
    )
    found = policy.get_policy()
    assert inspect.isclass(found)
    assert found.__mro__[1] is BacklogPolicy
    made = found(**policy.policy_kwargs)
    assert made._watch._cluster.__name__ == "cluster_resources"
    made._watch.stop()


def test_the_example_in_the_configuration_can_be_used() -> None:
    """What stands as a comment in deploy/serve.yaml is a right configuration once the marks are taken away."""
    lines = (ROOT / "deploy/serve.yaml").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.strip() == "# autoscaling_config:")
    end = next(n for n in range(start, len(lines)) if not lines[n].strip().startswith("#"))
    found = yaml.safe_load("\n".join(line.replace("# ", "", 1) for line in lines[start:end]))["autoscaling_config"]
    parsed = config.AutoscalingConfig(**found)
    settings = ScalingSettings.read(parsed.policy.policy_kwargs)
    assert settings.metrics_urls
    assert (parsed.upscale_delay_s, parsed.downscale_delay_s, parsed.downscale_to_zero_delay_s) == (0, 0, 0)
