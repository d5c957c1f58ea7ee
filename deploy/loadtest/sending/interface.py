"""What the child processes of a run are told, and the ways of events into the system."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.loadtest.options import DriverKind
from deploy.loadtest.workload.planned import Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSpec:
    """What a generator process is told. Of `shards` generators number `shard` sends the listings that fall to it."""

    driver: DriverKind
    schedule: Path
    #: `VITRINE_CONSUMERS_*`, with the in-process driver also `VITRINE_SERVE_*`.
    env: Mapping[str, str] = field(default_factory=dict)
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSpec:
    """What a receiver process is told."""

    #: `VITRINE_CONSUMERS_*`.
    env: Mapping[str, str] = field(default_factory=dict)
    #: Results of events whose id begins otherwise are those of somebody else; empty lets all through.
    namespace: str = ""


class Driver(Protocol):
    """One way for events into the system. It lives in the generator's process and reports what becomes of them."""

    def warm(self) -> None:
        """Connect, so that the first event finds everything open; raise `ServiceFailed` where that cannot be."""
        ...

    def send(self, event: Planned) -> None:
        """Send the event and report `Sent`; never waits, never raises. Called from one thread, the pacer's."""
        ...

    @property
    def pending(self) -> int:
        """Events that are neither out nor given up."""
        ...

    def close(self) -> None:
        """Leave what is open; within seconds."""
        ...
