"""How far the clocks of other machines are from ours, from the events themselves. Pure, but for reading our own.

What a machine tells of an event happened after we sent it and before we saw its answer: each event bounds the offset
from both sides, and all of them together bound it closely.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.loadtest.measuring.clock_watch import read_clocks
from serve.schemas.clock import clock_name

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: A larger share of events that contradict the others: the clock was set, or runs at another pace.
_MAX_CONTRADICTING = 0.01
_LEAST = 5


@dataclass(frozen=True, slots=True)
class OwnClock:
    """The time of day of this machine: its name, and what to add to it for CLOCK_MONOTONIC."""

    name: str
    offset_ns: int


def read_own_clock(boot_id: Path = _BOOT_ID) -> OwnClock:
    """Our own clock now."""
    now = read_clocks()
    return OwnClock(clock_name(boot_id) or "", now.monotonic_ns - now.realtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """What to add to the times of a clock."""

    #: None where it is not known.
    offset_ns: int | None
    error_ns: int
    #: Events that bound it, and those of them that contradict the most of the others.
    n: int
    contradicting: int = 0


def estimate(
    after_ns: NDArray[np.int64], told_ns: NDArray[np.int64], last_ns: NDArray[np.int64], before_ns: NDArray[np.int64]
) -> Offset:
    """From events that passed a machine: sent at `after_ns`, by its clock there from `told_ns` to `last_ns`, seen at
    `before_ns`.

    The offset that most events allow (Marzullo's algorithm), with half of its play as the error.
    """
    lows, highs = after_ns - told_ns, before_ns - last_ns
    fair = lows <= highs
    n, impossible = lows.size, int((~fair).sum())
    lows, highs = lows[fair], highs[fair]
    if lows.size < _LEAST:
        return Offset(offset_ns=None, error_ns=0, n=n, contradicting=impossible)
    edges = np.concatenate([lows, highs])
    steps = np.concatenate([np.ones(lows.size, np.int64), -np.ones(highs.size, np.int64)])
    # Of edges at the same place those that open come first: intervals that touch agree.
    order = np.lexsort((-steps, edges))
    cover = np.cumsum(steps[order])
    best = int(np.argmax(cover))
    low, high = int(edges[order][best]), int(edges[order][best + 1])
    contradicting = impossible + lows.size - int(cover[best])
    trusted = contradicting <= _MAX_CONTRADICTING * n
    return Offset(
        offset_ns=(low + high) // 2 if trusted else None,
        error_ns=(high - low + 1) // 2,
        n=n,
        contradicting=contradicting,
    )
