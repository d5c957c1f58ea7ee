"""Which jobs go through a slot next. Pure: no clock, no thread, no event loop.

The order: later stages first, so that what was begun is finished and few pictures are held. Within a stage the tenant
that had least is next, and its oldest job names the bucket. The batch is filled from that bucket, tenant by tenant in
the same fair way, each tenant's jobs in the order of their arrival.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Generic, TypeVar

from serve.batching.fair import FairClock
from serve.batching.job import Job, Limits

T = TypeVar("T")
#: Full batches that must have gone well before a bucket that ran out of memory is trusted with one item more.
GROW_AFTER = 64


@dataclass(slots=True)
class _Cap:
    """The reduced limit of a bucket, and how many full batches went well under it."""

    items: int
    full: int = 0


class BatchQueue(Generic[T]):
    """Jobs that wait. Nothing is lost or given twice; a batch is there whenever a job is."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._clock = FairClock()
        #: rank -> bucket -> tenant -> jobs; no level holds an empty one.
        self._ranks: dict[int, dict[Hashable, dict[str, deque[Job[T]]]]] = {}
        self._caps: dict[Hashable, _Cap] = {}
        self._arrivals: dict[Job[T], int] = {}
        self._numbers = count()
        self._waiting = Counter[str]()

    def __len__(self) -> int:
        return len(self._arrivals)

    def __iter__(self) -> Iterator[Job[T]]:
        for buckets in self._ranks.values():
            for tenants in buckets.values():
                for jobs in tenants.values():
                    yield from jobs

    def add(self, job: Job[T]) -> None:
        """The job waits from now on."""
        tenants = self._ranks.setdefault(job.rank, {}).setdefault(job.bucket, {})
        tenants.setdefault(job.tenant, deque()).append(job)
        self._arrivals[job] = next(self._numbers)
        self._waiting[job.tenant] += 1

    def remove(self, job: Job[T]) -> bool:
        """The job waits no longer; False if it was not waiting."""
        if self._arrivals.pop(job, None) is None:
            return False
        buckets = self._ranks[job.rank]
        tenants = buckets[job.bucket]
        tenants[job.tenant].remove(job)
        if not tenants[job.tenant]:
            del tenants[job.tenant]
        if not tenants:
            del buckets[job.bucket]
        if not buckets:
            del self._ranks[job.rank]
        self._waiting[job.tenant] -= 1
        if not self._waiting[job.tenant]:
            del self._waiting[job.tenant]
        return True

    def take(self, now: float) -> list[Job[T]]:
        """The next batch, all of one bucket; empty only if no job waits whose deadline lies after `now`.

        Jobs whose deadline has passed stay where they are until `expired` takes them out.
        """
        self._clock.advance(self._waiting)
        for rank in sorted(self._ranks, reverse=True):
            if (head := self._head(rank, now)) is not None:
                return self._fill(head, now)
        return []

    def expired(self, now: float) -> list[Job[T]]:
        """Take out all jobs whose deadline has passed."""
        late = [job for job in self if job.deadline <= now]
        for job in late:
            self.remove(job)
        return late

    def ran_out_of_memory(self, bucket: Hashable, items: int) -> None:
        """So many items of this bucket were too many: batches hold at most half of that for a while."""
        self._caps[bucket] = _Cap((items + 1) // 2)

    def went_well(self, bucket: Hashable, items: int) -> None:
        """A batch of so many items went through: after many that were at the reduced limit it grows by one."""
        cap = self._caps.get(bucket)
        if cap is None or items < cap.items:
            return
        cap.full += 1
        if cap.full >= GROW_AFTER:
            self._caps[bucket] = _Cap(cap.items + 1)
            if cap.items + 1 >= self.limits.items:
                del self._caps[bucket]

    def most(self, bucket: Hashable) -> int:
        """Items that a batch of the bucket may hold at present."""
        cap = self._caps.get(bucket)
        return self.limits.items if cap is None else cap.items

    def _head(self, rank: int, now: float) -> Job[T] | None:
        """The oldest live job of the tenant that is next, in whatever bucket of the rank it lies."""
        heads = [
            job
            for tenants in self._ranks[rank].values()
            for jobs in tenants.values()
            if (job := _live(jobs, now)) is not None
        ]
        return min(heads, key=lambda job: (self._clock.start_of(job.tenant), self._arrivals[job]), default=None)

    def _fill(self, head: Job[T], now: float) -> list[Job[T]]:
        tenants = self._ranks[head.rank][head.bucket]
        numbers = count()
        turns = [(-inf, next(numbers), head)]
        for tenant, jobs in tenants.items():
            if tenant != head.tenant and (job := _live(jobs, now)) is not None:
                turns.append((self._clock.start_of(tenant), next(numbers), job))
        heapify(turns)
        items, size = self.most(head.bucket), self.limits.bytes
        batch: list[Job[T]] = []
        while turns and (items > 0 or not batch):
            _, _, job = heappop(turns)
            # A head that does not fit ends its tenant's turn: what came later must not overtake it.
            if batch and (job.items > items or job.bytes > size):
                continue
            self.remove(job)
            self._clock.charge(job.tenant, job.items)
            batch.append(job)
            items, size = items - job.items, size - job.bytes
            if (following := _live(tenants.get(job.tenant, ()), now)) is not None:
                heappush(turns, (self._clock.start_of(job.tenant), next(numbers), following))
        return batch


def _live(jobs: Iterable[Job[T]], now: float) -> Job[T] | None:
    return next((job for job in jobs if job.deadline > now), None)
