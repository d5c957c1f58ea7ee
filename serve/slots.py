"""Where stages compute: one thread per replica, never the event loop."""

import asyncio
import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from serve.catalog.operations import STAGE_ORDER
from serve.interfaces import Shot, ShotFailure, Stage


class ComputeSlots:
    """One compute slot; whoever admits photos bounds how many batches wait, see `serve.budget`.

    Later stages go first: a photo that was begun is finished, so its files are encoded and stored while the next one
    computes, and few pictures are held. A cancelled batch that still waits never runs; one that runs is finished,
    since a thread cannot be stopped.
    """

    def __init__(self, *, prepare_thread: Callable[[], None] | None = None) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="compute", initializer=prepare_thread)
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = count()
        self._busy = False

    @property
    def waiting(self) -> int:
        """Batches that wait for the slot."""
        return sum(not ticket.done() for _, _, ticket in self._queue)

    async def run(self, stage: Stage, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Run the stage on the batch when the slot is free."""
        if not batch:
            return []
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._queue, (-_rank(stage), next(self._arrivals), ticket))
        self._grant()
        try:
            await ticket
            return await loop.run_in_executor(self._executor, stage.run, batch)
        finally:
            if ticket.done() and not ticket.cancelled():
                self._busy = False
                # Not at once: the caller's next stage shall be in the queue before the slot is given away.
                loop.call_soon(self._grant)

    def close(self) -> None:
        """Let the running batch end and drop those that wait."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _grant(self) -> None:
        while self._queue and not self._busy:
            _, _, ticket = heapq.heappop(self._queue)
            if not ticket.done():
                self._busy = True
                ticket.set_result(None)


def _rank(stage: Stage) -> int:
    return STAGE_ORDER.index(stage.name) if stage.name in STAGE_ORDER else 0
