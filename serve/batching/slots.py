"""Where stages compute: a thread per slot, never the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

from serve.batching.backlog import BatchQueue
from serve.batching.job import Job, Limits
from serve.batching.recovery import Recovered, run_recovering
from serve.catalog.operations import STAGE_ORDER
from serve.errors import DeadlineExceeded
from serve.interfaces import Caller, Shot, ShotFailure, Stage, Worked
from serve.metrics import Metrics

#: Picture, reference and mask of one output: 3 + 3 + 4 bytes per pixel, and as much again while a stage works.
BYTES_PER_PIXEL = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    """Shots of one caller that wait for a batch or are in one."""

    stage: Stage
    shots: Sequence[Shot]
    answer: "asyncio.Future[Worked]"
    #: `time.perf_counter` when it came.
    came: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class _Ran:
    """A batch that went through a slot. Seconds."""

    recovered: Recovered
    spent: float
    #: How long the slot stood idle although the batch could have been put together.
    idle: float


class ComputeSlots:
    """The slot-first batcher on an event loop: batches are taken from a `BatchQueue` when a thread is free.

    A cancelled caller's shots that still wait never run; a batch that runs is finished, since a thread cannot be
    stopped. Whoever admits photos bounds how many wait, see `serve.batching.budget`.
    """

    def __init__(
        self,
        limits: Limits,
        metrics: Metrics,
        *,
        count: int = 1,
        prepare_thread: Callable[[], None] | None = None,
    ) -> None:
        self._queue: BatchQueue[_Ticket] = BatchQueue(limits)
        self._metrics = metrics
        self._free = count
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="compute", initializer=prepare_thread)
        self._thread = threading.local()
        self._running: dict[Future[_Ran], float] = {}

    @property
    def waiting(self) -> int:
        """Jobs that wait for a slot."""
        return len(self._queue)

    def busy_s(self) -> float:
        """Seconds that the batch has been running which runs longest; 0 if none runs. Callable from any thread."""
        now = time.monotonic()
        return max((now - began for began in list(self._running.values())), default=0.0)

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Run something else in a slot, between batches: loading and warming up."""

        def timed() -> None:
            try:
                work()
            finally:
                self._thread.ended = time.perf_counter()

        return self._executor.submit(timed)

    async def run(self, stage: Stage, shots: Sequence[Shot], caller: Caller) -> Worked:
        """See `Slots`."""
        buckets: dict[Hashable, list[int]] = {}
        for place, shot in enumerate(shots):
            if (bucket := stage.bucket(shot)) is not None:
                buckets.setdefault(bucket, []).append(place)
        done: list[Shot | ShotFailure] = list(shots)
        seconds = 0.0
        jobs = [_job(stage, bucket, [shots[place] for place in places], caller) for bucket, places in buckets.items()]
        for places, worked in zip(buckets.values(), await self._all(jobs, caller), strict=True):
            seconds += worked.seconds
            for place, made in zip(places, worked.shots, strict=True):
                done[place] = made
        return Worked(done, seconds)

    async def _all(self, jobs: Sequence[Job[_Ticket]], caller: Caller) -> list[Worked]:
        loop = asyncio.get_running_loop()
        for job in jobs:
            self._queue.add(job)
        self._dispatch()
        alarm = loop.call_at(caller.deadline, self._expire) if caller.deadline != float("inf") else None
        try:
            return [await job.payload.answer for job in jobs]
        finally:
            if alarm is not None:
                alarm.cancel()
            for job in jobs:
                self._queue.remove(job)
                # One that is running is told that nobody waits for it any more; of one that failed nobody asks.
                if not job.payload.answer.cancel() and not job.payload.answer.cancelled():
                    job.payload.answer.exception()

    def _expire(self) -> None:
        for job in self._queue.expired(asyncio.get_running_loop().time()):
            if not job.payload.answer.done():
                job.payload.answer.set_exception(DeadlineExceeded())

    def close(self, patience_s: float = 10.0) -> None:
        """Drop what waits and let the running batch end; one that does not, in this time, is left behind."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if not wait(list(self._running), timeout=patience_s).not_done:
            self._executor.shutdown(wait=True)

    def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while self._free and (batch := self._queue.take(loop.time())):
            self._free -= 1
            future = self._executor.submit(self._compute, [job.payload for job in batch])
            self._running[future] = time.monotonic()
            # A slot may still be busy with something that was submitted; the batch begins when it does.
            future.add_done_callback(partial(self._tell, loop, batch))

    def _compute(self, tickets: Sequence[_Ticket]) -> _Ran:
        """In the slot's thread."""
        began = time.perf_counter()
        ready = max(getattr(self._thread, "ended", 0.0), min(ticket.came for ticket in tickets))
        shots = [shot for ticket in tickets for shot in ticket.shots]
        recovered = run_recovering(
            tickets[0].stage, shots, lambda: all(ticket.answer.cancelled() for ticket in tickets)
        )
        self._thread.ended = time.perf_counter()
        return _Ran(recovered, self._thread.ended - began, began - ready)

    def _tell(self, loop: asyncio.AbstractEventLoop, batch: Sequence[Job[_Ticket]], future: "Future[_Ran]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._finished, batch, future)

    def _finished(self, batch: Sequence[Job[_Ticket]], future: "Future[_Ran]") -> None:
        self._free += 1
        del self._running[future]
        if future.cancelled() or (error := future.exception()) is not None:
            reason = RuntimeError("the replica is shutting down") if future.cancelled() else error
            for job in batch:
                if not job.payload.answer.done():
                    job.payload.answer.set_exception(reason)  # type: ignore[arg-type]
        else:
            self._hand_out(batch, future.result())
        # Not at once: the callers' next stages shall be in the queue before the slot is given away.
        asyncio.get_running_loop().call_soon(self._dispatch)

    def _hand_out(self, batch: Sequence[Job[_Ticket]], ran: _Ran) -> None:
        bucket, items = batch[0].bucket, sum(job.items for job in batch)
        if ran.recovered.too_many is not None:
            self._queue.ran_out_of_memory(bucket, ran.recovered.too_many)
        else:
            self._queue.went_well(bucket, items)
        failed = sum(isinstance(shot, ShotFailure) for shot in ran.recovered.shots)
        fill = min(1.0, items / self._queue.limits.items)
        stage = batch[0].payload.stage.name
        self._metrics.batch(stage, shots=items, failed=failed, fill=fill, seconds=ran.spent, idle_s=ran.idle)
        shots = iter(ran.recovered.shots)
        for job in batch:
            answer = job.payload.answer
            worked = Worked([next(shots) for _ in job.payload.shots], ran.spent * job.items / items)
            if not answer.done():
                answer.set_result(worked)


def _job(stage: Stage, bucket: Hashable, shots: Sequence[Shot], caller: Caller) -> Job[_Ticket]:
    ticket = _Ticket(stage, shots, asyncio.get_running_loop().create_future())
    return Job(
        # Two editions of a stage may run side by side for a while; a batch belongs to one of them.
        bucket=(id(stage), bucket),
        rank=STAGE_ORDER.index(stage.name) if stage.name in STAGE_ORDER else 0,
        tenant=caller.tenant,
        items=len(shots),
        bytes=sum(_bytes(shot) for shot in shots),
        deadline=caller.deadline,
        payload=ticket,
    )


def _bytes(shot: Shot) -> int:
    width, height = shot.variant.size
    return BYTES_PER_PIXEL * width * height
