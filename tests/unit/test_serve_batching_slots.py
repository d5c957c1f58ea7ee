import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from serve.batching.budget import Budget
from serve.batching.job import Limits
from serve.batching.slots import ComputeSlots
from serve.catalog.recipe import Variant
from serve.interfaces import Caller, Shot, ShotFailure, SourceImage
from serve.metrics import PrometheusMetrics

VARIANT = Variant.model_validate({"name": "v", "operations": [{"op": "studio"}]})


class Recorder:
    """A stage that notes which shots it saw, and in which thread."""

    def __init__(self, name: str, log: list[str], hold: threading.Event | None = None) -> None:
        self.name = name
        self.log = log
        self.threads: set[int] = set()
        self._hold = hold

    def models(self, _: Variant) -> tuple[()]:
        return ()

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        if self._hold is not None:
            self._hold.wait(5)
        self.threads.add(threading.get_ident())
        self.log.extend(f"{self.name} {shot.key}" for shot in batch)
        return list(batch)


def shot(key: str) -> Shot:
    source = SourceImage(image_id=key, sha256=key, pixels=np.zeros((2, 2, 3), np.uint8), format="jpeg")
    return Shot(source=source, variant=VARIANT, key=key, seed=0)


def with_slots(work: Callable[[ComputeSlots], Awaitable[None]]) -> None:
    async def main() -> None:
        slots = ComputeSlots()
        try:
            await work(slots)
        finally:
            slots.close()

    asyncio.run(main())


def test_a_photo_that_was_begun_is_finished_before_the_next_one_starts() -> None:
    log: list[str] = []
    stages = [Recorder(name, log) for name in ("generation", "style_transfer", "quality_filter")]

    async def photo(slots: ComputeSlots, key: str) -> None:
        for stage in stages:
            await slots.run(stage, [shot(key)])

    async def work(slots: ComputeSlots) -> None:
        await asyncio.gather(*(photo(slots, key) for key in "abc"))
        assert slots.waiting == 0

    with_slots(work)
    assert log == [f"{stage.name} {key}" for key in "abc" for stage in stages]
    threads = set().union(*(stage.threads for stage in stages))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_cancelled_batch_that_waits_never_runs_and_blocks_nobody() -> None:
    log: list[str] = []
    hold = threading.Event()

    async def work(slots: ComputeSlots) -> None:
        first = asyncio.create_task(slots.run(Recorder("generation", log, hold), [shot("first")]))
        gone = asyncio.create_task(slots.run(Recorder("generation", log), [shot("gone")]))
        last = asyncio.create_task(slots.run(Recorder("generation", log), [shot("last")]))
        await asyncio.sleep(0.01)
        gone.cancel()
        hold.set()
        await first
        await last
        assert gone.cancelled()

    with_slots(work)
    assert log == ["generation first", "generation last"]


def test_the_slot_is_free_again_after_an_error() -> None:
    class Broken(Recorder):
        def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
            raise RuntimeError("out of memory")

    log: list[str] = []

    async def work(slots: ComputeSlots) -> None:
        with pytest.raises(RuntimeError):
            await slots.run(Broken("generation", log), [shot("a")])
        await slots.run(Recorder("generation", log), [shot("b")])
        assert await slots.run(Recorder("generation", log), []) == []

    with_slots(work)
    assert log == ["generation b"]


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=20))
def test_a_budget_is_never_overdrawn_and_all_comes_back(total: int, wishes: list[tuple[int, bool]]) -> None:
    async def main() -> None:
        budget = Budget(total)
        most = 0

        async def holder(amount: int) -> None:
            nonlocal most
            async with budget.take(amount):
                most = max(most, budget.used)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(holder(amount)) for amount, _ in wishes]
        await asyncio.sleep(0)
        for task, (_, cancelled) in zip(tasks, wishes, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= total
        assert (budget.used, budget.waiting) == (0, 0)

    asyncio.run(main())


def test_a_budget_serves_in_order_so_that_a_large_wish_is_not_starved() -> None:
    async def main() -> None:
        budget, served = Budget(10), list[int]()

        async def holder(amount: int) -> None:
            async with budget.take(amount):
                served.append(amount)
                await asyncio.sleep(0)

        await asyncio.gather(*(holder(amount) for amount in (6, 100, 1, 2)))
        assert served == [6, 100, 1, 2]

    asyncio.run(main())
    with pytest.raises(ValueError, match="positive"):
        Budget(0)
