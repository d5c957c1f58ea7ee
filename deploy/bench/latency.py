"""How long an item takes where the slots are busy, but not too busy: against what a batch takes."""

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from deploy.bench.batching import FLAT
from deploy.bench.batching_apps import slot_first
from deploy.bench.figure import Figure, Progress, Round
from deploy.bench.local_ray import deployed
from deploy.bench.open_loop import Offered, offer, poisson

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

#: At 70 % of capacity 99 of 100 items take at most so many batches' time.
MOST_BATCHES = 3.0
_GOAL = 1.0
_LOAD = 0.7
_WARM_UP = 20


def run(progress: Progress, *, items: int = 800, rounds: int = 3) -> Figure:
    """Three batches' time by p99, both as rates. Items arrive at random, at 70 % of capacity."""
    with deployed(slot_first(FLAT)) as (handle,), asyncio.Runner() as runner:
        seeds = count()
        runner.run(_offered(handle, _WARM_UP, next(seeds)))
        found: list[Offered] = []
        for number in range(rounds):
            progress(number, rounds)
            found.append(runner.run(_offered(handle, items, next(seeds))))
        progress(rounds, rounds)
    batch_s = FLAT.of(1)
    p50, p99 = (sorted(one.quantile(share) for one in found)[len(found) // 2] for share in (0.5, 0.99))
    note = f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms: {p99 / batch_s:.1f} times a batch's {batch_s * 1000:.0f}"
    turns = [Round(1 / (MOST_BATCHES * batch_s), 1 / one.quantile(0.99)) for one in found]
    return Figure.of("latency", turns, unit="1/s", goal=_GOAL, note=note)


async def _offered(handle: "DeploymentHandle[Any]", items: int, seed: int) -> Offered:
    async def send(number: int) -> object:
        return await handle.remote(number)

    return await offer(send, poisson(_LOAD * FLAT.capacity, items, seed))
