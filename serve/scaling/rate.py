"""How many events one replica answers in a second, measured while there is more to do than can be done.

Sums with exponential decay, of events and of seconds that replicas worked: their ratio weighs every event the same,
which the mean of many small ratios would not. The first guess counts like some measured time.
"""

import math
from dataclasses import dataclass, replace

from serve.scaling.figures import Figures
from serve.scaling.settings import ScalingSettings

#: The first guess weighs as much as this part of the memory.
_GUESS_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """What was learned so far. A value: `after` gives the next one."""

    events: float
    replica_s: float
    #: When the last figures were taken, and since when the same replicas have had more than enough to do.
    at: float | None = None
    busy_since: float | None = None
    replicas: int = 0

    @classmethod
    def guess(cls, settings: ScalingSettings) -> "Pace":
        """Nothing is measured yet."""
        seconds = _GUESS_WEIGHT * settings.rate_memory_s
        return cls(settings.events_per_s * seconds, seconds)

    def rate(self, settings: ScalingSettings) -> float:
        """Events per second and replica; never far from the first guess.

        Where something else is slow (the store, say), each replica seems slower the more there are. Without a bound
        that would end at the largest number of replicas.
        """
        guess = settings.events_per_s
        return min(max(self.events / self.replica_s, guess / settings.trust), guess * settings.trust)

    def after(self, figures: Figures, replicas: int, settings: ScalingSettings) -> "Pace":
        """Learn from figures that were taken while so many replicas ran; the same figures count once."""
        if self.at is not None and figures.at <= self.at:
            return self
        waiting = figures.backlog - figures.in_flight
        busy = replicas > 0 and waiting >= replicas and not figures.outage and figures.complete
        if not busy or self.at is None or replicas != self.replicas:
            return replace(self, at=figures.at, busy_since=figures.at if busy else None, replicas=replicas)
        since = figures.at if self.busy_since is None else self.busy_since
        known = replace(self, at=figures.at, busy_since=since)
        seconds = figures.at - self.at
        served = figures.served
        if served is None and figures.at - since >= settings.rate_window_s:
            # A rate looks back, so before that other replicas, or idle ones, are in it.
            served = figures.service_rate * seconds
        if served is None or self.busy_since is None:
            return known
        keep = math.exp(-seconds / settings.rate_memory_s)
        return replace(known, events=self.events * keep + served, replica_s=self.replica_s * keep + replicas * seconds)
