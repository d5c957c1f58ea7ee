import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from serve.batching.job import Limits
from serve.batching.slots import ComputeSlots
from serve.development import LocalDevelopment
from serve.errors import DeadlineExceeded
from serve.interfaces import Caller, Shot, ShotFailure
from serve.metrics import PrometheusMetrics
from tests.support.shots import PATIENCE_S, Recorder, shot

ACME = Caller("acme", float("inf"))


def with_slots(
    work: Callable[[ComputeSlots], Awaitable[None]], *, items: int = 1, registry: CollectorRegistry | None = None
) -> None:
    async def main() -> None:
        slots = ComputeSlots(Limits(items, 2**40), PrometheusMetrics(registry or CollectorRegistry()))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await work(slots)
        finally:
            slots.close()

    asyncio.run(main())


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


def test_a_photo_that_was_begun_is_finished_before_the_next_one_starts() -> None:
    log: list[str] = []
    stages = [Recorder(name) for name in ("generation", "style_transfer", "quality_filter")]
    for stage in stages:
        stage.batches = log

    async def work(slots: ComputeSlots) -> None:
        development = LocalDevelopment(slots)
        made = await asyncio.gather(*(development.develop(stages, [shot(key)], ACME) for key in "abc"))
        assert slots.waiting == 0
        assert [[one.seed for one in developed.shots if isinstance(one, Shot)] for developed in made] == [[3]] * 3
        assert all(set(developed.seconds) == {stage.name for stage in stages} for developed in made)

    with_slots(work)
    assert log == [key for key in "abc" for _ in stages]
    threads = set().union(*(stage.threads for stage in stages))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_waits_for_the_slot_becomes_one_batch_across_events() -> None:
    gate = threading.Event()
    stage = Recorder(gate=gate)
    registry = CollectorRegistry()

    async def work(slots: ComputeSlots) -> None:
        tasks = [asyncio.create_task(slots.run(stage, [shot("a")], ACME))]
        await until(stage.began)
        tasks += [asyncio.create_task(slots.run(stage, [shot(key)], Caller(key, float("inf")))) for key in "bcdef"]
        await asyncio.sleep(0)
        assert slots.waiting == 5
        gate.set()
        for task, key in zip(tasks, "abcdef", strict=True):
            assert [one.key for one in (await task).shots if isinstance(one, Shot)] == [key]

    with_slots(work, items=4, registry=registry)
    assert stage.batches == ["a", "bcde", "f"]
    fill = registry.get_sample_value("vitrine_batch_fill_sum", {"stage": "generation"})
    assert fill == (1 + 4 + 1) / 4
    assert registry.get_sample_value("vitrine_stage_runs_total", {"stage": "generation", "outcome": "ok"}) == 6


def test_shots_without_bucket_pass_and_those_of_different_buckets_go_apart() -> None:
    stage = Recorder()
    stage.passing = {"p"}

    async def work(slots: ComputeSlots) -> None:
        worked = await slots.run(stage, [shot("a"), shot("p"), shot("b", "png"), shot("c")], ACME)
        assert [(one.key, one.seed) for one in worked.shots if isinstance(one, Shot)] == [
            ("a", 1),
            ("p", 0),
            ("b", 1),
            ("c", 1),
        ]
        assert (await slots.run(stage, [], ACME)).shots == []

    with_slots(work, items=8)
    assert sorted(stage.batches) == ["ac", "b"]


def test_a_cancelled_batch_that_waits_never_runs_and_blocks_nobody() -> None:
    gate = threading.Event()
    stage = Recorder(gate=gate)

    async def work(slots: ComputeSlots) -> None:
        first = asyncio.create_task(slots.run(stage, [shot("a")], ACME))
        await until(stage.began)
        gone = asyncio.create_task(slots.run(stage, [shot("x")], ACME))
        last = asyncio.create_task(slots.run(stage, [shot("b")], ACME))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert slots.waiting == 1
        gate.set()
        await asyncio.gather(first, last)
        assert gone.cancelled()

    with_slots(work)
    assert stage.batches == ["a", "b"]


def test_what_has_not_begun_by_its_deadline_is_told_so_and_never_runs() -> None:
    gate = threading.Event()
    stage = Recorder(gate=gate)

    async def work(slots: ComputeSlots) -> None:
        now = asyncio.get_running_loop().time()
        first = asyncio.create_task(slots.run(stage, [shot("a")], Caller("acme", now + 0.01)))
        await until(stage.began)
        late = asyncio.create_task(slots.run(stage, [shot("x")], Caller("acme", now + 0.02)))
        with pytest.raises(DeadlineExceeded):
            await late
        assert slots.waiting == 0
        gate.set()
        # What had begun is finished: the time is spent anyway, and its caller decides what becomes of it.
        assert len((await first).shots) == 1

    with_slots(work)
    assert stage.batches == ["a"]


def test_the_slot_is_free_again_after_an_error_and_the_shot_alone_fails() -> None:
    class Broken(Recorder):
        def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
            if any(one.key == "x" for one in batch):
                raise RuntimeError("no such colour")
            return super().run(batch)

    async def work(slots: ComputeSlots) -> None:
        stage = Broken()
        a, x, b = (await slots.run(stage, [shot(key) for key in "axb"], ACME)).shots
        assert isinstance(x, ShotFailure)
        assert (x.error.code, x.stage) == ("stage_failed", "generation")
        assert isinstance(a, Shot)
        assert isinstance(b, Shot)
        assert len((await slots.run(stage, [shot("c")], ACME)).shots) == 1

    with_slots(work, items=8)


def test_batches_shrink_when_memory_does_not_suffice() -> None:
    class Small(Recorder):
        def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
            if len(batch) > 2:
                raise MemoryError
            return super().run(batch)

    gate = threading.Event()
    stage = Small(gate=gate)

    async def work(slots: ComputeSlots) -> None:
        tasks = [asyncio.create_task(slots.run(stage, [shot(key)], ACME)) for key in "abcdefghij"]
        await until(stage.began)
        gate.set()
        done = [one for task in tasks for one in (await task).shots]
        assert [one.key for one in done if isinstance(one, Shot)] == list("abcdefghij")

    with_slots(work, items=4)
    # Four do not fit: they are halved, and so are the batches to come.
    assert stage.batches == ["a", "bc", "de", "fg", "hi", "j"]


def test_a_stuck_batch_is_seen_and_other_work_can_be_put_between_batches() -> None:
    gate = threading.Event()
    stage = Recorder(gate=gate)

    async def work(slots: ComputeSlots) -> None:
        assert slots.busy_s() == 0
        task = asyncio.create_task(slots.run(stage, [shot("a")], ACME))
        await until(stage.began)
        assert slots.busy_s() > 0
        threads: list[int] = []
        other = slots.submit(lambda: threads.append(threading.get_ident()))
        gate.set()
        await asyncio.wrap_future(other)
        await task
        assert set(threads) == stage.threads
        await asyncio.sleep(0)
        assert slots.busy_s() == 0

    with_slots(work)
