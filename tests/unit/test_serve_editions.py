"""What changes under events that are being worked on: the edition, other tenants, the time that is left."""

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serve.edition import Edition
from serve.errors import DeadlineExceeded, ServeError
from serve.schemas.outcome import RetryClass
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_studio

PHOTOS: dict[str, bytes | ServeError] = {
    f"{tenant}{number}": garment(seed=number) for tenant in "fl" for number in range(9)
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[SmallStudio]:
    with small_studio(PHOTOS, tmp_path) as built:
        yield built


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - budgets have no event to wait for
            await asyncio.sleep(0.001)


def test_an_event_ends_with_the_edition_that_it_began_with(studio: SmallStudio) -> None:
    async def main() -> None:
        old = studio.editions.current
        async with studio.images.take(studio.images.total):
            under_way = asyncio.create_task(studio.pipeline.answer(item("f0", offset=1)))
            await until(lambda: studio.images.waiting == 1)
            studio.editions.swap(Edition(replace(old.catalog, default_recipe="shop"), old.stages))
        assert (await under_way).recipe == "pair"
        assert (await studio.pipeline.answer(item("f0", offset=2, listing_id="L2"))).recipe == "shop"

    asyncio.run(main())


def test_a_share_of_the_listings_gets_the_edition_on_trial_and_keeps_it(studio: SmallStudio) -> None:
    first = studio.editions.current
    trial = Edition(replace(first.catalog, default_recipe="shop"), first.stages)
    names = [f"L{number}" for number in range(2000)]

    def chosen(share: float) -> set[str]:
        studio.editions.swap(first, trial, share)
        return {name for name in names if studio.editions.of("t", name) is trial}

    shares = {share: chosen(share) for share in (0.0, 0.1, 0.5, 1.0)}
    assert shares[0.0] == set()
    assert shares[1.0] == set(names)
    assert shares[0.1] < shares[0.5]
    for share in (0.1, 0.5):
        assert len(shares[share]) == pytest.approx(2000 * share, abs=5 * math.sqrt(2000 * share * (1 - share)))
    studio.editions.swap(first, trial, 0.5)
    assert {name for name in names if studio.editions.of("u", name) is trial} != shares[0.5]


def test_an_event_is_answered_by_the_edition_of_its_listing(studio: SmallStudio) -> None:
    first = studio.editions.current
    trial = Edition(replace(first.catalog, default_recipe="shop"), first.stages)
    studio.editions.swap(first, trial, 0.5)

    async def main() -> None:
        for number in range(6):
            name = f"L{number}"
            wanted = studio.editions.of("acme", name).catalog.default_recipe
            answered = await studio.pipeline.answer(item("f0", offset=number + 1, tenant_id="acme", listing_id=name))
            assert answered.recipe == wanted

    asyncio.run(main())
    assert {studio.editions.of("acme", f"L{number}") is trial for number in range(6)} == {True, False}


def test_a_tenant_with_many_photos_does_not_hold_up_one_with_few(studio: SmallStudio) -> None:
    async def main() -> None:
        flood = item(*(f"f{number}" for number in range(9)), offset=1, tenant_id="flood")
        late = item("l0", offset=2, tenant_id="late", listing_id="L2")
        async with studio.images.take(studio.images.total, "flood"):
            tasks = [asyncio.create_task(studio.pipeline.answer(flood))]
            await until(lambda: studio.images.waiting == 9)
            tasks.append(asyncio.create_task(studio.pipeline.answer(late)))
            await until(lambda: studio.images.waiting == 10)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert "l0" in studio.fetcher.asked[:2]
    assert len(studio.fetcher.asked) == 10


def test_an_event_whose_time_is_over_is_not_computed_and_may_come_again(studio: SmallStudio) -> None:
    with pytest.raises(DeadlineExceeded) as late:
        asyncio.run(studio.pipeline.answer(item("f0"), timeout_s=0))
    assert late.value.retry is RetryClass.TRANSIENT
    assert studio.paint.batches == []
    assert len(asyncio.run(studio.pipeline.answer(item("f0"), timeout_s=30)).outputs) == 2
