"""Hosts of photos: so many fetches at once, others in turn, silent hosts left alone. No real time passes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serve.errors import AddressRefused, ServeError, SourceNotFound, SourceUnreachable
from serve.fetcher.breaker import BreakerRules, BreakerState
from serve.fetcher.hosts import Hosts
from serve.fetcher.policy import FetchPolicy

POLICY = FetchPolicy(per_host=2, waiting_per_host=3, breaker=BreakerRules(trip_after=2, rest_s=10))
NEVER = float("inf")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Yard:
    """Visits that end when they are told to."""

    def __init__(self, policy: FetchPolicy = POLICY, most: int = 100) -> None:
        self.clock = Clock()
        self.hosts = Hosts(policy, most=most, clock=self.clock)
        self.inside: list[str] = []
        self.ends: dict[str, asyncio.Future[None]] = {}

    def start(self, name: str, host: str = "a") -> asyncio.Task[None]:
        async def visit() -> None:
            async with self.hosts.visit(host, NEVER) as visit:
                self.inside.append(name)
                self.ends[name] = asyncio.get_running_loop().create_future()
                try:
                    await self.ends[name]
                    visit.answered = True
                finally:
                    self.inside.remove(name)

        return asyncio.create_task(visit())

    async def visit(self, error: ServeError | None = None, host: str = "a", *, answered: bool = False) -> None:
        async with self.hosts.visit(host, NEVER) as visit:
            visit.answered = answered
            if error is not None:
                raise error

    async def fail(self, times: int, host: str = "a") -> None:
        for _ in range(times):
            with pytest.raises(SourceUnreachable):
                await self.visit(SourceUnreachable(), host)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


def test_so_many_at_once_the_others_in_order_and_other_hosts_at_once() -> None:
    async def test() -> None:
        yard = Yard()
        tasks = [yard.start(name) for name in "12345"]
        await settle()
        assert yard.inside == ["1", "2"]
        other = yard.start("other", host="b")
        await settle()
        assert yard.inside == ["1", "2", "other"]
        yard.ends["2"].set_result(None)
        await settle()
        assert yard.inside == ["1", "other", "3"]
        for name in ("1", "3", "other"):
            yard.ends[name].set_result(None)
        await settle()
        assert yard.inside == ["4", "5"]
        for name in "45":
            yard.ends[name].set_result(None)
        await asyncio.gather(*tasks, other)

    run(test)


def test_a_full_queue_is_answered_at_once_and_may_be_tried_again() -> None:
    async def test() -> None:
        yard = Yard()
        tasks = [yard.start(name) for name in "12345"]
        await settle()
        with pytest.raises(SourceUnreachable) as caught:
            await yard.visit()
        assert caught.value.retry_after_s
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await yard.visit()

    run(test)


@pytest.mark.parametrize("handed_over", [False, True])
def test_who_leaves_the_queue_leaves_no_gap(handed_over: bool) -> None:
    async def test() -> None:
        yard = Yard()
        tasks = [yard.start(name) for name in "1234"]
        await settle()
        if handed_over:
            # The place is the third's already when it goes away: the fourth must get it.
            yard.ends["1"].set_result(None)
            await asyncio.sleep(0)
        tasks[2].cancel()
        await settle()
        if not handed_over:
            yard.ends["1"].set_result(None)
            await settle()
        assert yard.inside == ["2", "4"]
        for name in "24":
            yard.ends[name].set_result(None)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(yard.visit(), yard.visit())

    run(test)


def test_a_host_that_does_not_answer_rests_and_holds_up_nobody_in_its_queue() -> None:
    async def test() -> None:
        yard = Yard()
        tasks = [yard.start(name) for name in "12345"]
        await settle()
        for name in "12":
            yard.ends[name].set_exception(SourceUnreachable())
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, SourceUnreachable) for error in found)
        assert [error.retry_after_s for error in found[2:]] == [10, 10, 10]  # type: ignore[union-attr]
        assert yard.hosts.state("a") is BreakerState.OPEN
        await yard.visit(host="b")

    run(test)


def test_after_the_rest_one_fetch_tries_and_an_answer_lets_all_in() -> None:
    async def test() -> None:
        yard = Yard()
        await yard.fail(2)
        yard.clock.now = 10
        probe = yard.start("probe")
        await settle()
        with pytest.raises(SourceUnreachable):
            await yard.visit()
        yard.ends["probe"].set_result(None)
        await probe
        await yard.visit()
        assert yard.hosts.state("a") is BreakerState.CLOSED

    run(test)


@pytest.mark.parametrize(
    ("error", "answered", "opens"),
    [
        (SourceUnreachable(), False, True),
        (SourceUnreachable(), True, False),  # a 503: the server is there, and holds nobody up
        (SourceNotFound(), True, False),
        (AddressRefused(), False, False),  # our own word, not the host's
        (ValueError(), False, False),
    ],
)
def test_only_silence_opens_the_breaker(error: Exception, answered: bool, opens: bool) -> None:
    async def test() -> None:
        yard = Yard()
        for _ in range(3):
            with pytest.raises(type(error)):
                await yard.visit(error, answered=answered)  # type: ignore[arg-type]
        assert (yard.hosts.state("a") is BreakerState.OPEN) == opens

    run(test)


@pytest.mark.parametrize(("deadline", "opens"), [(0.0, True), (NEVER, False)])
def test_a_visit_cut_at_its_deadline_is_a_failure_and_one_cancelled_before_is_not(deadline: float, opens: bool) -> None:
    async def test() -> None:
        yard = Yard()

        async def dripping() -> None:
            async with yard.hosts.visit("a", deadline) as visit:
                visit.answered = True
                await asyncio.Event().wait()

        for _ in range(2):
            task = asyncio.create_task(dripping())
            await settle()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (yard.hosts.state("a") is BreakerState.OPEN) == opens

    run(test)


def test_the_number_of_hosts_in_memory_is_bounded_but_busy_ones_stay() -> None:
    async def test() -> None:
        yard = Yard(most=5)
        busy = yard.start("busy", host="busy")
        await settle()
        for number in range(50):
            await yard.visit(host=f"host-{number}")
        assert len(yard.hosts) <= 5
        await yard.fail(2, "host-49")
        await yard.visit(host="host-50")
        assert yard.hosts.state("host-49") is BreakerState.OPEN
        yard.ends["busy"].set_result(None)
        await busy

    run(test)
