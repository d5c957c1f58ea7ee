"""When events come: arrival processes, from a text such as `poisson` or `ramp:0.5..1.5`. Pure, but for traces.

The same text, rate, length and seed give the same times.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from deploy.errors import DeployError
from deploy.loadtest.workload.processes import Piece, Times, gamma_times, poisson_times
from deploy.loadtest.workload.recording import read_times

POSSIBLE = (
    "poisson, constant, gamma:CV, ramp:FROM..TO, step:A,B,C, spike:FACTOR@AT+FOR (seconds), trace:FILE or "
    "trace:FILE*SPEED"
)
#: The coefficient of variation of gaps; more is no load any more, but a few bursts.
_MOST_CV = 10.0
_MOST_FACTOR = 1000.0
#: Times are held in memory, 8 bytes each.
_MOST_EVENTS = 50_000_000
#: NumPy wants no negative ones.
_SEEDS = 2**64


class _Spread(Protocol):
    """How arrivals are spread over a warm-up and the time that counts, in seconds."""

    def times(self, rate: float, warmup_s: float, duration_s: float, chance: np.random.Generator) -> Times: ...


@dataclass(frozen=True, slots=True)
class _Constant:
    """One every 1/rate seconds, from 0 on."""

    def times(self, rate: float, warmup_s: float, duration_s: float, chance: np.random.Generator) -> Times:  # noqa: ARG002
        # One more than fit, for what is lost in rounding; the caller cuts.
        return np.arange(math.ceil(rate * (warmup_s + duration_s)) + 1) / rate


@dataclass(frozen=True, slots=True)
class _Gamma:
    """Independent gaps, gamma distributed; a coefficient of variation of 1 is a Poisson process."""

    cv: float

    def times(self, rate: float, warmup_s: float, duration_s: float, chance: np.random.Generator) -> Times:
        return gamma_times(rate, self.cv, warmup_s + duration_s, chance)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A Poisson process whose rate changes: `factors` of the rate at the beginning and the end of equal parts.

    The factors are divided by their mean, so that the mean rate over the time that counts is the rate asked for. The
    warm-up stands at the rate of the beginning.
    """

    factors: tuple[tuple[float, float], ...] = ((1.0, 1.0),)

    def times(self, rate: float, warmup_s: float, duration_s: float, chance: np.random.Generator) -> Times:
        mean = sum(begin + end for begin, end in self.factors) / 2 / len(self.factors)
        part_s = duration_s / len(self.factors)
        first = self.factors[0][0]
        pieces = [Piece(warmup_s, rate * first / mean, rate * first / mean)]
        pieces += [Piece(part_s, rate * begin / mean, rate * end / mean) for begin, end in self.factors]
        return poisson_times(pieces, chance)


@dataclass(frozen=True, slots=True)
class _Spike:
    """A Poisson process at `factor` times the rate for `for_s` seconds, `at_s` after the warm-up; else at the rate.

    The mean over the whole is therefore not the rate, but above it (below it where the factor is under 1).
    """

    factor: float
    at_s: float
    for_s: float

    def times(self, rate: float, warmup_s: float, duration_s: float, chance: np.random.Generator) -> Times:
        if self.at_s >= duration_s:
            raise DeployError(f"the spike at {self.at_s:g} s comes after the end of the run, {duration_s:g} s")
        spike_s = min(self.for_s, duration_s - self.at_s)
        after_s = duration_s - self.at_s - spike_s
        high = rate * self.factor
        pieces = (Piece(warmup_s + self.at_s, rate, rate), Piece(spike_s, high, high), Piece(after_s, rate, rate))
        return poisson_times(pieces, chance)


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """Recorded times, from 0 on, as they are: neither rate nor seed changes them, what is beyond the end is cut."""

    recorded: Times
    speed: float

    def times(self, rate: float, warmup_s: float, duration_s: float, chance: np.random.Generator) -> Times:  # noqa: ARG002
        return self.recorded / self.speed


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When events come."""

    text: str
    spread: _Spread

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `poisson`, `gamma:2` and the like; raise `DeployError` that says what is possible."""
        name, _, told = text.strip().partition(":")
        reader = _READERS.get(name)
        if reader is None:
            raise DeployError(f"arrivals {text!r} are not known; possible: {POSSIBLE}")
        try:
            return cls(text.strip(), reader(told))
        except ValueError as error:
            raise DeployError(f"arrivals {text!r} cannot be read ({error}); possible: {POSSIBLE}") from error

    def times(self, rate: float, duration_s: float, seed: int, *, warmup_s: float = 0.0) -> Times:
        """Ascending seconds in [0, `warmup_s` + `duration_s`); `rate` is events per second.

        What changes over time (ramp, step, spike) begins after the warm-up. Raise `DeployError` where it cannot be.
        """
        total_s = warmup_s + duration_s
        if not (0 < rate < math.inf and 0 < duration_s < math.inf and 0 <= warmup_s < math.inf):
            raise DeployError(f"a rate of {rate:g}/s over {warmup_s:g} + {duration_s:g} s cannot be planned")
        if rate * total_s > _MOST_EVENTS:
            raise DeployError(f"{rate * total_s:,.0f} events are more than one schedule holds, {_MOST_EVENTS:,}")
        times = self.spread.times(rate, warmup_s, duration_s, np.random.default_rng(seed % _SEEDS))
        # Where pieces of a rate are joined, rounding could put a time before its predecessor.
        return np.maximum.accumulate(times[times < total_s])


def _plain(told: str, spread: _Spread) -> _Spread:
    if told:
        raise ValueError("it has no figures")
    return spread


def _ramp(told: str) -> _Spread:
    begin, _, end = told.partition("..")
    return _shape([(_factor(begin), _factor(end))])


def _steps(told: str) -> _Spread:
    return _shape([(level, level) for level in map(_factor, told.split(","))])


def _spike(told: str) -> _Spread:
    factor, _, when = told.partition("@")
    at, _, length = when.partition("+")
    return _Spike(_factor(factor), _number(at, 0, math.inf), _number(length, 1e-3, math.inf))


def _trace(told: str) -> _Spread:
    if not told:
        raise ValueError("it names no file")
    file, star, speed = told.rpartition("*")
    return _Trace(read_times(Path(file if star else told)), _number(speed, 1e-3, 1e6) if star else 1.0)


_READERS: Mapping[str, Callable[[str], _Spread]] = {
    "poisson": lambda told: _plain(told, _Shape()),
    "constant": lambda told: _plain(told, _Constant()),
    "gamma": lambda told: _Gamma(_number(told, 0.01, _MOST_CV)),
    "ramp": _ramp,
    "step": _steps,
    "spike": _spike,
    "trace": _trace,
}


def _shape(factors: Sequence[tuple[float, float]]) -> _Shape:
    if not any(begin + end for begin, end in factors):
        raise ValueError("all factors are 0")
    return _Shape(tuple(factors))


def _factor(text: str) -> float:
    return _number(text, 0, _MOST_FACTOR)


def _number(text: str, low: float, high: float) -> float:
    """A finite number in [low, high]; raise `ValueError`."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()!r} is no number") from None
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{text.strip()} is not between {low:g} and {high:g}")
    return value
