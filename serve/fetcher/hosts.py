"""Each host of photos by itself: how many fetches at once, and whether it rests because it does not answer.

A host that hangs can hold only a few places, and after a few vain fetches none, so that photos of other hosts pass it.
A host is a name with its port. They are kept in memory up to a number; the ones unused for longest are forgotten first.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serve.errors import SourceUnreachable
from serve.fetcher.breaker import Admission, Breaker, BreakerState
from serve.fetcher.policy import FetchPolicy

log = logging.getLogger(__name__)
#: What is told to those who find the queue of a host full, in seconds.
_QUEUE_PAUSE_S = 2.0


@dataclass(slots=True)
class Visit:
    """A fetch under way at a host."""

    #: Set when its server said anything at all: it is there, whatever it said.
    answered: bool = False


@dataclass(slots=True)
class _Host:
    breaker: Breaker
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Hosts:
    """Belongs to one event loop, whose clock it uses unless it gets one."""

    def __init__(self, policy: FetchPolicy, *, most: int = 1024, clock: Callable[[], float] | None = None) -> None:
        self._policy = policy
        self._most = most
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hosts)

    def state(self, name: str) -> BreakerState:
        """Where the breaker of the host stands."""
        host = self._hosts.get(name)
        return BreakerState.CLOSED if host is None else host.breaker.state(self._clock())

    @asynccontextmanager
    async def visit(self, name: str, deadline: float) -> AsyncIterator[Visit]:
        """Wait for a place at the host, and note how the visit ends: unanswered, or cut at the deadline, is a failure.

        Raise `SourceUnreachable`, with the seconds to wait, if the host rests or too many wait for it.
        """
        host = self._known(name)
        admission = await self._enter(name, host)
        visit = Visit()
        try:
            yield visit
        except SourceUnreachable:
            self._note(name, host, admission, answered=visit.answered, failed=not visit.answered)
            raise
        except asyncio.CancelledError:
            self._note(name, host, admission, answered=False, failed=self._clock() >= deadline)
            raise
        except BaseException:
            self._note(name, host, admission, answered=visit.answered, failed=False)
            raise
        else:
            self._note(name, host, admission, answered=True, failed=False)
        finally:
            self._leave(host)

    def _known(self, name: str) -> _Host:
        host = self._hosts.setdefault(name, _Host(Breaker(self._policy.breaker)))
        self._hosts.move_to_end(name)
        for other in list(self._hosts):
            if len(self._hosts) <= self._most:
                break
            if other != name and not self._hosts[other].running and not self._hosts[other].waiting:
                del self._hosts[other]
        return host

    async def _enter(self, name: str, host: _Host) -> Admission:
        self._refuse_resting(name, host.breaker.wait_s(self._clock()))
        if host.running >= self._policy.per_host or host.waiting:
            await self._wait(name, host)
        else:
            host.running += 1
        admission = host.breaker.admit(self._clock())
        if not admission.admitted:
            self._leave(host)
            self._refuse_resting(name, admission.wait_s)
        return admission

    async def _wait(self, name: str, host: _Host) -> None:
        """Stand in the queue; whoever leaves hands over a place."""
        if len(host.waiting) >= self._policy.waiting_per_host:
            raise SourceUnreachable(f"too many photos of {name} are waited for", retry_after_s=_QUEUE_PAUSE_S)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        host.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(host)
            elif turn in host.waiting:
                host.waiting.remove(turn)
            raise

    def _leave(self, host: _Host) -> None:
        """Give the place back, or to the first in the queue that still waits."""
        host.running -= 1
        while host.waiting:
            turn = host.waiting.popleft()
            if not turn.done():
                host.running += 1
                turn.set_result(None)
                return

    def _note(self, name: str, host: _Host, admission: Admission, *, answered: bool, failed: bool) -> None:
        now = self._clock()
        before = host.breaker.state(now)
        if failed:
            host.breaker.failed(now, admission)
        elif answered:
            host.breaker.answered()
        else:
            host.breaker.gave_up(admission)
        after = host.breaker.state(now)
        if after is not before:
            more = {"host": name, "state": str(after), "rest_s": round(host.breaker.wait_s(now), 1)}
            log.warning("breaker of a photo host", extra=more)

    @staticmethod
    def _refuse_resting(name: str, wait_s: float) -> None:
        if wait_s > 0:
            raise SourceUnreachable(f"{name} did not answer; it is not asked for a while", retry_after_s=wait_s)
