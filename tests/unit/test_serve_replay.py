"""Events answered again on purpose: the same keys, the same bytes, and nothing changed for the living."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult
from tests.support.index_contract import kept
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_studio

PHOTOS = {"a": garment((200, 30, 30), 1), "b": garment((30, 30, 200), 2)}
DELETED = "org.vitrine.catalog.listing.deleted.v1"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[SmallStudio]:
    with small_studio(PHOTOS, tmp_path) as built:
        yield built


def run(studio: SmallStudio, event: EnrichItem, *, replay: bool = False) -> ListingResult:
    return asyncio.run(studio.pipeline.answer(event.model_copy(update={"replay": replay})))


def bodies(studio: SmallStudio, result: ListingResult) -> dict[str, bytes]:
    return {output.key: studio.store.get(output.key) for output in result.outputs}


def test_same_event_same_recipe_same_weights_same_keys_and_bytes(studio: SmallStudio) -> None:
    first = run(studio, item("a", "b"))
    before = bodies(studio, first)
    reused = run(studio, item("a", "b"), replay=True)
    assert reused.outcome is Outcome.ENRICHED
    assert all(output.reused for output in reused.outputs)
    assert bodies(studio, reused) == before
    studio.store.delete(list(before))
    made = run(studio, item("a", "b"), replay=True)
    assert not any(output.reused for output in made.outputs)
    assert bodies(studio, made) == before
    assert [output.sha256 for output in made.outputs] == [output.sha256 for output in first.outputs]


def test_an_old_event_gets_the_images_of_today(studio: SmallStudio) -> None:
    first = run(studio, item("a"))
    newest = run(studio, item("b", offset=1, revision=2))
    studio.paint.version = "2"
    again = run(studio, item("a"), replay=True)
    assert again.outcome is Outcome.ENRICHED
    assert {o.key for o in again.outputs}.isdisjoint(o.key for o in (*first.outputs, *newest.outputs))
    assert run(studio, item("a")) == kept(first)
    assert run(studio, item("b", offset=1, revision=2)) == kept(newest)
    assert run(studio, item("a", offset=2)).outcome is Outcome.STALE


def test_a_deletion_takes_along_what_replays_made_and_no_replay_brings_it_back(studio: SmallStudio) -> None:
    run(studio, item("a"))
    studio.paint.version = "2"
    made = run(studio, item("a"), replay=True)
    deletion = item(offset=1, revision=2, type=DELETED)
    assert run(studio, deletion, replay=True).outcome is Outcome.REMOVED
    assert all(studio.store.head(output.key) for output in made.outputs)
    assert run(studio, deletion).outcome is Outcome.REMOVED
    assert not any(studio.store.head(output.key) for output in made.outputs)
    late = run(studio, item("a"), replay=True)
    assert (late.outcome, late.outputs) == (Outcome.STALE, [])
    assert not any(studio.store.head(output.key) for output in made.outputs)
