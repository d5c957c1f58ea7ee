"""The tracker at its full window, against a plain set: what exact bookkeeping of offsets costs."""

import time
from collections.abc import Callable, Iterator
from random import Random
from statistics import median

from consumers.core.bitmap import MAX_WINDOW
from consumers.core.tracker import Tracker
from deploy.bench.figure import Figure, Progress, in_turns

#: A commit is due after so many completions, see `Limits.commit_every`.
_COMMIT_EVERY = 100


def run(progress: Progress, *, events: int = 60_000, rounds: int = 5) -> Figure:
    """Offsets per second, received and done in random order within the window, with a snapshot for every commit."""
    sizes: list[int] = []
    found = in_turns(lambda: with_set(events), lambda: with_tracker(events, sizes.append), progress, rounds=rounds)
    note = f"commit metadata: median {median(sizes):.0f}, at most {max(sizes)} characters"
    return Figure.of("tracking", found, unit="offsets/s", note=note)


def with_tracker(events: int, size: Callable[[int], None]) -> float:
    """The real one."""
    tracker = Tracker(0)
    started = time.perf_counter()
    for number, offset in enumerate(_order(events, tracker.deliver)):
        tracker.complete(offset)
        if number % _COMMIT_EVERY == 0 and (snapshot := tracker.snapshot()) is not None:
            size(len(snapshot.metadata))
    if tracker.position != events:
        raise RuntimeError(f"{tracker.position} of {events} offsets are done")
    return events / (time.perf_counter() - started)


def with_set(events: int) -> float:
    """Which are open, and nothing else."""
    open_: set[int] = set()
    started = time.perf_counter()
    for offset in _order(events, open_.add):
        open_.remove(offset)
    return events / (time.perf_counter() - started)


def _order(events: int, deliver: Callable[[int], object]) -> Iterator[int]:
    """Deliver as far as the window goes, finish in random order; the head of the window comes last of each run."""
    random = Random(0)  # noqa: S311 - an order, no secret
    for start in range(0, events, MAX_WINDOW):
        window = list(range(start, min(start + MAX_WINDOW, events)))
        for offset in window:
            deliver(offset)
        head, *others = window
        random.shuffle(others)
        yield from (*others, head)
