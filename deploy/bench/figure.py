"""A figure: two ways of doing the same work, run in turns, and the ratio of their rates."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

#: Told how many of the planned runs are done: `progress(done, planned)`.
Progress = Callable[[int, int], None]
#: A way of doing the work; gives its rate, higher is better.
Rate = Callable[[], float]

_FEWEST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Round:
    """One run of the baseline, and right after it one of what is measured."""

    baseline: float
    measured: float

    @property
    def ratio(self) -> float:
        """How many times the baseline's rate. The noise of a shared machine changes slowly, so it mostly cancels."""
        return self.measured / self.baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a bench found. Rates are medians over the rounds, in `unit`."""

    name: str
    #: Median of the rounds' ratios, which is not the ratio of the medians.
    ratio: float
    goal: float | None
    baseline: float
    measured: float
    unit: str
    rounds: tuple[Round, ...]
    #: What it was measured with, where that is not always the same.
    note: str = ""

    @classmethod
    def of(
        cls, name: str, rounds: Sequence[Round], *, unit: str, goal: float | None = None, note: str = ""
    ) -> "Figure":
        """Sum up the rounds, of which there must be one at least."""
        return cls(
            name=name,
            ratio=median(one.ratio for one in rounds),
            goal=goal,
            baseline=median(one.baseline for one in rounds),
            measured=median(one.measured for one in rounds),
            unit=unit,
            rounds=tuple(rounds),
            note=note,
        )

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of a round."""
        ratios = [one.ratio for one in self.rounds]
        return min(ratios), max(ratios)

    @property
    def missed(self) -> bool:
        """Whether there is a goal and the ratio is below it."""
        return self.goal is not None and self.ratio < self.goal


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keep the collector from walking what was prepared; it still walks what the runs make."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def in_turns(
    baseline: Rate, measured: Rate, progress: Progress, *, rounds: int = 5, budget_s: float = 30.0, warm_up: bool = True
) -> list[Round]:
    """Run A B A B ...; after `budget_s` and three rounds no further one begins. The warm-up does not count."""
    planned = 2 * (rounds + warm_up)
    done = 0

    def run(way: Rate) -> float:
        nonlocal done
        rate = way()
        done += 1
        progress(done, planned)
        return rate

    progress(0, planned)
    if warm_up:
        run(baseline)
        run(measured)
    deadline = time.monotonic() + budget_s
    found: list[Round] = []
    while len(found) < rounds and (len(found) < _FEWEST_ROUNDS or time.monotonic() < deadline):
        found.append(Round(run(baseline), run(measured)))
    progress(planned, planned)
    return found
