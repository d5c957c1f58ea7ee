"""What the batcher costs per item: queue, futures, event loop and thread, around a stage that does nothing."""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry

from deploy.bench.figure import Figure, Progress, in_turns
from deploy.bench.stand_in import MOST, Cost, Sleeper, shot
from serve.batching.backlog import BatchQueue
from serve.batching.job import Job, Limits
from serve.batching.slots import ComputeSlots
from serve.interfaces import Caller
from serve.metrics import PrometheusMetrics

_BYTES = 2**40
_MANY = 100
#: Items that wait at once: what a replica is given, and more.
_WAITING = 400


def run(progress: Progress, *, items: int = 4_000, rounds: int = 7) -> Figure:
    """Items per second of CPU time, of one tenant."""
    return _run("batcher", 1, progress, items, rounds)


def run_many(progress: Progress, *, items: int = 4_000, rounds: int = 7) -> Figure:
    """Items per second of CPU time, of a hundred tenants who all wait."""
    return _run("batcher-tenants", _MANY, progress, items, rounds)


def _run(name: str, tenants: int, progress: Progress, items: int, rounds: int) -> Figure:
    waiting = min(_WAITING, items)
    with asyncio.Runner() as runner:
        found = in_turns(
            lambda: runner.run(hops(items, waiting)),
            lambda: runner.run(through_slots(items, waiting, tenants)),
            progress,
            rounds=rounds,
        )
    alone = min(queue_alone(items, waiting, tenants) for _ in range(3))
    figure = Figure.of(name, found, unit="items/CPU s")
    note = f"per item: batcher {1e6 / figure.measured:.0f} µs, of which queue {1e6 * alone:.0f}; "
    note += f"hop {1e6 / figure.baseline:.0f} µs"
    return Figure.of(name, found, unit="items/CPU s", note=note)


async def hops(items: int, waiting: int) -> float:
    """Items per second of CPU time, each to a thread and back by itself."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread:
        started = time.process_time()
        for first in range(0, items, waiting):
            wave = range(first, min(first + waiting, items))
            await asyncio.gather(*(loop.run_in_executor(thread, int) for _ in wave))
        return items / (time.process_time() - started)


async def through_slots(items: int, waiting: int, tenants: int) -> float:
    """Items per second of CPU time through `ComputeSlots`, each handed over by itself."""
    stage, slots = Sleeper(Cost()), ComputeSlots(Limits(MOST, _BYTES), PrometheusMetrics(CollectorRegistry()))
    shots = [shot(number) for number in range(items)]
    callers = [Caller(f"tenant-{number % tenants}", math.inf) for number in range(items)]
    try:
        started = time.process_time()
        for first in range(0, items, waiting):
            wave = range(first, min(first + waiting, items))
            await asyncio.gather(*(slots.run(stage, [shots[number]], callers[number]) for number in wave))
        return items / (time.process_time() - started)
    finally:
        slots.close()


def queue_alone(items: int, waiting: int, tenants: int) -> float:
    """Seconds of CPU time per item for waiting and being taken, without loop and thread."""
    queue: BatchQueue[int] = BatchQueue(Limits(MOST, _BYTES))
    jobs = [
        Job(bucket=0, rank=0, tenant=f"tenant-{number % tenants}", items=1, bytes=1, deadline=math.inf, payload=number)
        for number in range(items)
    ]
    taken = 0
    started = time.process_time()
    for first in range(0, items, waiting):
        for job in jobs[first : first + waiting]:
            queue.add(job)
        while batch := queue.take(0.0):
            taken += len(batch)
    spent = time.process_time() - started
    if taken != items:
        raise RuntimeError(f"{taken} of {items} jobs were taken")
    return spent / items
