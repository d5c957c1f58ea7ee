"""Our batcher against `@serve.batch`, in a replica of Ray Serve under an open loop."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deploy.bench.batching_apps import serve_batch, slot_first
from deploy.bench.figure import Figure, Progress, in_turns
from deploy.bench.local_ray import deployed
from deploy.bench.open_loop import evenly, offer
from deploy.bench.stand_in import Cost

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

#: A net on a GPU that is far from full: as long for one as for sixteen. 160 items/s.
FLAT = Cost(batch_s=0.1)
#: A net that fills its device with one item. 100 items/s, whatever the batches.
LINEAR = Cost(item_s=0.01)
#: Longer than the default of 10 ms. The second is as long as a flat batch, which one must know to choose it.
_WAITS_S = (0.05, 0.1)
_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Loop:
    """An open loop, and what is expected of it."""

    name: str
    cost: Cost
    #: Items per second that are offered.
    rate: float
    goal: float


_FLAT = Loop("batching-flat", FLAT, 100.0, 3.0)
#: More than can be done: below that both would do what is offered, and nothing would be told by it.
_LINEAR = Loop("batching-linear", LINEAR, 120.0, 1.0)


@dataclass(slots=True)
class Way:
    """A deployment, and the batches that it made."""

    handle: "DeploymentHandle[Any]"
    runner: asyncio.Runner
    sizes: list[int] = field(default_factory=list)

    def run(self, rate: float, count: int) -> float:
        """Items per second."""
        offered = self.runner.run(offer(self._send, evenly(rate, count)))
        self.sizes += self.runner.run(self._taken())
        return offered.rate

    def wait(self, seconds: float) -> None:
        """Have `@serve.batch` wait so long for a batch to fill, and forget what was."""
        self.runner.run(self._told(seconds))
        self.sizes.clear()

    @property
    def mean(self) -> float:
        """Items of a batch."""
        return sum(self.sizes) / len(self.sizes)

    async def _send(self, number: int) -> object:
        return await self.handle.remote(number)

    async def _taken(self) -> Sequence[int]:
        sizes: Sequence[int] = await self.handle.sizes.remote()
        return sizes

    async def _told(self, seconds: float) -> None:
        await self.handle.wait.remote(seconds)


def run_flat(progress: Progress, *, count: int = 200, rounds: int = 3) -> Figure:
    """Items per second at 100/s offered, where a batch takes 0.1 s whatever it holds."""
    return _run(_FLAT, progress, count, rounds)


def run_linear(progress: Progress, *, count: int = 240, rounds: int = 5) -> Figure:
    """Items per second at 120 % of what can be done, where every item takes 10 ms."""
    return _run(_LINEAR, progress, count, rounds)


def _run(loop: Loop, progress: Progress, count: int, rounds: int) -> Figure:
    with deployed(slot_first(loop.cost), serve_batch(loop.cost)) as handles, asyncio.Runner() as runner:
        ours, theirs = ways = [Way(handle, runner) for handle in handles]
        for way in ways:
            way.run(loop.rate, _WARM_UP)
            way.sizes.clear()
        found = in_turns(
            lambda: theirs.run(loop.rate, count),
            lambda: ours.run(loop.rate, count),
            progress,
            rounds=rounds,
            budget_s=25.0,
            warm_up=False,
        )
        note = f"mean batch {ours.mean:.1f} / {theirs.mean:.1f}; @serve.batch with other waits:"
        for wait_s in _WAITS_S:
            theirs.wait(wait_s)
            done = theirs.run(loop.rate, count)
            note += f" {wait_s * 1000:.0f} ms {done:.0f}/s, mean batch {theirs.mean:.1f};"
    return Figure.of(loop.name, found, unit="items/s", goal=loop.goal, note=note.removesuffix(";"))
