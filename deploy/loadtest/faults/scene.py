"""What faults act on, as protocols, so that a conductor can be tried without a single process."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, Protocol

from deploy.errors import DeployError
from deploy.loadtest.proxy.toxics import Toxic


class Part(StrEnum):
    """What a fault disturbs."""

    CONSUMERS = "consumers"
    #: Three of them: with one there is no Kafka while it is away.
    BROKERS = "brokers"
    SERVE = "serve"
    STORE = "store"


class Crew(Protocol):
    """The consumers, by name."""

    def working(self) -> Sequence[str]:
        """Those that run and were not asked to stop."""
        ...

    def start(self) -> str:
        """Start one more; its name."""
        ...

    def kill(self, name: str) -> None:
        """SIGKILL."""
        ...

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        ...

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        ...

    def ask_to_stop(self, name: str) -> None:
        """SIGTERM, without waiting."""
        ...


class Brokers(Protocol):
    """The nodes of a Kafka cluster."""

    def nodes(self) -> Sequence[int]:
        """Their numbers."""
        ...

    def kill(self, node: int) -> None:
        """SIGKILL."""
        ...

    def restart(self, node: int) -> None:
        """Bring a killed one back and wait until all copies of all partitions are in sync."""
        ...

    def freeze(self, node: int) -> None:
        """SIGSTOP."""
        ...

    def thaw(self, node: int) -> None:
        """SIGCONT, and wait until all copies of all partitions are in sync."""
        ...

    def group_coordinator(self) -> int:
        """The node that coordinates the consumers' group."""
        ...

    def move_group_coordinator(self) -> str:
        """Give that office to another node while all run; say what was done."""
        ...

    def transaction_coordinator(self) -> int:
        """The node that coordinates the transactions of one of the consumers."""
        ...


class Serving(Protocol):
    """Ray Serve."""

    def replicas(self) -> Sequence[int]:
        """Process ids of the Studio replicas."""
        ...

    def kill_replica(self, pid: int) -> None:
        """SIGKILL."""
        ...

    def freeze_replica(self, pid: int) -> None:
        """SIGSTOP."""
        ...

    def thaw_replica(self, pid: int) -> None:
        """SIGCONT, if Serve has not replaced it meanwhile."""
        ...

    def redeploy(self) -> None:
        """Replace all replicas by new ones, one after the other; returns at once."""
        ...

    def settle(self) -> None:
        """Wait until it has as many replicas as it should, a bounded time."""
        ...


class StoreLine(Protocol):
    """The door of the object store."""

    def disable(self) -> None:
        """Refuse connections and cut those that are open."""
        ...

    def add(self, toxic: Toxic) -> None:
        """Put a toxic on."""
        ...

    def deny(self) -> None:
        """Answer every request with 403, as a store whose keys have changed."""
        ...

    def throttle(self) -> None:
        """Answer every request with 503 SlowDown, as a store that has too much to do."""
        ...

    def reset(self) -> None:
        """All as it should be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All of it."""

    crew: Crew
    brokers: Brokers
    serving: Serving
    store: StoreLine
    session_timeout_s: float


class _Absent:
    def __init__(self, part: Part) -> None:
        self._part = part

    def __getattr__(self, name: str) -> NoReturn:
        raise DeployError(f"this run has no {self._part} that could be disturbed")


def absent(part: Part) -> Any:
    """Stands for a part that a run does not have; `DeployError` for whoever disturbs it."""
    return _Absent(part)
