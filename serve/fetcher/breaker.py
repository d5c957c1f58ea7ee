"""The circuit breaker of one host of photos (Nygard, Release It!, 2007). Pure: times are told to it, in seconds.

After a few fetches in a row that got no answer the host rests: whoever asks is told at once how long. Then one fetch
may try. Its answer closes the breaker, its failure makes the next rest longer.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a host rests, and for how long."""

    #: Failures in a row, without an answer between them and all within `window_s`.
    trip_after: int = 4
    window_s: float = 60.0
    #: The first rest; each further one is twice as long, up to the longest.
    rest_s: float = 15.0
    longest_rest_s: float = 240.0
    #: What those are told who come while a fetch tries whether the host is back.
    try_s: float = 1.0


class BreakerState(StrEnum):
    """For tests and logs."""

    CLOSED = "closed"  #: fetches go through
    OPEN = "open"  #: the host rests
    HALF_OPEN = "half_open"  #: the rest is over: one fetch may try


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a fetch may start; whoever is admitted reports how it went, once."""

    admitted: bool
    #: It tries whether the host is back.
    probe: bool = False
    #: Seconds until asking again makes sense.
    wait_s: float = 0.0


class Breaker:
    """Counts failures in a row. Times never go back."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures: deque[float] = deque(maxlen=rules.trip_after)
        self._rests = 0
        self._open_until = 0.0
        #: The fetch that tries; one of an earlier time says nothing any more.
        self._probe: Admission | None = None

    def state(self, now: float) -> BreakerState:
        """Where it stands."""
        if not self._rests:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._open_until else BreakerState.HALF_OPEN

    def wait_s(self, now: float) -> float:
        """Seconds until a fetch could be admitted; 0 if one would be now."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return self._open_until - now
            case BreakerState.HALF_OPEN:
                return 0.0 if self._probe is None else self._rules.try_s

    def admit(self, now: float) -> Admission:
        """May a fetch start? An admitted one must be followed by `answered`, `failed` or `gave_up`."""
        if (wait_s := self.wait_s(now)) > 0:
            return Admission(admitted=False, wait_s=wait_s)
        admission = Admission(admitted=True, probe=self.state(now) is BreakerState.HALF_OPEN)
        if admission.probe:
            self._probe = admission
        return admission

    def answered(self) -> None:
        """The host answered, whatever it said: it is there."""
        self._failures.clear()
        self._rests, self._probe = 0, None

    def failed(self, now: float, admission: Admission) -> None:
        """No answer, or not the whole of it in time. What began before a rest makes it no longer."""
        if admission is self._probe:
            self._rest(now)
        elif not self._rests:
            self._failures.append(now)
            recent = [time for time in self._failures if now - time <= self._rules.window_s]
            if len(recent) >= self._rules.trip_after:
                self._rest(now)

    def gave_up(self, admission: Admission) -> None:
        """It ended without a finding: cancelled, or refused on our side."""
        if admission is self._probe:
            self._probe = None

    def _rest(self, now: float) -> None:
        doubled = self._rules.rest_s * 2.0 ** min(self._rests, 32)
        self._open_until = now + min(doubled, self._rules.longest_rest_s)
        self._rests += 1
        self._probe = None
        self._failures.clear()
