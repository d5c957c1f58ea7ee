"""The figures of a moment, for whoever watches a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far a run is. Rates are events per second over the last seconds."""

    #: `warm-up`, `measured`, `drain`.
    phase: str
    #: Seconds since the schedule began, and how long it is with warm-up, without drain.
    elapsed_s: float
    planned_s: float
    planned: int
    sent: int
    unsent: int
    answered: int
    offered: float
    delivered: float
    p50_ms: float | None
    p99_ms: float | None
    lag_p99_ms: float | None
    #: Events by outcome, `dead`.
    endings: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, float] = field(default_factory=dict)
    #: The fault that is on, and how many of how many are over.
    fault: str | None = None
    healed: int = 0
    faults: int = 0
