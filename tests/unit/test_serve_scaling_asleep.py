"""Which state of Serve counts as scaled to zero."""

from types import SimpleNamespace

import pytest

from serve.app import replicas


@pytest.mark.parametrize(
    ("states", "status", "asleep"),
    [
        ({}, "HEALTHY", True),
        ({"STOPPING": 2}, "DOWNSCALING", True),
        ({"STOPPING": 1}, "HEALTHY", True),
        ({}, "UPDATING", False),
        ({"STOPPING": 1}, "UPDATING", False),
        ({"STARTING": 1}, "UPSCALING", False),
        ({"STARTING": 1}, "HEALTHY", False),
        ({"RUNNING": 1}, "HEALTHY", False),
        ({"RUNNING": 1, "STOPPING": 1}, "DOWNSCALING", False),
        ({}, "UNHEALTHY", False),
    ],
)
def test_asleep_is_without_replicas_on_purpose(states: dict[str, int], status: str, asleep: bool) -> None:
    assert replicas._is_asleep(SimpleNamespace(replica_states=states, status=status)) is asleep
