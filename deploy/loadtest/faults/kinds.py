"""Faults, each a small value: `strike` does the harm and says to whom, `heal` mends it `hold_s` later.

Those of the object store stand in `store_kinds`.
"""

import random
from dataclasses import dataclass
from typing import ClassVar, Protocol

from deploy.loadtest.faults.scene import Part, Scene

_PAST_SESSION_S = 4.0
_NOBODY = "nobody, no replica ran"


class Fault(Protocol):
    """One way to disturb a running system."""

    name: ClassVar[str]
    #: Whether there is anything to disturb without transactional delivery.
    transactional: ClassVar[bool]
    part: ClassVar[Part]

    def hold_s(self, scene: Scene) -> float:
        """How long it lasts."""
        ...

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """Do it; say whom it hit."""
        ...

    def heal(self, scene: Scene, whom: str) -> str:
        """Undo it; say what was done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What most faults share."""

    transactional: ClassVar[bool] = False
    seconds: float = 0.0

    def hold_s(self, _: Scene) -> float:
        """A fixed time."""
        return self.seconds

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Nothing to be done: it passes by itself."""
        return "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillConsumer(Held):
    """A worker crashes; later another one starts."""

    name: ClassVar[str] = "kill_consumer"
    part: ClassVar[Part] = Part.CONSUMERS
    seconds: float = 2.0

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGKILL."""
        whom = chance.choice(scene.crew.working())
        scene.crew.kill(whom)
        return whom

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """A new one."""
        return f"{scene.crew.start()} started"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeConsumer(Held):
    """A worker stands still until the group has given it up, and then goes on as if nothing had happened."""

    name: ClassVar[str] = "freeze_consumer"
    part: ClassVar[Part] = Part.CONSUMERS
    #: 0 stands for a little more than the session timeout.
    seconds: float = 0.0

    def hold_s(self, scene: Scene) -> float:
        """Past the session timeout, unless somebody says otherwise."""
        return self.seconds or scene.session_timeout_s + _PAST_SESSION_S

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGSTOP."""
        whom = chance.choice(scene.crew.working())
        scene.crew.freeze(whom)
        return whom

    def heal(self, scene: Scene, whom: str) -> str:
        """SIGCONT."""
        scene.crew.thaw(whom)
        return f"{whom} goes on"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConsumer(Held):
    """A worker is asked to stop; another one takes its place."""

    name: ClassVar[str] = "stop_consumer"
    part: ClassVar[Part] = Part.CONSUMERS
    seconds: float = 3.0

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGTERM."""
        whom = chance.choice(scene.crew.working())
        scene.crew.ask_to_stop(whom)
        return whom

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """A new one."""
        return f"{scene.crew.start()} started"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddConsumer(Held):
    """One worker too many joins, and leaves again."""

    name: ClassVar[str] = "add_consumer"
    part: ClassVar[Part] = Part.CONSUMERS
    seconds: float = 6.0

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Start one."""
        return scene.crew.start()

    def heal(self, scene: Scene, whom: str) -> str:
        """SIGTERM."""
        scene.crew.ask_to_stop(whom)
        return f"{whom} asked to stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillBroker(Held):
    """A broker crashes and comes back."""

    name: ClassVar[str] = "kill_broker"
    part: ClassVar[Part] = Part.BROKERS
    seconds: float = 8.0

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGKILL."""
        node = self._choose(scene, chance)
        scene.brokers.kill(node)
        return str(node)

    def _choose(self, scene: Scene, chance: random.Random) -> int:
        return chance.choice(scene.brokers.nodes())

    def heal(self, scene: Scene, whom: str) -> str:
        """Start it again on its old data."""
        scene.brokers.restart(int(whom))
        return f"broker {whom} is in sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillGroupCoordinator(KillBroker):
    """The broker crashes that keeps the offsets of the group."""

    name: ClassVar[str] = "kill_group_coordinator"

    def _choose(self, scene: Scene, chance: random.Random) -> int:  # noqa: ARG002
        return scene.brokers.group_coordinator()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeBroker(Held):
    """A broker stands still until the others have given it up, and then goes on as if nothing had happened."""

    name: ClassVar[str] = "freeze_broker"
    part: ClassVar[Part] = Part.BROKERS
    #: More than the brokers' session timeout, 3 s.
    seconds: float = 8.0

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGSTOP."""
        node = chance.choice(scene.brokers.nodes())
        scene.brokers.freeze(node)
        return str(node)

    def heal(self, scene: Scene, whom: str) -> str:
        """SIGCONT."""
        scene.brokers.thaw(int(whom))
        return f"broker {whom} is in sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveGroupCoordinator(Held):
    """The group gets another coordinator while all brokers run."""

    name: ClassVar[str] = "move_group_coordinator"
    part: ClassVar[Part] = Part.BROKERS

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Elect another leader for the partition that holds the group."""
        return scene.brokers.move_group_coordinator()


@dataclass(frozen=True, slots=True, kw_only=True)
class KillTransactionCoordinator(KillBroker):
    """The broker crashes that decides the transactions of a worker; some are always in the middle of a commit."""

    name: ClassVar[str] = "kill_transaction_coordinator"
    transactional: ClassVar[bool] = True

    def _choose(self, scene: Scene, chance: random.Random) -> int:  # noqa: ARG002
        return scene.brokers.transaction_coordinator()


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReplica(Held):
    """A replica of Serve crashes with all that it works on."""

    name: ClassVar[str] = "kill_replica"
    part: ClassVar[Part] = Part.SERVE

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGKILL."""
        pids = scene.serving.replicas()
        if not pids:
            return _NOBODY
        pid = chance.choice(pids)
        scene.serving.kill_replica(pid)
        return f"process {pid}"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Serve starts another one by itself."""
        scene.serving.settle()
        return "replicas are complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeReplica(Held):
    """A replica of Serve stands still with all that it works on, and goes on later."""

    name: ClassVar[str] = "freeze_replica"
    part: ClassVar[Part] = Part.SERVE
    #: Less than Serve's health checks take to replace it.
    seconds: float = 12.0

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGSTOP."""
        pids = scene.serving.replicas()
        if not pids:
            return _NOBODY
        pid = chance.choice(pids)
        scene.serving.freeze_replica(pid)
        return str(pid)

    def heal(self, scene: Scene, whom: str) -> str:
        """SIGCONT."""
        if whom != _NOBODY:
            scene.serving.thaw_replica(int(whom))
        scene.serving.settle()
        return "replicas are complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeployServe(Held):
    """A new version of Serve is rolled out."""

    name: ClassVar[str] = "redeploy_serve"
    part: ClassVar[Part] = Part.SERVE

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Roll out."""
        scene.serving.redeploy()
        return "all replicas"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Wait for the new ones."""
        scene.serving.settle()
        return "replicas are complete"
