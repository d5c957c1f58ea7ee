"""Random point processes: independent gaps, and Poisson processes whose rate changes over time. Pure."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Seconds.
Times = NDArray[np.float64]


class Piece(NamedTuple):
    """A part of the time, over which the rate goes from `begin` to `end` in a straight line, in events per second."""

    seconds: float
    begin: float
    end: float


def gamma_times(rate: float, cv: float, length_s: float, chance: np.random.Generator) -> Times:
    """Arrivals with gamma distributed gaps of mean 1/rate and this coefficient of variation."""
    shape = 1 / cv**2
    return _renewal(length_s, 1 / rate, lambda count: chance.gamma(shape, 1 / (rate * shape), count))


def poisson_times(pieces: Sequence[Piece], chance: np.random.Generator) -> Times:
    """Arrivals of a Poisson process with these rates.

    By time rescaling: arrivals at rate 1, with exponential gaps, are taken as expected numbers of events, and each is
    put at the time up to which so many are expected (Devroye, Non-Uniform Random Variate Generation, 1986, chapter VI).
    """
    seconds, begin, end = np.array([one for one in pieces if one.seconds > 0], np.float64).T
    starts = np.concatenate(([0.0], np.cumsum(seconds)))
    # Expected events before each piece, and in all.
    before = np.concatenate(([0.0], np.cumsum(seconds * (begin + end) / 2)))
    expected = _renewal(before[-1], 1.0, lambda count: chance.exponential(1.0, count))
    # Pieces at rate 0 have no place in `before`, so none falls into them.
    at = np.searchsorted(before, expected, side="right") - 1
    owed = expected - before[at]
    # The root of begin * t + slope * t**2 / 2 = owed, in the form that does not cancel.
    slope = (end - begin)[at] / seconds[at]
    speed = begin[at] + np.sqrt(np.maximum(begin[at] ** 2 + 2 * slope * owed, 0))
    within = np.divide(2 * owed, speed, out=np.zeros_like(owed), where=speed > 0)
    return np.asarray(starts[at] + np.minimum(within, seconds[at]), np.float64)


def _renewal(length: float, mean_gap: float, draw: Callable[[int], Times]) -> Times:
    """Sums of independent gaps as far as they are below `length`."""
    expected = length / mean_gap
    # Enough at once in nearly all cases.
    count = int(expected + 5 * math.sqrt(expected)) + 16
    # Of no length, or of one without events, there is nothing.
    parts: list[Times] = [np.empty(0)]
    reached = 0.0
    while reached < length:
        parts.append(reached + np.cumsum(draw(count)))
        reached = float(parts[-1][-1])
    times = np.concatenate(parts)
    return np.asarray(times[times < length], np.float64)
