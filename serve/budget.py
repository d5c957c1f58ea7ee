"""What a replica may hold at once, in items and in bytes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """A counted amount that is shared first come, first served. For one event loop.

    A request larger than the whole is granted when nothing else is out, so nothing waits for ever.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"a budget must be positive, not {total}")
        self.total = total
        self._used = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """How much is out."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    @asynccontextmanager
    async def take(self, amount: int) -> AsyncIterator[None]:
        """Hold the amount inside the block; wait until it is there."""
        wanted = min(max(amount, 0), self.total)
        await self._acquire(wanted)
        try:
            yield
        finally:
            self._used -= wanted
            self._grant()

    async def _acquire(self, wanted: int) -> None:
        ticket = asyncio.get_running_loop().create_future()
        self._queue.append((wanted, ticket))
        self._grant()
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self._used -= wanted
            else:
                self._queue = deque(entry for entry in self._queue if entry[1] is not ticket)
            self._grant()
            raise

    def _grant(self) -> None:
        while self._queue and self._used + self._queue[0][0] <= self.total:
            wanted, ticket = self._queue.popleft()
            if not ticket.done():
                self._used += wanted
                ticket.set_result(None)
