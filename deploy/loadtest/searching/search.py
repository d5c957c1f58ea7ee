"""Search for the highest rate that meets an SLO, with as few probes as can be: each takes minutes. Pure.

From the lowest rate upward in large steps until one is missed, so that no probe overloads the system more than it
must; then wherever an answer tells most. See `belief.py` for how answers that may be wrong are weighed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.loadtest.document import Interval
from deploy.loadtest.searching.belief import Belief, spread
from deploy.loadtest.searching.knee import knee
from deploy.loadtest.searching.probes import ProbeResult, Verdict

TOLERANCE = 0.05
MOST_PROBES = 10
CONFIDENCE = 0.95
#: On the way up a rate is at least so many times the one before, and at most so many steps are taken.
_FACTOR, _STEPS_UP = 2.0, 3
_TRIES_OF_AN_INVALID_RATE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """What a search found. Rates in events per second."""

    #: None where no rate was found that meets the SLO.
    capacity: float | None
    #: With 95 % confidence; None without a capacity, and where only a lower bound was found.
    interval: Interval | None
    knee: float | None
    probes: Sequence[ProbeResult]
    #: Whether the capacity is but a lower bound: every rate up to it met the SLO, or higher ones cannot be measured.
    at_least: bool = False
    #: Why there is no capacity, why it is a lower bound, or why the interval is wider than was asked for.
    note: str = ""


def search(
    probe: Callable[[float], ProbeResult],
    low: float,
    high: float,
    *,
    tolerance: float = TOLERANCE,
    most_probes: int = MOST_PROBES,
    report: Callable[[ProbeResult], None] = lambda _: None,
) -> SearchOutcome:
    """Probe until the capacity is known to within `tolerance` (0.05: 5 % more or less), or `most_probes` are spent.

    `ValueError` unless 0 < `low` < `high`. `report` is told every probe as it is done.
    """
    if not 0 < low < high:
        raise ValueError(f"the lowest rate {low:g} must be above 0 and below the highest rate {high:g}")
    looking = _Looking(low, high, tolerance)
    for _ in range(most_probes):
        rate = looking.next_rate()
        if rate is None:
            break
        result = probe(rate)
        looking.take(rate, result)
        report(result)
    return looking.outcome()


@dataclass(slots=True)
class _Looking:
    """A search under way."""

    low: float
    high: float
    tolerance: float
    probes: list[ProbeResult] = field(default_factory=list)
    _belief: Belief = field(init=False)
    _factor: float = field(init=False)
    #: Rates from here on cannot be measured, for this reason.
    _ceiling: float = float("inf")
    _reason: str = ""
    _again: float | None = None
    _invalid: dict[float, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._belief = Belief(self.low, self.high)
        self._factor = max(_FACTOR, (self.high / self.low) ** (1 / _STEPS_UP))

    def take(self, rate: float, result: ProbeResult) -> None:
        """Weigh the answer."""
        self.probes.append(result)
        self._again = None
        if result.verdict is Verdict.INVALID:
            tries = self._invalid[rate] = self._invalid.get(rate, 0) + 1
            if tries < _TRIES_OF_AN_INVALID_RATE:
                self._again = rate
            else:
                self._ceiling, self._reason = min(self._ceiling, rate), result.note
            return
        self._belief.saw(rate, met=result.met, saturated=result.saturated)
        if result.saturated:
            self._belief.hint(result.delivered)

    def next_rate(self) -> float | None:
        """The next rate; None where enough is known, or no more can be."""
        if self._again is not None:
            return self._again
        if self._sure:
            return None
        wanted = self._upward()
        if wanted < self._ceiling:
            return wanted
        # Half-way to what cannot be measured, unless that is as near as anybody asked for.
        between = (self._best * self._ceiling) ** 0.5 if self._best else self.low
        return between if between < self._ceiling / (1 + self.tolerance) else None

    def _upward(self) -> float:
        if not self.probes:
            return self.low
        if self._best and not any(_missed(one) for one in self.probes):
            return min(self.high, self._best * self._factor)
        return self._belief.worth_a_probe

    @property
    def _best(self) -> float:
        return max((one.rate for one in self.probes if one.met), default=0.0)

    @property
    def _sure(self) -> bool:
        if self._belief.above >= CONFIDENCE or (self._belief.below >= CONFIDENCE and not self._low_holds):
            return True
        return self._inside and spread(self._belief.interval(CONFIDENCE)) <= self.tolerance

    @property
    def _low_holds(self) -> bool:
        """Whether the lowest rate met the SLO more often than not: then the capacity lies at it, not below."""
        seen = [one.met for one in self.probes if one.rate == self.low and one.verdict is not Verdict.INVALID]
        return sum(seen) > len(seen) / 2

    @property
    def _inside(self) -> bool:
        """Whether both ends of the interval lie within the range."""
        tail = (1 - CONFIDENCE) / 2
        return self._belief.below < tail and self._belief.above < tail

    def outcome(self) -> SearchOutcome:
        """What is known by now."""
        level = knee([one for one in self.probes if one.verdict is not Verdict.INVALID])
        capacity, interval, at_least, note = self._verdict()
        return SearchOutcome(
            capacity=capacity, interval=interval, knee=level, probes=self.probes, at_least=at_least, note=note
        )

    def _verdict(self) -> tuple[float | None, Interval | None, bool, str]:
        belief = self._belief
        if not self._best:
            if self._ceiling <= self.low:
                return None, None, False, f"not even {self.low:g}/s could be measured: {self._reason}"
            return None, None, False, f"not even {self.low:g}/s meets the SLO"
        if belief.below > 0.5 and not self._low_holds:
            return None, None, False, f"the SLO is hardly ever met, not even at {self.low:g}/s"
        if belief.above > 0.5:
            return self.high, None, True, f"the SLO is met at {self.high:g}/s, the highest rate asked for"
        if belief.median >= self._ceiling:
            return self._best, None, True, f"{self._ceiling:g}/s and more cannot be measured: {self._reason}"
        low, high = belief.interval(CONFIDENCE)
        width = spread((low, high))
        note = (
            f"{len(self.probes)} probes tell no more than plus or minus {width:.0%}" if width > self.tolerance else ""
        )
        return belief.median, Interval(low=low, high=high), False, note


def _missed(one: ProbeResult) -> bool:
    return one.verdict is not Verdict.INVALID and not one.met
