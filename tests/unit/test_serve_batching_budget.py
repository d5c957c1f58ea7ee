import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.batching.budget import Budget


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=20))
def test_a_budget_is_never_overdrawn_and_all_comes_back(total: int, wishes: list[tuple[int, bool]]) -> None:
    async def main() -> None:
        budget = Budget(total)
        most = 0

        async def holder(amount: int) -> None:
            nonlocal most
            async with budget.take(amount):
                most = max(most, budget.used)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(holder(amount)) for amount, _ in wishes]
        await asyncio.sleep(0)
        for task, (_, cancelled) in zip(tasks, wishes, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= total
        assert (budget.used, budget.waiting) == (0, 0)

    asyncio.run(main())


def test_a_budget_serves_in_order_so_that_a_large_wish_is_not_starved() -> None:
    async def main() -> None:
        budget, served = Budget(10), list[int]()

        async def holder(amount: int) -> None:
            async with budget.take(amount):
                served.append(amount)
                await asyncio.sleep(0)

        await asyncio.gather(*(holder(amount) for amount in (6, 100, 1, 2)))
        assert served == [6, 100, 1, 2]

    asyncio.run(main())
    with pytest.raises(ValueError, match="positive"):
        Budget(0)


def test_tenants_share_a_budget_evenly_however_much_each_of_them_asks_for() -> None:
    async def main() -> None:
        budget, served = Budget(1), list[str]()

        async def holder(tenant: str) -> None:
            async with budget.take(1, tenant):
                served.append(tenant)
                await asyncio.sleep(0)

        await asyncio.gather(*(holder(tenant) for tenant in "aaaaaabbc"))
        assert "".join(served) == "aabcabaaa"

    asyncio.run(main())
