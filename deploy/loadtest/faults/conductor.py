"""The time line: one fault after the other, each struck in the middle of work."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deploy.loadtest.faults.kinds import Fault
from deploy.loadtest.faults.scene import Scene


class Phase(StrEnum):
    """What a mark marks."""

    STRIKE = "strike"
    HEAL = "heal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that the conductor did."""

    at_s: float
    #: How long doing it took.
    took_s: float
    fault: str
    phase: Phase
    what: str
    #: Events that were answered by then.
    answered: int

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "at_s": round(self.at_s, 2),
            "took_s": round(self.took_s, 2),
            "fault": self.fault,
            "phase": self.phase.value,
            "what": self.what,
            "answered": self.answered,
        }


@dataclass(slots=True)
class _Struck:
    fault: Fault
    whom: str
    heal_at: float


@dataclass(slots=True)
class Conductor:
    """Runs a program of faults. The next one comes when a quarter of its share is answered, or after `patience_s`."""

    scene: Scene
    faults: Sequence[Fault]
    seed: int
    #: Events of the whole run: each fault gets its share of what is left.
    events: int
    #: How many are answered by now.
    answered: Callable[[], int]
    clock: Callable[[], float]
    report: Callable[[Mark], None] = lambda _: None
    patience_s: float = 30.0
    marks: list[Mark] = field(default_factory=list)
    _chance: random.Random = field(init=False)
    _next: int = 0
    _struck: _Struck | None = None
    _began: float = field(init=False)
    #: When the last fault was healed, and how many events were answered then.
    _quiet_since: tuple[float, int] = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - a game of chance
        self._began = self.clock()
        self._quiet_since = (self._began, 0)

    @property
    def healed(self) -> int:
        """Faults that are over."""
        return self._next - (self._struck is not None)

    @property
    def now_on(self) -> str | None:
        """The fault that is on."""
        return self._struck.fault.name if self._struck else None

    @property
    def done(self) -> bool:
        """Whether all faults are over."""
        return self.healed == len(self.faults)

    def tick(self) -> None:
        """Strike or heal, if it is time."""
        now = self.clock()
        if self._struck is not None:
            if now >= self._struck.heal_at:
                self.heal()
            return
        since, before = self._quiet_since
        moved = self.answered() - before >= max(1, self._share // 4)
        if self._next < len(self.faults) and (moved or now - since >= self.patience_s):
            self._strike()

    @property
    def _share(self) -> int:
        """Events for each fault that is still to be healed, and as many for the quiet end."""
        return (self.events - self._quiet_since[1]) // (len(self.faults) - self.healed + 1)

    @property
    def released(self) -> int:
        """Events that may be sent by now. Half of a share is kept back until its fault is on, so that work goes on."""
        if self.done:
            return self.events
        return min(self.events, self._quiet_since[1] + max(2, self._share // (2 if self._struck is None else 1)))

    def _strike(self) -> None:
        fault = self.faults[self._next]
        self._next += 1
        # Noted before it is tried: half a strike must be healed too.
        self._struck = struck = _Struck(fault, "", float("inf"))
        before = self.clock()
        struck.whom = fault.strike(self.scene, self._chance)
        struck.heal_at = self.clock() + fault.hold_s(self.scene)
        self._mark(fault, Phase.STRIKE, struck.whom, before)

    def heal(self) -> None:
        """Heal what is on, now."""
        struck, self._struck = self._struck, None
        if struck is None:
            return
        before = self.clock()
        what = struck.fault.heal(self.scene, struck.whom)
        self._quiet_since = (self.clock(), self.answered())
        self._mark(struck.fault, Phase.HEAL, what, before)

    def _mark(self, fault: Fault, phase: Phase, what: str, before: float) -> None:
        mark = Mark(
            at_s=before - self._began,
            took_s=self.clock() - before,
            fault=fault.name,
            phase=phase,
            what=what,
            answered=self.answered(),
        )
        self.marks.append(mark)
        self.report(mark)
