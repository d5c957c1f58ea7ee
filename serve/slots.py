"""Where stages compute: one thread per replica, never the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from serve.interfaces import Shot, ShotFailure, Stage


class ComputeSlots:
    """One compute slot. Batches wait in order; waiting is bounded by whoever admits images, see `serve.budget`.

    A cancelled batch that still waits never runs; one that runs is finished, since a thread cannot be stopped.
    """

    def __init__(self, *, prepare_thread: Callable[[], None] | None = None) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="compute", initializer=prepare_thread)
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Batches that run or wait."""
        return self._waiting

    async def run(self, stage: Stage, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Run the stage on the batch when the slot is free."""
        if not batch:
            return []
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, stage.run, batch)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the running batch end and drop those that wait."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
