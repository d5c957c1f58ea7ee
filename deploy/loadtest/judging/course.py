"""What went on over time. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from deploy.loadtest.document import Series
from deploy.loadtest.judging.columns import Columns, Floats, Mask
from deploy.loadtest.judging.percentiles import exact
from deploy.loadtest.measuring.samples import Sample

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST = 240
#: A look at Kafka takes a while: its figures come every two seconds or so.
_HELD_S = 4.0


def step_of(length_s: float) -> float:
    """The shortest round step that gives at most 240 of them."""
    return next((float(step) for step in _STEPS_S if length_s / step <= _MOST), length_s / _MOST)


def series(columns: Columns, samples: Sequence[Sample], begin_ns: int, within_ms: float) -> Series:
    """From the first event to the last answer; `begin_ns` is when the measured window began."""
    times = np.concatenate([columns.due_s, columns.visible_s[columns.answered]])
    if not times.size:
        return Series(step_s=1, at_s=[], offered=[], delivered=[], goodput=[], p50_ms=[], p99_ms=[])
    start, end = min(0.0, float(times.min())), float(times.max())
    # One step less, since the first and the last are not full.
    step = step_of((end - start) * _MOST / (_MOST - 2))
    first = np.floor(start / step)
    edges = np.arange(first, np.floor(end / step) + 2) * step

    def rate(at_s: Floats) -> list[float]:
        return [float(one) for one in np.histogram(at_s, edges)[0] / step]

    in_time = columns.good & (columns.latency_ms <= within_ms)
    p50, p99 = _latencies(columns, edges)
    return Series(
        step_s=step,
        at_s=[float(one) for one in edges[:-1]],
        offered=rate(columns.due_s),
        delivered=rate(columns.visible_s[columns.answered]),
        goodput=rate(columns.due_s[in_time]),
        p50_ms=p50,
        p99_ms=p99,
        samples=_samples(samples, edges, begin_ns),
    )


def _latencies(columns: Columns, edges: Floats) -> tuple[list[float | None], list[float | None]]:
    """By the intended time; None where there is no event, or where it falls among the unanswered."""
    step_of_event = np.searchsorted(edges, columns.due_s, side="right") - 1
    order = np.argsort(step_of_event, kind="stable")
    bounds = np.searchsorted(step_of_event[order], np.arange(edges.size))
    told: tuple[list[float | None], list[float | None]] = ([], [])
    for begin, end in pairwise(bounds):
        here = order[begin:end]
        answered: Mask = columns.answered[here]
        latencies = columns.latency_ms[here][answered]
        for share, found in zip((0.5, 0.99), told, strict=True):
            value = exact(latencies, share, int((~answered).sum())) if here.size else float("inf")
            found.append(value if np.isfinite(value) else None)
    return told


def _samples(samples: Sequence[Sample], edges: Floats, begin_ns: int) -> dict[str, list[float | None]]:
    """The mean of each figure by step; where steps are shorter than looks are apart, the last one holds for a while."""
    found: dict[str, list[list[float]]] = {}
    for sample in samples:
        at = int(np.searchsorted(edges, (sample.at_ns - begin_ns) / 1e9, side="right")) - 1
        if 0 <= at < edges.size - 1:
            for name, value in sample.values.items():
                found.setdefault(name, [[] for _ in edges[:-1]])[at].append(value)
    held = max(1, round(_HELD_S / float(edges[1] - edges[0])))
    return {
        name: _held([sum(some) / len(some) if some else None for some in steps], held)
        for name, steps in sorted(found.items())
    }


def _held(values: Sequence[float | None], most: int) -> list[float | None]:
    """Gaps of at most so many steps less one filled with the value before them."""
    filled: list[float | None] = []
    since, last = most, None
    for value in values:
        since, last = (0, value) if value is not None else (since + 1, last)
        filled.append(last if since < most else None)
    return filled
