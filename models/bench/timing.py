"""Timing on a machine that also does other things: all ways take turns, and are compared within the same turn."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.bench.modes import PLAIN, Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What one way took."""

    #: Median over the rounds, in ms: by the clock, and of the process on all its threads.
    wall_ms: float
    processor_ms: float
    #: Median over the rounds of its time as a share of the plain way's in the same round, by the clock.
    share: float


def take_turns(calls: Mapping[str, Call], rounds: int, finish: Callable[[], None]) -> dict[str, Timed]:
    """Time each call once per round, after two calls unmeasured; `finish` waits for what still computes.

    `calls` hold the plain way.
    """
    for call in calls.values():
        for _ in range(2):
            call()
    finish()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(_timed(call, finish))
    return {name: _summed_up(spans, taken[PLAIN]) for name, spans in taken.items()}


def _timed(call: Call, finish: Callable[[], None]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    call()
    finish()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - processor) * 1000


def _summed_up(spans: list[tuple[float, float]], plain: list[tuple[float, float]]) -> Timed:
    return Timed(
        wall_ms=statistics.median(wall for wall, _ in spans),
        processor_ms=statistics.median(processor for _, processor in spans),
        share=statistics.median(own[0] / other[0] for own, other in zip(spans, plain, strict=True)),
    )
