"""Watches the clocks of this machine: what is timed while one of them jumps is worth nothing."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

_STEP_NS = 50_000_000
#: Reading all three took longer: somebody else had the processor in between.
_SLOW_NS = 2_000_000
_TRIES = 20


class Clocks(NamedTuple):
    """The three clocks at one moment, nanoseconds."""

    monotonic_ns: int
    realtime_ns: int
    #: Goes on while the machine sleeps.
    boottime_ns: int


def read_clocks() -> Clocks:
    """All three; of several tries the one that took the least time."""
    best, took_ns = Clocks(0, 0, 0), 1 << 62
    for _ in range(_TRIES):
        before = time.monotonic_ns()
        realtime, boottime = time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        after = time.monotonic_ns()
        if after - before < took_ns:
            best, took_ns = Clocks((before + after) // 2, realtime, boottime), after - before
        if took_ns < _SLOW_NS:
            break
    return best


@dataclass(slots=True)
class ClockWatch:
    """Compares each look with the one before. Show it all clocks once a second or so."""

    #: A sentence each.
    jumps: list[str] = field(default_factory=list)
    _first: Clocks | None = None
    _last: Clocks | None = None

    def look(self, now: Clocks) -> None:
        """The clocks as they stand."""
        first, last = self._first or now, self._last or now
        self._first, self._last = first, now
        passed = now.monotonic_ns - last.monotonic_ns
        at_s = (now.monotonic_ns - first.monotonic_ns) / 1e9
        slept = now.boottime_ns - last.boottime_ns - passed
        if slept > _STEP_NS:
            self.jumps.append(f"the machine slept {slept / 1e9:.2f} s, {at_s:.0f} s after the first look")
        # While the machine sleeps the time of day goes on, rightly so.
        step = now.realtime_ns - last.realtime_ns - passed - max(0, slept)
        if abs(step) > _STEP_NS:
            self.jumps.append(f"the time of day jumped by {step / 1e9:+.3f} s, {at_s:.0f} s after the first look")
