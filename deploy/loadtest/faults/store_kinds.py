"""Faults of the object store."""

import random
from dataclasses import dataclass
from typing import ClassVar

from deploy.loadtest.faults.kinds import Held
from deploy.loadtest.faults.scene import Part, Scene
from deploy.loadtest.proxy.toxics import Bandwidth, Latency, ResetPeer, Stream, Toxic


@dataclass(frozen=True, slots=True, kw_only=True)
class CutStore(Held):
    """The object store is away."""

    name: ClassVar[str] = "cut_store"
    part: ClassVar[Part] = Part.STORE
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
class SlowStore(Held):
    """The object store is slow, or loses connections."""

    name: ClassVar[str] = "slow_store"
    part: ClassVar[Part] = Part.STORE
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
class DenyStore(Held):
    """The object store finds the keys wrong: an error that is tried again much later, through the retry topics."""

    name: ClassVar[str] = "deny_store"
    part: ClassVar[Part] = Part.STORE
    seconds: float = 5.0

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """403 to everybody."""
        scene.store.deny()
        return "all requests"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """The keys are right again."""
        scene.store.reset()
        return "welcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleStore(Held):
    """The object store has too much to do, and says so to everybody."""

    name: ClassVar[str] = "throttle_store"
    part: ClassVar[Part] = Part.STORE
    seconds: float = 6.0

    def strike(self, scene: Scene, chance: random.Random) -> str:  # noqa: ARG002
        """503 to everybody."""
        scene.store.throttle()
        return "all requests"

    def heal(self, scene: Scene, whom: str) -> str:  # noqa: ARG002
        """It has time again."""
        scene.store.reset()
        return "welcome"
