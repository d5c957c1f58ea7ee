"""One fault after the other, each struck and healed, and a mark for either: when they come is told by subclasses."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deploy.loadtest.faults.kinds import Fault
from deploy.loadtest.faults.scene import Scene
from deploy.loadtest.faults.timeline import Strike


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


class Conducting:
    """Strikes and heals, one fault at a time. Times of the marks count from `began`, by `clock`."""

    def __init__(
        self,
        scene: Scene,
        faults: Sequence[Fault],
        seed: int,
        *,
        clock: Callable[[], float],
        began: float,
        answered: Callable[[], int] = lambda: 0,
        report: Callable[[Mark], None] = lambda _: None,
    ) -> None:
        """`seed` decides whom faults hit; `answered` tells how many events are by now."""
        self.scene = scene
        self.faults = faults
        self.clock = clock
        self.began = began
        self.answered = answered
        self.report = report
        self.marks: list[Mark] = []
        self._chance = random.Random(seed)  # noqa: S311 - a game of chance
        self._next = 0
        self._struck: _Struck | None = None

    @property
    def healed(self) -> int:
        """Faults that are over."""
        return self._next - (self._struck is not None)

    @property
    def now_on(self) -> str | None:
        """The fault that is on."""
        struck = self._struck
        return struck.fault.name if struck else None

    @property
    def done(self) -> bool:
        """Whether all faults are over."""
        return self.healed == len(self.faults)

    def tick(self) -> None:
        """Strike or heal, if it is time; returns when that is done, which may take a minute."""
        now = self.clock()
        if self._struck is not None:
            if now >= self._struck.heal_at:
                self.heal()
        elif self._next < len(self.faults) and self._due(now):
            self._strike()

    def _due(self, now: float) -> bool:
        """Whether the next fault shall strike."""
        raise NotImplementedError

    def _note(self) -> str:
        """What is to be said of the fault that strikes now, beside whom it hit."""
        return ""

    def _strike(self) -> None:
        note = self._note()
        fault = self.faults[self._next]
        # Noted before it is tried: half a strike must be healed too.
        self._struck = struck = _Struck(fault, "", float("inf"))
        self._next += 1
        before = self.clock()
        struck.whom = fault.strike(self.scene, self._chance)
        struck.heal_at = self.clock() + fault.hold_s(self.scene)
        self._mark(fault, Phase.STRIKE, f"{struck.whom}{note}", before)

    def heal(self) -> None:
        """Heal what is on, now."""
        struck = self._struck
        if struck is None:
            return
        before = self.clock()
        try:
            what = struck.fault.heal(self.scene, struck.whom)
        finally:
            self._struck = None
        self._healed()
        self._mark(struck.fault, Phase.HEAL, what, before)

    def _healed(self) -> None:
        """A fault is over."""

    def _mark(self, fault: Fault, phase: Phase, what: str, before: float) -> None:
        mark = Mark(
            at_s=before - self.began,
            took_s=self.clock() - before,
            fault=fault.name,
            phase=phase,
            what=what,
            answered=self.answered(),
        )
        self.marks.append(mark)
        self.report(mark)


class Conductor(Conducting):
    """By progress: the next fault comes when a quarter of its share is answered, or after `patience_s`."""

    def __init__(
        self,
        scene: Scene,
        faults: Sequence[Fault],
        seed: int,
        *,
        events: int,
        answered: Callable[[], int],
        clock: Callable[[], float],
        report: Callable[[Mark], None] = lambda _: None,
        patience_s: float = 30.0,
    ) -> None:
        """`events` of the whole run: each fault gets its share of what is left."""
        super().__init__(scene, faults, seed, clock=clock, began=clock(), answered=answered, report=report)
        self.events = events
        self.patience_s = patience_s
        #: When the last fault was healed, and how many events were answered then.
        self._quiet_since = (self.began, 0)

    def _due(self, now: float) -> bool:
        since, before = self._quiet_since
        moved = self.answered() - before >= max(1, self._share // 4)
        return moved or now - since >= self.patience_s

    def _healed(self) -> None:
        self._quiet_since = (self.clock(), self.answered())

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


class TimedConductor(Conducting):
    """By the clock: every strike at its time, or as soon as the one before it is healed; then the mark says so."""

    def __init__(
        self,
        scene: Scene,
        strikes: Sequence[Strike],
        seed: int,
        *,
        clock: Callable[[], float],
        began: float,
        answered: Callable[[], int] = lambda: 0,
        report: Callable[[Mark], None] = lambda _: None,
    ) -> None:
        """`began`: the moment of `clock` from which the times of the strikes count; it may lie ahead."""
        faults = [strike.fault for strike in strikes]
        super().__init__(scene, faults, seed, clock=clock, began=began, answered=answered, report=report)
        self._times = [strike.at_s for strike in strikes]
        self._free_at = float("-inf")

    def _due(self, now: float) -> bool:
        return now >= self.began + self._times[self._next]

    def _note(self) -> str:
        due = self.began + self._times[self._next]
        if self._free_at <= due:
            return ""
        return f" ({self.clock() - due:.0f} s late, after {self.faults[self._next - 1].name})"

    def _healed(self) -> None:
        self._free_at = self.clock()
