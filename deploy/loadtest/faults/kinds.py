"""Faults, each a small value: `strike` does the harm and says to whom, `heal` mends it `hold_s` later."""

import random
from dataclasses import dataclass
from typing import ClassVar, Protocol

from deploy.loadtest.faults.scene import Scene
from deploy.loadtest.proxy.toxics import Bandwidth, Latency, ResetPeer, Stream, Toxic


class Fault(Protocol):
    """One way to disturb a running system."""

    name: ClassVar[str]
    #: Whether there is anything to disturb without transactional delivery.
    transactional: ClassVar[bool]

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
class _Held:
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
class KillConsumer(_Held):
    """A worker crashes; later another one starts."""

    name: ClassVar[str] = "kill_consumer"
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
class FreezeConsumer(_Held):
    """A worker stands still until the group has given it up, and then goes on as if nothing had happened."""

    name: ClassVar[str] = "freeze_consumer"
    #: Beyond the session timeout.
    seconds: float = 4.0

    def hold_s(self, scene: Scene) -> float:
        """Past the session timeout."""
        return scene.session_timeout_s + self.seconds

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
class StopConsumer(_Held):
    """A worker is asked to stop; another one takes its place."""

    name: ClassVar[str] = "stop_consumer"
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
class AddConsumer(_Held):
    """One worker too many joins, and leaves again."""

    name: ClassVar[str] = "add_consumer"
    seconds: float = 6.0

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Start one."""
        return scene.crew.start()

    def heal(self, scene: Scene, whom: str) -> str:
        """SIGTERM."""
        scene.crew.ask_to_stop(whom)
        return f"{whom} asked to stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillBroker(_Held):
    """A broker crashes and comes back."""

    name: ClassVar[str] = "kill_broker"
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
class MoveGroupCoordinator(_Held):
    """The group gets another coordinator while all brokers run."""

    name: ClassVar[str] = "move_group_coordinator"

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
class KillReplica(_Held):
    """A replica of Serve crashes with all that it works on."""

    name: ClassVar[str] = "kill_replica"

    def strike(self, scene: Scene, chance: random.Random) -> str:
        """SIGKILL."""
        pids = scene.serving.replicas()
        if not pids:
            return "nobody, no replica ran"
        pid = chance.choice(pids)
        scene.serving.kill_replica(pid)
        return f"process {pid}"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Serve starts another one by itself."""
        scene.serving.settle()
        return "replicas are complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeployServe(_Held):
    """A new version of Serve is rolled out."""

    name: ClassVar[str] = "redeploy_serve"

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Roll out."""
        scene.serving.redeploy()
        return "all replicas"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Wait for the new ones."""
        scene.serving.settle()
        return "replicas are complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutStore(_Held):
    """The object store is away."""

    name: ClassVar[str] = "cut_store"
    seconds: float = 8.0

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Cut all connections, refuse new ones."""
        scene.store.disable()
        return "all connections"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Take connections again."""
        scene.store.reset()
        return "connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStore(_Held):
    """The object store is slow, or loses connections."""

    name: ClassVar[str] = "slow_store"
    seconds: float = 10.0
    toxics: tuple[Toxic, ...] = (
        Toxic(effect=Latency(latency=400, jitter=300), stream=Stream.UPSTREAM),
        Toxic(effect=Bandwidth(rate=100), stream=Stream.DOWNSTREAM),
    )

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """Put the toxics on."""
        for toxic in self.toxics:
            scene.store.add(toxic)
        return ", ".join(toxic.title for toxic in self.toxics)

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """Take them away."""
        scene.store.reset()
        return "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetStore(SlowStore):
    """Every other connection to the object store is reset after a moment."""

    name: ClassVar[str] = "reset_store"
    seconds: float = 6.0
    toxics: tuple[Toxic, ...] = (Toxic(effect=ResetPeer(timeout=100), toxicity=0.5),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyStore(_Held):
    """The object store finds the keys wrong: an error that is tried again much later, through the retry topics."""

    name: ClassVar[str] = "deny_store"
    seconds: float = 5.0

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """403 to everybody."""
        scene.store.deny()
        return "all requests"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """The keys are right again."""
        scene.store.reset()
        return "welcome"
