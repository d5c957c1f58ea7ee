"""What is believed of the capacity after some probes: probabilistic bisection over the logarithm of the rate.

A probe near the border is a random draw, so no single one decides. Every answer moves weight to the capacities that
make it likely (Horstein 1963; Waeber, Frazier and Henderson 2013); the weights then tell both the next rate that is
worth a probe and how sure one can be.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

#: Probes further from the border than `_BLUR` still err this often: a burst, a pause of the machine.
_WRONG = 0.005
#: A saturated probe hardly errs: events are seen to pile up.
_WRONG_SATURATED = 0.001
#: Relative distance from the border within which a probe is a matter of luck.
_BLUR = 0.02
_STEP = 0.0025
#: Chance, before the first probe, that the capacity lies below or above the range.
_OUTSIDE = 0.05
#: How far below or above, as far as weighing answers goes.
_FAR = 0.2
#: How far the capacity is below or above a throughput that was seen: below it, as far as latency limits it before. And
#: how much the throughput is trusted to tell anything.
_HINT_BELOW, _HINT_ABOVE, _HINT_TRUST = 0.08, 0.03, 0.8
#: Missed so far below the throughput, it is latency that limits: then throughput tells nothing any more.
_FAR_BELOW = 0.97


class Belief:
    """Weights of capacities from `low` to `high` events per second, and one each for below and above."""

    def __init__(self, low: float, high: float) -> None:
        inner = np.geomspace(low, high, max(3, round(math.log(high / low) / _STEP) + 1))
        self._rates: Weights = np.concatenate(([low], inner, [high]))
        self._logs: Weights = np.log(self._rates) + np.concatenate(([-_FAR], np.zeros(len(inner)), [_FAR]))
        self._weights: Weights = np.full(len(self._logs), (1 - 2 * _OUTSIDE) / len(inner))
        self._weights[[0, -1]] = _OUTSIDE
        self._hint: Weights = np.ones(len(self._logs))
        self._throughput = 0.0

    def saw(self, rate: float, *, met: bool, saturated: bool = False) -> None:
        """A probe at this rate met the SLO or missed it."""
        wrong = _WRONG_SATURATED if saturated else _WRONG
        likely_met = wrong + (1 - 2 * wrong) / (1 + np.exp((math.log(rate) - self._logs) / _BLUR))
        self._weights *= likely_met if met else 1 - likely_met
        self._weights /= self._weights.sum()
        if not met and not saturated and rate < _FAR_BELOW * self._throughput:
            self._hint = np.ones(len(self._logs))

    def hint(self, throughput: float) -> None:
        """An overloaded system did so much. It tells where to look, no more: under overload some systems collapse."""
        if throughput > 0:
            self._throughput = throughput
            away = self._logs - math.log(throughput)
            near = np.exp(np.where(away < 0, away / _HINT_BELOW, -away / _HINT_ABOVE))
            self._hint = _HINT_TRUST * near / near.mean() + (1 - _HINT_TRUST)

    @property
    def below(self) -> float:
        """Probability that the capacity is below the range."""
        return float(self._weights[0])

    @property
    def above(self) -> float:
        """Probability that it is above the range."""
        return float(self._weights[-1])

    @property
    def median(self) -> float:
        """The capacity that is as likely too low as too high."""
        return self._quantile(self._weights, 0.5)

    @property
    def worth_a_probe(self) -> float:
        """The rate whose answer tells most, within the range."""
        return self._quantile(self._weights * self._hint, 0.5)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Where the capacity lies with this confidence, cut at the ends of the range."""
        tail = (1 - confidence) / 2
        return self._quantile(self._weights, tail), self._quantile(self._weights, 1 - tail)

    def _quantile(self, weights: Weights, share: float) -> float:
        summed = np.cumsum(weights)
        at = int(np.searchsorted(summed, share * summed[-1]))
        return float(self._rates[at])


def spread(rates: Sequence[float]) -> float:
    """Half of the relative width of an interval: 0.05 stands for plus and minus 5 %."""
    low, high = rates
    return (high - low) / (high + low)
