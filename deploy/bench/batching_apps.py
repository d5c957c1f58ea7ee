"""The same stage as a Ray Serve deployment twice: behind our batcher, and behind `@serve.batch`."""

import asyncio
import math
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from deploy.bench.stand_in import MOST, Cost, Sleeper, shot
from serve.batching.job import Limits
from serve.batching.slots import ComputeSlots
from serve.interfaces import Caller
from serve.metrics import PrometheusMetrics

if TYPE_CHECKING:
    from ray.serve import Application

#: More than any bench has under way, so that nothing but the batcher decides.
_ONGOING = 4096
_OPTIONS = {
    "max_ongoing_requests": _ONGOING,
    "ray_actor_options": {"num_cpus": 0.3},
    "graceful_shutdown_wait_loop_s": 0.1,
}
_BYTES = 2**40
_TENANTS = 4


class SlotFirst:
    """`ComputeSlots` of one slot, as in a replica of Vitrine."""

    def __init__(self, cost: Cost) -> None:
        self._stage = Sleeper(cost)
        self._slots = ComputeSlots(Limits(MOST, _BYTES), PrometheusMetrics(CollectorRegistry()))

    async def __call__(self, number: int) -> int:
        """One item."""
        await self._slots.run(self._stage, [shot(number)], Caller(f"tenant-{number % _TENANTS}", math.inf))
        return number

    async def sizes(self) -> list[int]:
        """The batches since this was last asked."""
        sizes, self._stage.sizes = self._stage.sizes, []
        return sizes


def slot_first(cost: Cost) -> "Application":
    """Our batcher."""
    return _application(SlotFirst, cost)


def serve_batch(cost: Cost) -> "Application":
    """`@serve.batch` as Ray's documentation has it, computing in a thread; it waits as by default, or as it is told."""
    from ray import serve  # noqa: PLC0415 - seconds, and most benches need no Ray

    class ServeBatch:
        def __init__(self) -> None:
            self._stage = Sleeper(cost)

        @serve.batch(max_batch_size=MOST)
        async def _batch(self, numbers: list[int]) -> list[int]:
            await asyncio.to_thread(self._stage.run, [shot(number) for number in numbers])
            return numbers

        async def __call__(self, number: int) -> int:
            answer: int = await self._batch(number)
            return answer

        async def sizes(self) -> list[int]:
            sizes, self._stage.sizes = self._stage.sizes, []
            return sizes

        async def wait(self, seconds: float) -> None:
            self._batch.set_batch_wait_timeout_s(seconds)  # type: ignore[attr-defined]

    return _application(ServeBatch)


def _application(replica: type, *args: object) -> "Application":
    from ray import serve  # noqa: PLC0415

    deployment = serve.deployment(
        max_ongoing_requests=_ONGOING, ray_actor_options={"num_cpus": 0.3}, graceful_shutdown_wait_loop_s=0.1
    )
    return deployment(replica).bind(*args)
