"""What the door makes of Serve's own status."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from serve.app.arguments import AppArgs
from serve.app.gateway import StudioGateway
from serve.app.replicas import Replicas
from serve.errors import Overloaded, ReplicaLost

HEALTHY, UPDATING, UNHEALTHY = "HEALTHY", "UPDATING", "UNHEALTHY"


class Studio:
    """Handles of replicas that find nothing wrong."""

    def __init__(self) -> None:
        self.asked = 0

    @property
    def check(self) -> Any:
        return self

    def remote(self) -> Any:
        self.asked += 1
        return asyncio.sleep(0)


def gateway(monkeypatch: pytest.MonkeyPatch, studio: Studio, **deployments: Any) -> StudioGateway:
    """A door whose Serve says so: deployment -> (its status, replicas by state)."""
    told = {
        name: SimpleNamespace(status=status, replica_states=states) for name, (status, states) in deployments.items()
    }
    applications = {"app": SimpleNamespace(deployments=told)} if deployments else {}
    monkeypatch.setattr("serve.app.replicas.serve.status", lambda: SimpleNamespace(applications=applications))
    args = AppArgs.model_validate({"events_per_replica": 5, "placement": "staged" if len(deployments) > 1 else "fused"})
    hosts = [name for name in deployments if name != "Studio"]
    return StudioGateway(studio, args, Replicas("app", hosts, ttl_s=30))  # type: ignore[arg-type]


def test_capacity_counts_studios_that_run_or_take_a_new_configuration_and_no_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = {"RUNNING": 2, "UPDATING": 1, "STARTING": 4, "STOPPING": 1}
    door = gateway(monkeypatch, Studio(), Studio=(UPDATING, states), Styles=(HEALTHY, {"RUNNING": 9}))
    told = asyncio.run(door.capacity())
    assert (told.replicas, told.max_in_flight) == (3, 15)


def test_what_was_never_seen_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Overloaded, match="not known yet"):
        asyncio.run(gateway(monkeypatch, Studio()).capacity())


def test_ready_needs_every_stage_to_have_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    door = gateway(
        monkeypatch, studio, Studio=(HEALTHY, {"RUNNING": 1}), Styles=(UNHEALTHY, {"STARTING": 1}), Cut=(HEALTHY, {})
    )
    with pytest.raises(ReplicaLost, match=r"No replica of Styles is up"):
        asyncio.run(door.check())
    assert studio.asked == 0


def test_ready_asks_a_studio_but_wakes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    asyncio.run(gateway(monkeypatch, studio, Studio=(HEALTHY, {"RUNNING": 1})).check())
    assert studio.asked == 1
    asyncio.run(gateway(monkeypatch, studio, Studio=(HEALTHY, {})).check())
    assert studio.asked == 1
