"""What a replica may hold at once, in items and in bytes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.batching.fair import FairClock

Ticket = asyncio.Future[None]


class Budget:
    """A counted amount that tenants share evenly; each tenant's requests are served in order. For one event loop.

    A request larger than the whole is granted when nothing else is out, so nothing waits for ever. Nobody is
    overtaken because his request is large: whoever is next waits until it fits.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"a budget must be positive, not {total}")
        self.total = total
        self._used = 0
        self._clock = FairClock()
        self._queues: dict[str, deque[tuple[int, Ticket]]] = {}

    @property
    def used(self) -> int:
        """How much is out."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def take(self, amount: int, tenant: str = "") -> AsyncIterator[None]:
        """Hold the amount inside the block; wait until it is there."""
        wanted = min(max(amount, 0), self.total)
        await self._acquire(wanted, tenant)
        try:
            yield
        finally:
            self._used -= wanted
            self._grant()

    async def _acquire(self, wanted: int, tenant: str) -> None:
        ticket: Ticket = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append((wanted, ticket))
        self._grant()
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self._used -= wanted
            else:
                self._drop(tenant, wanted, ticket)
            self._grant()
            raise

    def _drop(self, tenant: str, wanted: int, ticket: Ticket) -> None:
        if (queue := self._queues.get(tenant)) is not None and (wanted, ticket) in queue:
            queue.remove((wanted, ticket))
            if not queue:
                del self._queues[tenant]

    def _grant(self) -> None:
        while self._queues:
            self._clock.advance(self._queues)
            tenant = self._clock.first(self._queues)
            wanted, ticket = self._queues[tenant][0]
            if not ticket.done() and self._used + wanted > self.total:
                return
            self._drop(tenant, wanted, ticket)
            if not ticket.done():
                self._clock.charge(tenant, wanted)
                self._used += wanted
                ticket.set_result(None)
