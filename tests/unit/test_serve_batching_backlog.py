"""The decisions of the batcher, against a plain list of what waits."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serve.batching.backlog import GROW_AFTER, BatchQueue
from serve.batching.fair import FairClock
from serve.batching.job import Job, Limits

FOREVER = float("inf")


def job(
    name: str = "",
    *,
    bucket: str = "b",
    rank: int = 0,
    tenant: str = "t",
    items: int = 1,
    size: int = 1,
    by: float = FOREVER,
) -> Job[str]:
    return Job(bucket=bucket, rank=rank, tenant=tenant, items=items, bytes=size, deadline=by, payload=name)


def names(batch: list[Job[str]]) -> str:
    return "".join(one.payload for one in batch)


class Machine(RuleBasedStateMachine):
    """Jobs come, leave and grow old; batches are taken. A list in the order of arrival is the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(4, 20)
        self.queue: BatchQueue[str] = BatchQueue(self.limits)
        self.waiting: list[Job[str]] = []
        self.left: list[Job[str]] = []
        self.now = 0.0
        self.caps: dict[str, int] = {}

    @rule(
        bucket=st.sampled_from("xyz"),
        rank=st.integers(0, 2),
        tenant=st.sampled_from("abc"),
        items=st.integers(1, 6),
        size=st.integers(0, 25),
        life=st.one_of(st.none(), st.integers(1, 4)),
    )
    def add(self, bucket: str, rank: int, tenant: str, items: int, size: int, life: int | None) -> None:
        by = FOREVER if life is None else self.now + life
        one = job(bucket=f"{bucket}{rank}", rank=rank, tenant=tenant, items=items, size=size, by=by)
        self.queue.add(one)
        self.waiting.append(one)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.waiting))
        assert self.queue.remove(one)
        assert not self.queue.remove(one)
        self._gone(one)

    @rule(seconds=st.integers(1, 3))
    def age(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        late = self.queue.expired(self.now)
        assert set(late) == {one for one in self.waiting if one.deadline <= self.now}
        for one in late:
            self._gone(one)

    @rule()
    def take(self) -> None:
        live = [one for one in self.waiting if one.deadline > self.now]
        batch = self.queue.take(self.now)
        assert bool(batch) == bool(live), "a slot must not stand idle while work waits"
        if not batch:
            return
        assert len(set(batch)) == len(batch)
        assert set(batch) <= set(live)
        (bucket,) = {one.bucket for one in batch}
        assert batch[0].rank == max(one.rank for one in live)
        self._within_limits(batch, str(bucket))
        for tenant in {one.tenant for one in batch}:
            mine = [one for one in batch if one.tenant == tenant]
            assert mine == [one for one in live if (one.bucket, one.tenant) == (bucket, tenant)][: len(mine)]
        for one in batch:
            self._gone(one)

    def _within_limits(self, batch: list[Job[str]], bucket: str) -> None:
        most = self.caps.get(bucket, self.limits.items)
        if len(batch) > 1:
            assert sum(one.items for one in batch) <= most
            assert sum(one.bytes for one in batch) <= self.limits.bytes

    @rule(bucket=st.sampled_from(["x0", "y1", "z2"]), items=st.integers(1, 6))
    def memory(self, bucket: str, items: int) -> None:
        self.queue.ran_out_of_memory(bucket, items)
        self.caps[bucket] = (items + 1) // 2

    @rule(bucket=st.sampled_from(["x0", "y1", "z2"]), items=st.integers(1, 6))
    def well(self, bucket: str, items: int) -> None:
        before = self.queue.most(bucket)
        self.queue.went_well(bucket, items)
        after = self.queue.most(bucket)
        assert after - before in (0, 1) or after == self.limits.items
        self.caps[bucket] = after

    def _gone(self, one: Job[str]) -> None:
        self.waiting.remove(one)
        self.left.append(one)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert set(self.queue) == set(self.waiting)


TestBatchQueue = Machine.TestCase


def test_later_stages_go_first_and_a_batch_is_of_one_bucket() -> None:
    queue = BatchQueue[str](Limits(8, 8))
    for one in (job("a"), job("b", bucket="other"), job("c"), job("z", rank=2)):
        queue.add(one)
    assert [names(queue.take(0)) for _ in range(4)] == ["z", "ac", "b", ""]


def test_a_job_larger_than_the_limits_goes_alone() -> None:
    queue = BatchQueue[str](Limits(4, 100))
    for one in (job("B", items=9), job("a"), job("C", size=1000), job("b")):
        queue.add(one)
    assert [names(queue.take(0)) for _ in range(4)] == ["B", "a", "C", "b"]


def test_a_full_batch_is_made_of_what_tenants_have_had_least_of() -> None:
    queue = BatchQueue[str](Limits(4, 100))
    for number in range(6):
        queue.add(job(f"a{number} ", tenant="flood"))
    queue.add(job("b0 ", tenant="late"))
    queue.add(job("b1 ", tenant="late"))
    assert [names(queue.take(0)) for _ in range(2)] == ["a0 b0 a1 b1 ", "a2 a3 a4 a5 "]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 4)), min_size=1, max_size=60), st.integers(1, 6))
def test_tenants_that_wait_all_the_time_are_served_evenly(work: list[tuple[str, int]], most: int) -> None:
    """The bound of start-time fair queueing: two that both wait differ by at most one largest job of each."""
    queue = BatchQueue[str](Limits(most, 10**6))
    left: Counter[str] = Counter()
    for tenant, items in work:
        queue.add(job(tenant=tenant, items=items))
        left[tenant] += 1
    served: Counter[str] = Counter(dict.fromkeys(left, 0))
    while batch := queue.take(0):
        for one in batch:
            served[one.tenant] += one.items
            left[one.tenant] -= 1
        waiting = [tenant for tenant in left if left[tenant]]
        shares = [served[tenant] for tenant in waiting]
        # A batch that is full ends the turn of those whose next job does not fit.
        assert not shares or max(shares) - min(shares) <= 4 + 4 + most


def test_who_was_away_starts_at_the_present_and_cannot_save_up() -> None:
    clock = FairClock()
    for _ in range(100):
        clock.advance(["busy"])
        clock.charge("busy", 1)
    clock.advance(["busy", "new"])
    assert clock.start_of("new") == 99
    clock.charge("new", 1)
    clock.charge("new", 1)
    assert clock.first(["new", "busy"]) == "busy"


def test_a_bucket_that_ran_out_of_memory_grows_slowly_back() -> None:
    queue = BatchQueue[str](Limits(4, 100))
    queue.ran_out_of_memory("b", 4)
    assert queue.most("b") == 2
    for _ in range(GROW_AFTER - 1):
        queue.went_well("b", 2)
        queue.went_well("b", 1)
    assert queue.most("b") == 2
    queue.went_well("b", 2)
    assert queue.most("b") == 3
    for _ in range(GROW_AFTER):
        queue.went_well("b", 3)
    assert queue.most("b") == 4


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Limits(0, 1)
    with pytest.raises(ValueError, match="positive"):
        Limits(1, 0)
