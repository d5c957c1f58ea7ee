"""Keeps the times of the schedule, however slow the system is: a plain thread that sleeps, without spinning.

Nothing is ever left out: an event that is late goes at once, and how late it was shows in when it was sent. A loop that
spins before the moment, or one of asyncio, was found to be later under load, not earlier.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from deploy.loadtest.workload.planned import Planned
from deploy.loadtest.workload.schedule_file import Due

_NS = 1_000_000_000
#: Sleeps are no longer, so that a pacer that is to stop hears of it soon.
_LONGEST_NS = _NS // 4


class Clock(Protocol):
    """Time, and a way to let it pass."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        ...

    def sleep(self, ns: int) -> None:
        """About so long."""
        ...


class MachineClock:
    """The real one."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def sleep(self, ns: int) -> None:
        """The kernel sleeps until an absolute time; the interpreter lock is free meanwhile."""
        time.sleep(ns / _NS)


def pace(
    schedule: Iterable[Due],
    start_ns: int,
    send: Callable[[Planned], None],
    *,
    clock: Clock | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Send each event at `start_ns` plus its time, in the order given; False where it was stopped before the end."""
    clock = clock or MachineClock()
    for at_s, event in schedule:
        due_ns = start_ns + round(at_s * _NS)
        while (left_ns := due_ns - clock.now_ns()) > 0:
            if stopped():
                return False
            clock.sleep(min(left_ns, _LONGEST_NS))
        if stopped():
            return False
        send(event)
    return True
