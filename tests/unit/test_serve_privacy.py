"""Consent is what was plainly said; source photos go with their listing, with their time, and everywhere."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve.errors import IndexUnavailable, ServeError, StoreUnavailable
from serve.housekeeping import Housekeeping
from serve.interfaces import SourceOwner
from serve.privacy.consent import may_train
from serve.privacy.retention import Retention
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType, Listing
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_studio

PHOTOS: dict[str, bytes | ServeError] = {"a": garment((200, 30, 30), 1), "b": garment((30, 30, 200), 2)}
DELETED = EventType.DELETED


@dataclass
class Cache:
    """A `SourceCache` that notes what it is asked, and fails when told to."""

    erased: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    ages: list[float | None] = field(default_factory=list)
    error: Exception | None = None

    def erase(self, owner: SourceOwner, urls: "list[str] | None" = None) -> int:
        if self.error is not None:
            raise self.error
        self.erased.append((f"{owner.tenant}:{owner.listing}", None if urls is None else tuple(urls)))
        return 1

    def prune(self, max_age_s: float | None = None) -> int:
        self.ages.append(max_age_s)
        return 3


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def studio(tmp_path: Path, cache: Cache) -> Iterator[SmallStudio]:
    with small_studio(PHOTOS, tmp_path) as built:
        built.pipeline._retention = Retention(cache, timedelta(days=1), built.index.deleted_since)
        yield built


def run(studio: SmallStudio, event: EnrichItem) -> ListingResult:
    return asyncio.run(studio.pipeline.answer(event))


def listing(**fields: object) -> Listing:
    return Listing.model_validate({"tenant_id": "t", "listing_id": "l", "revision": 1, **fields})


@pytest.mark.parametrize(
    ("consent", "allowed"),
    [
        ({"training": True}, True),
        ({"training": True, "personalisation": False, "research": True}, True),
        ({"personalisation": True}, False),
        ({"training": False}, False),
        ({"training": None}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_a_plain_yes_allows_training(consent: object, allowed: bool) -> None:
    assert may_train(listing(consent=consent)) is allowed
    assert may_train(listing()) is False


@given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.booleans())))
def test_what_only_looks_like_a_yes_is_refused_and_never_taken_for_one(value: object) -> None:
    with pytest.raises(ValidationError, match="training"):
        listing(consent={"training": value})


def test_results_carry_the_consent_of_their_event(studio: SmallStudio) -> None:
    agreed = run(studio, item("a", consent={"training": True, "since": "2026"}))
    assert may_train(agreed)
    assert agreed.consent.model_dump() == {"training": True, "personalisation": False, "since": "2026"}
    assert not may_train(run(studio, item("a", offset=1, listing_id="L2")))
    assert list(studio.index.trainable()) == [("acme", "L1")]
    assert not may_train(run(studio, item("a", offset=2, revision=2)))
    assert list(studio.index.trainable()) == []


def test_a_deletion_erases_outputs_answers_and_cached_sources(studio: SmallStudio, cache: Cache) -> None:
    first = run(studio, item("a", "b", consent={"training": True}))
    gone = run(studio, item(offset=1, revision=2, type=DELETED))
    assert gone.outcome is Outcome.REMOVED
    assert cache.erased == [("acme:L1", None)]
    assert all(studio.store.head(output.key) is None for output in first.outputs)
    left = run(studio, item("a", "b", consent={"training": True}))
    assert (left.outcome, left.outputs, left.subjects) == (Outcome.ENRICHED, [], [])
    assert "shirt" not in json.dumps(left.model_dump(mode="json"))
    assert list(studio.index.trainable()) == []
    assert run(studio, item("a", offset=2, revision=1)).outcome is Outcome.STALE
    assert studio.fetcher.asked == ["a", "b"], "nothing came back to be worked on"


def test_a_deletion_that_could_not_erase_sources_comes_again(studio: SmallStudio, cache: Cache) -> None:
    run(studio, item("a"))
    cache.error = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        run(studio, item(offset=1, revision=2, type=DELETED))
    cache.error = None
    assert run(studio, item(offset=1, revision=2, type=DELETED)).outcome is Outcome.REMOVED
    assert cache.erased == [("acme:L1", None)]


def test_photos_that_a_listing_gave_up_leave_the_cache(studio: SmallStudio, cache: Cache) -> None:
    run(studio, item("a"))
    assert cache.erased == []
    run(studio, item("b", offset=1, revision=2, removed_image_urls=["a", "old"]))
    assert cache.erased == [("acme:L1", ("a", "old"))]


def test_an_event_that_comes_after_the_deletion_leaves_nothing_in_the_cache(studio: SmallStudio, cache: Cache) -> None:
    run(studio, item("a"))
    late = item("b", offset=2, revision=1)
    studio.index.begin(late)
    run(studio, item(offset=1, revision=2, type=DELETED))
    cache.erased.clear()
    result = studio.pipeline._finish(late, run_result(late))
    assert result.outcome is Outcome.STALE
    assert cache.erased == [("acme:L1", None)]
    cache.error = OSError("disk")
    assert studio.pipeline._finish(item("b", offset=3, revision=1), run_result(late)).outcome is Outcome.STALE


def run_result(event: EnrichItem) -> ListingResult:
    from serve.report import answer  # noqa: PLC0415

    return answer(event, Outcome.ENRICHED)


def test_a_replayed_deletion_erases_nothing(studio: SmallStudio, cache: Cache) -> None:
    run(studio, item("a"))
    replay = item(offset=1, revision=2, type=DELETED).model_copy(update={"replay": True})
    assert run(studio, replay).outcome is Outcome.REMOVED
    assert cache.erased == []


def test_a_round_forgets_what_is_too_old_and_what_was_deleted_on_other_nodes(cache: Cache) -> None:
    asked: list[timedelta] = []

    def deleted_since(age: timedelta) -> list[tuple[str, str]]:
        asked.append(age)
        return [("t", "l1"), ("t", "l2")]

    rule = Retention(cache, timedelta(hours=6), deleted_since)
    assert rule.prune() == 5
    assert (cache.ages, asked) == ([6 * 3600.0], [timedelta(hours=6)])
    assert cache.erased == [("t:l1", None), ("t:l2", None)]


def test_a_retention_of_nothing_keeps_nothing(cache: Cache) -> None:
    Retention(cache, timedelta(0), lambda _: []).prune()
    assert cache.ages == [0.0]


def test_housekeeping_does_each_of_its_chores_though_another_fails() -> None:
    done, rounds = Event(), [0]

    def prune_index(_: timedelta) -> int:
        raise IndexUnavailable

    def prune_sources() -> int:
        rounds[0] += 1
        if rounds[0] == 1:
            raise ZeroDivisionError
        done.set()
        return 0

    keeper = Housekeeping(prune_index, timedelta(days=3), every=timedelta(milliseconds=1), sources=prune_sources)
    keeper.start()
    assert done.wait(30)
    keeper.stop()
    keeper._thread.join(30)
    assert not keeper._thread.is_alive()
