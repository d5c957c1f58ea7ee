"""An open loop: items are sent at their times, however slowly the answers come."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from deploy.errors import ServiceFailed

#: From the first item to the last answer.
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Offered:
    """How an open loop went."""

    #: Items per second, from the first one sent to the last one answered.
    rate: float
    #: Seconds from the time at which each was to be sent to its answer, ascending.
    latencies: Sequence[float]

    def quantile(self, share: float) -> float:
        """The latency that this share of the items does not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def evenly(rate: float, count: int) -> Iterator[float]:
    """Times in seconds from the start, equally far apart."""
    return (number / rate for number in range(count))


def poisson(rate: float, count: int, seed: int) -> Iterator[float]:
    """Times in seconds from the start, as of many senders who know nothing of each other."""
    random = Random(seed)  # noqa: S311 - arrivals, no secret
    return accumulate(random.expovariate(rate) for _ in range(count))


async def offer(send: Callable[[int], Awaitable[object]], times: Iterator[float]) -> Offered:
    """Send an item at each of the times; raise `ServiceFailed` if the answers take more than `PATIENCE_S`."""
    latencies: list[float] = []

    async def one(number: int, due: float) -> None:
        await send(number)
        latencies.append(time.perf_counter() - due)

    started = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for number, at in enumerate(times):
                await asyncio.sleep(max(0.0, started + at - time.perf_counter()))
                group.create_task(one(number, started + at))
    except TimeoutError as error:
        raise ServiceFailed(f"only {len(latencies)} items were answered in {PATIENCE_S:g} s") from error
    return Offered(len(latencies) / (time.perf_counter() - started), sorted(latencies))
