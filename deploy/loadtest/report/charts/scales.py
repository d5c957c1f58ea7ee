"""From figures to places on the paper: axes with round ticks. Pure.

Whatever the figures are, a scale gives finite places between its ends.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: No clock and no counter of ours says more; and what is smaller is nothing.
_LARGEST, _SMALLEST = 1e15, 1e-9
_TIME_STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400),
)

Label = Callable[[float], str]


class Tick(NamedTuple):
    """A mark of an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[Tick, ...]
    bend: Callable[[float], float] = float

    def at(self, value: float) -> float:
        """The place of a figure; what lies beyond an end is drawn at that end."""
        low, high = self.bend(self.low), self.bend(self.high)
        inside = min(max(value, self.low), self.high)
        part = (self.bend(inside) - low) / (high - low)
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)


def measured(value: float | None) -> float | None:
    """The figure, or None where it cannot be one."""
    if value is None or not math.isfinite(value) or abs(value) > _LARGEST:
        return None
    return 0.0 if abs(value) < _SMALLEST else float(value)


def known(values: Iterable[float | None]) -> list[float]:
    """The figures without the gaps."""
    return [one for one in map(measured, values) if one is not None]


def linear(
    values: Sequence[float], start: float, end: float, label: Label, ticks: int = 4, *, least_step: float = 0.0
) -> Scale:
    """From 0, or from the lowest figure below it, to a round figure above the highest."""
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    if high - low < _SMALLEST:
        high = low + 1.0
    step = max(nice_step((high - low) / ticks), least_step)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    marks = (low + step * index for index in range(round((high - low) / step) + 1))
    return Scale(low, high, start, end, tuple(Tick(mark, label(mark)) for mark in marks))


def span(values: Sequence[float], start: float, end: float, label: Label, ticks: int = 6) -> Scale:
    """From the lowest to the highest figure, a little wider, for what has no natural zero."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < max(_SMALLEST, abs(high) * 1e-6):
        low, high = low - max(1.0, abs(low) * 0.1), high + max(1.0, abs(high) * 0.1)
    low, high = low - (high - low) * 0.04, high + (high - low) * 0.04
    step = nice_step((high - low) / ticks)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Scale(low, high, start, end, tuple(Tick(step * n, label(step * n)) for n in range(first, last + 1)))


def nice_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    size = 10.0 ** math.floor(math.log10(step))
    return next(nice * size for nice in (1, 2, 5, 10) if nice * size >= step * (1 - 1e-9))


def spreads(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows more: everything is above 0, and the largest is 12 times the smallest."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > 12 * min(positive)


def logarithmic(values: Sequence[float], start: float, end: float, label: Label, ticks: int = 6) -> Scale:
    """From a 1, 2 or 5 below the smallest figure above 0 to one above the largest."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = _round_down(min(positive)), _round_up(max(positive))
    if high <= low:
        high = low * 10
    return Scale(low, high, start, end, tuple(Tick(one, label(one)) for one in _decades(low, high, ticks)), math.log10)


def vertical(values: Sequence[float], start: float, end: float, label: Label, ticks: int = 4) -> Scale:
    """Logarithmic where that shows more, else linear."""
    return (
        logarithmic(values, start, end, label, ticks + 2)
        if spreads(values)
        else linear(values, start, end, label, ticks)
    )


def _round_down(value: float) -> float:
    size = 10.0 ** math.floor(math.log10(value))
    return max(nice * size for nice in (1, 2, 5) if nice * size <= value * (1 + 1e-9) or nice == 1)


def _round_up(value: float) -> float:
    size = 10.0 ** math.floor(math.log10(value))
    return min(nice * size for nice in (1, 2, 5, 10) if nice * size >= value * (1 - 1e-9) or nice == 10)


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for parts, every in (((1, 2, 5), 1), ((1, 3), 1), *(((1,), every) for every in range(1, last - first + 2))):
        powers = range(first, last + 1, every)
        marks = [part * 10.0**power for power in powers for part in parts]
        inside = [mark for mark in marks if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
        if len(inside) <= most:
            return inside
    return [low, high]


def over_time(low: float, high: float, start: float, end: float, ticks: int) -> Scale:
    """Seconds, with ticks at round times."""
    if high - low < _SMALLEST:
        high = low + 1.0
    wanted = (high - low) / max(1, ticks)
    step = next((step for step in _TIME_STEPS_S if step >= wanted), None) or nice_step(wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    marks = (index * step for index in range(first, last + 1))
    return Scale(low, high, start, end, tuple(Tick(mark, _time(mark, step)) for mark in marks))


def _time(value: float, step: float) -> str:
    if value == 0:
        return "0"
    if step >= 1800:
        return f"{value / 3600:g} h"
    return f"{value / 60:g} min" if step >= 60 else f"{value:g} s"


def nines(highest: float, start: float, end: float) -> Scale:
    """Percentiles from 0 to `highest` (below 100): each further nine gets as much room as the one before."""
    top = min(max(highest, 90.0), 99.99999)
    marks = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)
    ticks = tuple(Tick(mark, f"{mark:g} %") for mark in marks if mark <= top + 1e-9)
    return Scale(0.0, top, start, end, ticks, lambda percentile: -math.log10(1 - percentile / 100))
