import asyncio
import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from PIL import Image

from models.cutout import GrabCut
from serve.catalog.catalog import Catalog
from serve.catalog.figure import Figure
from serve.catalog.loader import load_catalog
from serve.catalog.quality import QualityRules, recorded_measurements
from serve.catalog.recipe import Variant
from serve.edition import Edition
from serve.errors import (
    IndexUnavailable,
    ObjectBusy,
    Overloaded,
    ServeError,
    SourceUnreachable,
    StoreUnavailable,
    UnknownRecipe,
)
from serve.images.measuring import measure
from serve.images.provenance import read_provenance
from serve.index import SqlIndex
from serve.interfaces import Removal, StoredObject
from serve.report import answer
from serve.schemas.clock import clock_name
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome, RetryClass, Verdict
from serve.schemas.result import ListingResult, ModelRef, Output
from serve.stages.cutting import Cutting
from serve.stages.generation import Generation
from serve.stages.loaded import Loaded
from serve.stages.quality_filter import QualityFilter
from serve.storage import MemoryStore
from tests.support.index_contract import kept
from tests.support.photos import garment, huge_header
from tests.support.shirts import shirt
from tests.support.small_studio import SmallStudio, item, small_catalog, small_studio

PHOTOS: dict[str, bytes | ServeError] = {
    "a": garment((200, 30, 30), 1),
    "b": garment((30, 30, 200), 2),
    "text": b"not a picture at all",
    "huge": huge_header(),
    "cut": garment()[:2000],
    "down": SourceUnreachable(),
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[SmallStudio]:
    with small_studio(PHOTOS, tmp_path) as built:
        yield built


def run(studio: SmallStudio, event: EnrichItem) -> ListingResult:
    return asyncio.run(studio.pipeline.answer(event))


def test_an_event_ends_in_stored_images_that_match_their_records(studio: SmallStudio) -> None:
    result = run(studio, item("a", "b"))
    assert (result.outcome, result.code) == (Outcome.ENRICHED, None)
    assert (result.recipe, result.recipe_version) == ("pair", 3)
    assert [output.image_id for output in result.outputs] == ["0-white", "0-grey", "1-white", "1-grey"]
    for output in result.outputs:
        body = studio.store.get(output.key)
        assert hashlib.sha256(body).hexdigest() == output.sha256
        assert (len(body), output.width, output.height) == (output.bytes, 64, 64)
        assert output.s3_uri.endswith(output.key)
        found = read_provenance(body)
        assert found is not None
        assert (found.key, found.seed, list(found.models)) == (output.key, output.seed, output.models)
    assert set(result.timings_ms) == {"fetch", "decode", "generation", "quality_filter", "encode", "store"}
    assert (studio.images.used, studio.working_bytes.used) == (0, 0)


def test_the_same_event_again_is_answered_without_work(studio: SmallStudio) -> None:
    first = run(studio, item("a"))
    assert run(studio, item("a")) == kept(first) != first
    assert run(studio, item("a", offset=1, event_id="e0")).outcome is Outcome.DUPLICATE
    assert run(studio, item("a", offset=2, revision=0)).outcome is Outcome.STALE
    assert studio.fetcher.asked == ["a"]


def moments(result: ListingResult) -> list[datetime]:
    assert result.clock == clock_name()
    assert result.started_at is not None
    return [one for one in (result.started_at, result.stored_at, result.finished_at) if one is not None]


def test_a_result_says_when_its_event_was_taken_up_and_its_last_image_stored(studio: SmallStudio) -> None:
    made = run(studio, item("a", "b"))
    found = run(studio, item("a", "b", offset=1, revision=2))
    assert all(output.reused for output in found.outputs)
    assert moments(made) + moments(found) == sorted(moments(made) + moments(found))
    assert (len(moments(made)), len(moments(found))) == (3, 3)


def test_what_stores_nothing_says_when_it_was_taken_up_alone(studio: SmallStudio) -> None:
    run(studio, item("a"))
    for event in (
        item(offset=1, revision=2),
        item("a", offset=2, revision=0),
        item("a", offset=3, event_id="e0"),
        item(offset=4, revision=4, type=EventType.DELETED),
    ):
        taken, finished = moments(run(studio, event))
        assert taken <= finished


def test_results_say_once_per_photo_what_it_shows_also_of_images_that_were_there(studio: SmallStudio) -> None:
    first = run(studio, item("a", "b", offset=1))
    again = run(studio, item("b", "a", offset=2, listing_id="L2"))
    for result in (first, again):
        assert [subject.image_id for subject in result.subjects] == ["0", "1"]
        assert {subject.category.value for subject in result.subjects if subject.category} == {"shirt"}
        assert all(output.subject is None for output in result.outputs)
    assert all(output.reused for output in again.outputs)


def test_known_objects_are_reused_and_judged_again(tmp_path: Path) -> None:
    store = MemoryStore()
    with small_studio(PHOTOS, tmp_path, store=store) as studio:
        before = run(studio, item("a"))
    strict = small_catalog(publish={"min": 0.95}, review={"min": 0.2}, reason="too small now")
    with small_studio(PHOTOS, tmp_path, store=store, catalog=strict) as studio:
        after = run(studio, item("a", offset=1, revision=2, listing_id="L2"))
        assert studio.paint.batches == []
    assert [output.sha256 for output in after.outputs] == [output.sha256 for output in before.outputs]
    assert all(output.reused for output in after.outputs)
    assert (after.outcome, after.code, after.message) == (Outcome.REVIEW_REQUIRED, "quality_review", "too small now")
    assert recorded_measurements(after.outputs[0].quality) == {"fill": 0.9}
    harsh = small_catalog(publish={"min": 0.99}, review={"min": 0.95}, reason="no")
    with small_studio(PHOTOS, tmp_path, store=store, catalog=harsh) as studio:
        assert run(studio, item("a", offset=2, listing_id="L3")).outcome is Outcome.REJECTED


def test_an_image_from_before_a_rule_is_made_again_once_and_then_judged_by_it(tmp_path: Path) -> None:
    store = MemoryStore()
    with small_studio(PHOTOS, tmp_path, store=store) as studio:
        before = run(studio, item("a"))
    old = small_catalog()
    rule = {"publish": {"max": 3}, "reason": "noisy"}
    kinds = {"any": {"operations": [], "rules": {"fill": {"publish": {"min": 0.5}, "reason": "small"}, "noise": rule}}}
    newer = replace(old, quality=QualityRules.model_validate({"version": 2, "kinds": kinds}))
    with small_studio(PHOTOS, tmp_path, store=store, catalog=newer) as studio:
        after = run(studio, item("a", offset=1, revision=2))
        assert len(studio.paint.batches) == 1
        # This studio cannot measure noise: that is asked for, in vain, and a person decides. It is not asked for twice.
        assert after.outcome is Outcome.REVIEW_REQUIRED
        again = run(studio, item("a", offset=2, revision=3))
        assert len(studio.paint.batches) == 1
        assert [output.reused for output in again.outputs] == [True, True]
    for output in (*after.outputs, *again.outputs):
        assert output.sha256 in {one.sha256 for one in before.outputs}


def test_an_object_that_is_gone_or_altered_is_made_again(studio: SmallStudio) -> None:
    (first, other) = run(studio, item("a")).outputs
    studio.store.delete([first.key])
    again = run(studio, item("a", offset=1, revision=2))
    assert [output.reused for output in again.outputs] == [False, True]
    assert again.outputs[0].sha256 == first.sha256
    assert studio.paint.batches[1] == ["white"]
    assert again.outputs[1].sha256 == other.sha256


def test_another_model_version_makes_other_objects(studio: SmallStudio) -> None:
    before = run(studio, item("a"))
    studio.paint.version = "2"
    after = run(studio, item("a", offset=1, revision=2))
    assert {output.key for output in before.outputs}.isdisjoint(output.key for output in after.outputs)


@pytest.mark.parametrize(
    ("urls", "outcome", "code", "stages"),
    [
        (["text"], Outcome.FAILED, "unsupported_format", ["decode"]),
        (["huge"], Outcome.FAILED, "too_many_pixels", ["decode"]),
        (["cut"], Outcome.FAILED, "corrupt_image", ["decode"]),
        (["none"], Outcome.FAILED, "source_not_found", ["fetch"]),
        (["none", "a"], Outcome.ENRICHED, None, ["fetch"]),
        (["a", "cut", "none"], Outcome.ENRICHED, None, ["decode", "fetch"]),
    ],
)
def test_a_bad_photo_never_fails_its_listing(
    studio: SmallStudio, urls: list[str], outcome: Outcome, code: str | None, stages: list[str]
) -> None:
    result = run(studio, item(*urls))
    assert (result.outcome, result.code) == (outcome, code)
    assert [error.stage for error in result.errors] == stages
    assert not any(error.retryable for error in result.errors)


@pytest.mark.parametrize(
    ("fill", "outcome", "code", "stored"),
    [
        ({}, Outcome.ENRICHED, None, 2),
        ({"grey": 0.3}, Outcome.REVIEW_REQUIRED, "quality_review", 2),
        ({"grey": 0.1}, Outcome.ENRICHED, None, 1),
        ({"grey": 0.1, "white": 0.3}, Outcome.REVIEW_REQUIRED, "quality_review", 1),
        ({"grey": 0.1, "white": 0.1}, Outcome.REJECTED, "quality_rejected", 0),
    ],
)
def test_the_outcome_follows_the_verdicts(
    studio: SmallStudio, fill: dict[str, float], outcome: Outcome, code: str | None, stored: int
) -> None:
    studio.judge.fill = fill
    result = run(studio, item("a"))
    assert (result.outcome, result.code, len(result.outputs)) == (outcome, code, stored)
    for error in result.errors:
        assert (error.stage, error.code) == ("quality_filter", "quality_rejected")
        assert error.quality is not None
        assert error.quality.verdict is Verdict.REJECT
        assert error.message == "too small"
    assert all(studio.store.head(output.key) for output in result.outputs)


def test_a_broken_channel_rule_stops_the_image_or_asks_a_person(studio: SmallStudio) -> None:
    assert run(studio, item("a", recipe="shop")).outcome is Outcome.ENRICHED
    # This studio's pictures have no white border, which Walmart demands (confirmed) and so does Amazon (it is said).
    studio.judge.more = {"white_border": 0.5}
    bound = run(studio, item("a", offset=1, listing_id="L2", recipe="shop", destination_profiles=["walmart"]))
    assert (bound.outcome, bound.code) == (Outcome.REJECTED, "quality_rejected")
    assert bound.message == "walmart: white_background is 0.5, required >= 0.98"
    studio.editions.swap(replace(studio.editions.current, catalog=larger_shop()))
    doubtful = run(studio, item("a", offset=2, listing_id="L3", recipe="shop", destination_profiles=["amazon-main"]))
    assert doubtful.outcome is Outcome.REVIEW_REQUIRED


def larger_shop(side: int = 500) -> Catalog:
    """The catalog with a `shop` whose picture is large enough to be raised to what channels demand."""
    catalog = small_catalog()
    (variant,) = catalog.recipes["shop"].variants
    shop = catalog.recipes["shop"].model_copy(update={"variants": [variant.model_copy(update={"size": (side, side)})]})
    return replace(catalog, recipes={**catalog.recipes, "shop": shop})


def test_a_variant_that_no_change_makes_fit_is_refused_before_any_work(studio: SmallStudio) -> None:
    # 64 px are a thumbnail, and eBay takes none.
    bound = run(studio, item("a", recipe="shop", destination_profiles=["ebay"]))
    assert (bound.outcome, bound.code) == (Outcome.REJECTED, "channel_unfit")
    assert bound.message == "ebay: 64x64 cannot be raised to the size that it demands"
    (error,) = bound.errors
    assert (error.variant, error.stage, error.retryable, error.image_id) == ("white", "plan", False, None)
    assert studio.fetcher.asked == []


def test_what_is_refused_stops_nothing_else(tmp_path: Path) -> None:
    catalog = small_catalog()
    pair = catalog.recipes["pair"]
    scene = Variant.model_validate(
        {"name": "wood", "size": [600, 600], "operations": [{"op": "scene", "scene": "wood"}]}
    )
    variants = [one.model_copy(update={"size": (600, 600)}) for one in pair.variants]
    recipe = pair.model_copy(update={"variants": [scene, *variants]})
    with small_studio(PHOTOS, tmp_path, catalog=replace(catalog, recipes={"pair": recipe})) as studio:
        studio.judge.more = {"white_border": 1.0, "watermark": 0.1}
        result = run(studio, item("a", "b", destination_profiles=["amazon-main"]))
    assert result.outcome is Outcome.ENRICHED
    assert [output.variant for output in result.outputs] == ["white", "white"]
    assert [(error.variant, error.code) for error in result.errors] == [
        ("grey", "channel_unfit"),
        ("wood", "channel_unfit"),
    ]
    assert "'wood' has none" in result.errors[1].message
    for output in result.outputs:
        assert output.adapted == ["size 600x600 -> 1600x1600"]
        assert all(rule.passed for rule in output.quality.rules if rule.profile == "amazon-main")
    assert [(rule.rule, rule.measured, rule.passed) for rule in result.rules] == [("max_images", 2, True)]


def test_a_listing_with_more_images_than_its_channel_takes_waits_for_a_person(tmp_path: Path) -> None:
    with small_studio(PHOTOS, tmp_path, catalog=larger_shop()) as studio:
        studio.judge.more = {"white_border": 1.0, "watermark": 0.1}
        result = run(studio, item(*"aaaaabbbbb", recipe="shop", destination_profiles=["amazon-main"]))
    assert len(result.outputs) == 10
    assert all(output.quality.verdict is Verdict.PUBLISH for output in result.outputs)
    assert (result.outcome, result.code) == (Outcome.REVIEW_REQUIRED, "quality_review")
    assert result.message == "amazon-main: max_images is 10.0, required <= 9"


def test_rules_that_do_not_bind_yet_are_told_and_stop_nothing(tmp_path: Path) -> None:
    with small_studio(PHOTOS, tmp_path) as studio:
        studio.judge.more = {"watermark": 0.1}
        before, after = (
            run(studio, item("a", offset=number, listing_id=f"L{number}", destination_profiles=["google"]))
            for number, studio.pipeline._today in enumerate((lambda: date(2026, 11, 22), lambda: date(2027, 1, 31)))
        )
    assert [output.width for output in before.outputs] == [64, 64]
    (told,) = {rule.severity for output in before.outputs for rule in output.quality.rules if not rule.passed}
    assert told == "advice"
    assert before.outcome is Outcome.ENRICHED
    assert {error.code for error in after.errors} == {"channel_unfit"}


def test_an_event_bound_for_walmart_gets_its_size_and_passes_all_of_its_rules(tmp_path: Path) -> None:
    picture, _ = shirt((150, 40, 50), (190, 170, 150))
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    card = ModelRef(name=GrabCut.name, version=GrabCut.version)
    catalog = load_catalog()
    stages = (Generation(card, Cutting(Loaded(card, GrabCut))), QualityFilter(catalog.quality))
    with small_studio({"a": buffer.getvalue()}, tmp_path) as studio:
        studio.editions.swap(Edition(catalog, stages))
        result = run(studio, item("a", recipe="studio", destination_profiles=["walmart"]))
        again = run(studio, item("a", recipe="studio", destination_profiles=["walmart"], offset=1, revision=2))
        body = studio.store.get(result.outputs[0].key)
    (white,) = result.outputs
    assert (white.variant, white.width, white.height, white.format) == ("white", 2200, 2200, "jpeg")
    assert white.adapted == ["size 1000x1000 -> 2200x2200"]
    rules = [rule for rule in white.quality.rules if rule.profile == "walmart"]
    assert len(rules) >= 7
    assert all(rule.passed for rule in rules)
    assert [(error.variant, error.code) for error in result.errors] == [
        ("sand", "channel_unfit"),
        ("soft-grey", "channel_unfit"),
    ]
    (reused,) = again.outputs
    assert (reused.reused, reused.key, reused.adapted) == (True, white.key, white.adapted)
    # The file itself, measured as any stranger's.
    facts = measure(body, suffix=Path(white.key).suffix, url=f"https://shop.example/{white.key}")
    found = catalog.channels["walmart"].check(facts)
    assert [rule.rule for rule in found if not rule.passed] == []
    assert "address_query" in {rule.rule for rule in found}


def test_a_byte_limit_takes_quality_first_then_pixels_and_says_so(tmp_path: Path) -> None:
    catalog = larger_shop(1000)
    shop = catalog.channels["shopify"]

    def limited(count: int) -> Catalog:
        channel = shop.model_copy(update={"max_bytes": Figure(value=count)})
        return replace(catalog, channels={**catalog.channels, "shopify": channel})

    with small_studio(PHOTOS, tmp_path, catalog=limited(12_000)) as studio:
        # One colour: a kilobyte of tables and provenance, and less than a byte per block.
        (free,) = run(studio, item("a", recipe="shop")).outputs
        studio.editions.swap(replace(studio.editions.current, catalog=limited(free.bytes - 1000)))
        studio.paint.version = "2"
        (less,) = run(studio, item("a", recipe="shop", offset=1, revision=2)).outputs
        studio.editions.swap(replace(studio.editions.current, catalog=limited(500)))
        studio.paint.version = "3"
        none = run(studio, item("a", recipe="shop", offset=2, revision=3))
    assert (free.width, free.adapted) == (1000, [])
    assert less.bytes <= free.bytes - 1000
    assert less.width < 1000
    assert less.adapted == [f"size 1000x1000 -> {less.width}x{less.height} for at most {free.bytes - 1000} bytes"]
    assert (none.outcome, none.code) == (Outcome.FAILED, "output_too_large")


def test_a_preview_shows_why_a_variant_is_for_no_channel(studio: SmallStudio) -> None:
    catalog = small_catalog()
    scene = {"name": "wood", "operations": [{"op": "scene", "scene": "wood"}], "channels": ["walmart"]}
    recipe = catalog.recipes["pair"].model_copy(update={"variants": [Variant.model_validate(scene)]})
    studio.editions.swap(replace(studio.editions.current, catalog=replace(catalog, recipes={"pair": recipe})))
    (shown,) = asyncio.run(studio.previewer.preview(garment(), "pair")).images
    assert shown.data_url is None
    assert shown.error == "walmart: a pure white background, and the scene 'wood' has none"


def test_a_stage_failure_stays_with_its_variant(studio: SmallStudio) -> None:
    studio.paint.failing = {"grey"}
    result = run(studio, item("a"))
    assert [output.variant for output in result.outputs] == ["white"]
    assert [(error.variant, error.stage, error.code) for error in result.errors] == [
        ("grey", "generation", "stage_failed")
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"images": []}, "no_images"),
        ({"recipe": "nothing"}, "unknown_recipe"),
        ({"destination_profiles": ["nowhere"]}, "unknown_channel"),
    ],
)
def test_requests_that_cannot_be_are_rejected_without_work(
    studio: SmallStudio, changes: dict[str, object], code: str
) -> None:
    result = run(studio, item("a", **changes))
    assert (result.outcome, result.code) == (Outcome.REJECTED, code)
    assert result.message
    assert studio.fetcher.asked == []


def test_only_the_first_photos_by_position_are_worked_on(tmp_path: Path) -> None:
    images = [{"url": "a", "image_id": f"p{place}", "position": place} for place in range(5, 0, -1)]
    with small_studio(PHOTOS, tmp_path, max_images=2) as studio:
        result = run(studio, item(images=images))
        assert len(studio.fetcher.asked) == 2
    assert result.outcome is Outcome.ENRICHED
    assert list(dict.fromkeys(output.source_image_id for output in result.outputs)) == ["p1", "p2"]
    assert [(error.image_id, error.code) for error in result.errors] == [
        (name, "image_limit") for name in ("p3", "p4", "p5")
    ]


def test_a_passing_error_asks_for_another_try_until_the_last(studio: SmallStudio) -> None:
    with pytest.raises(SourceUnreachable):
        run(studio, item("a", "down"))
    result = run(studio, item("a", "down", final=True))
    assert (result.outcome, len(result.outputs)) == (Outcome.ENRICHED, 2)
    assert all(output.reused for output in result.outputs)
    assert [(error.code, error.retryable) for error in result.errors] == [("source_unreachable", True)]
    alone = run(studio, item("down", final=True, offset=1, listing_id="L2"))
    assert (alone.outcome, alone.code) == (Outcome.FAILED, "source_unreachable")


def test_a_store_outage_never_ends_an_event(tmp_path: Path) -> None:
    class Down(MemoryStore):
        def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:
            raise StoreUnavailable

    with small_studio(PHOTOS, tmp_path, store=Down()) as studio:
        for final in (False, True):
            with pytest.raises(StoreUnavailable) as refused:
                run(studio, item("a", "down", final=final))
            assert refused.value.retry is RetryClass.BACK_PRESSURE


def test_a_defect_in_one_step_is_hidden_from_the_public_and_retryable(tmp_path: Path) -> None:
    class Broken(SqlIndex):
        def record(self, output: Output) -> bool:
            raise ZeroDivisionError("secret detail")

    def broken(index: SqlIndex) -> SqlIndex:
        index.__class__ = Broken
        return index

    with small_studio(PHOTOS, tmp_path, wrap_index=broken) as studio:
        result = run(studio, item("a", final=True))
    assert (result.outcome, result.code) == (Outcome.FAILED, "internal_error")
    assert all(error.retryable and "secret" not in error.message for error in result.errors)


def test_without_the_index_there_is_no_answer(tmp_path: Path) -> None:
    class Silent(SqlIndex):
        def finish(self, item: EnrichItem, result: ListingResult) -> ListingResult:
            raise IndexUnavailable

    def silent(index: SqlIndex) -> SqlIndex:
        index.__class__ = Silent
        return index

    with small_studio(PHOTOS, tmp_path, wrap_index=silent) as studio, pytest.raises(IndexUnavailable):
        run(studio, item("a", final=True))


def test_a_deleted_listing_takes_its_own_objects_along(studio: SmallStudio) -> None:
    kept = run(studio, item("a"))
    gone = run(studio, item("b", offset=1, listing_id="L2"))
    shared = run(studio, item("a", offset=2, listing_id="L3"))
    result = run(studio, item(offset=3, listing_id="L2", revision=2, type=EventType.DELETED))
    assert result.outcome is Outcome.REMOVED
    run(studio, item(offset=4, listing_id="L3", revision=2, type=EventType.DELETED))
    assert [studio.store.head(output.key) for output in gone.outputs] == [None, None]
    assert all(studio.store.head(output.key) for output in kept.outputs)
    assert {output.key for output in shared.outputs} == {output.key for output in kept.outputs}


def test_an_image_written_after_its_deletion_is_taken_away_again(tmp_path: Path) -> None:
    class Slow(MemoryStore):
        """The listing is deleted while its images are on their way here."""

        def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:
            gone = item(offset=1, revision=2, type=EventType.DELETED)
            decision = studio.index.begin(gone)
            if isinstance(decision, Removal):
                self.delete(decision.keys)
                studio.index.finish(gone, answer(gone, Outcome.REMOVED))
            return super().put_if_absent(key, body, content_type)

    store = Slow()
    with small_studio(PHOTOS, tmp_path, store=store) as studio:
        with pytest.raises(ObjectBusy):
            run(studio, item("a"))
        assert store._objects == {}
        assert run(studio, item("a")).outcome is Outcome.STALE


def test_cancelling_an_event_stops_its_work_and_returns_its_room(studio: SmallStudio) -> None:
    async def main() -> None:
        task = asyncio.create_task(studio.pipeline.answer(item(*["a", "b"] * 10)))
        await studio.fetcher.first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (studio.images.used, studio.images.waiting, studio.working_bytes.used) == (0, 0, 0)

    asyncio.run(main())
    assert len(studio.fetcher.asked) < 20


def test_an_event_that_finds_no_room_for_its_first_photo_is_sent_back_at_no_cost(tmp_path: Path) -> None:
    async def main(studio: SmallStudio) -> None:
        async with studio.images.take(studio.images.total):
            with pytest.raises(Overloaded) as refused:
                await studio.pipeline.answer(item("a", "b"))
        assert refused.value.retry is RetryClass.BACK_PRESSURE
        assert (studio.images.used, studio.images.waiting) == (0, 0)

    with small_studio(PHOTOS, tmp_path, photo_wait_s=0.05) as studio:
        asyncio.run(main(studio))
        assert studio.fetcher.asked == []


def test_an_event_that_has_begun_may_take_longer(tmp_path: Path) -> None:
    class Slow(MemoryStore):
        def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:
            time.sleep(0.3)
            return super().put_if_absent(key, body, content_type)

    with small_studio(PHOTOS, tmp_path, photo_wait_s=0.2, store=Slow()) as studio:
        assert len(run(studio, item(*["a", "b"] * 3)).outputs) == 12


def test_events_and_stages_are_counted(studio: SmallStudio) -> None:
    run(studio, item("a", "none"))
    count = studio.registry.get_sample_value
    assert count("vitrine_events_total", {"outcome": "enriched"}) == 1
    assert count("vitrine_stage_runs_total", {"stage": "fetch", "outcome": "failed"}) == 1
    assert count("vitrine_stage_seconds_count", {"stage": "encode"}) == 2
    assert count("vitrine_images_in_work") == 0


def test_a_preview_stores_nothing_and_shows_what_would_be_stopped(studio: SmallStudio) -> None:
    studio.judge.fill = {"grey": 0.1}
    photo = PHOTOS["a"]
    assert isinstance(photo, bytes)
    shown = asyncio.run(studio.previewer.preview(photo, "pair"))
    assert [image.variant for image in shown.images] == ["white", "grey"]
    assert all(image.data_url and image.data_url.startswith("data:image/jpeg;base64,/9j/") for image in shown.images)
    assert shown.images[1].quality is not None
    assert shown.images[1].quality.verdict is Verdict.REJECT
    one = asyncio.run(studio.previewer.preview(photo, "pair", ["grey"]))
    assert [image.variant for image in one.images] == ["grey"]
    with pytest.raises(UnknownRecipe):
        asyncio.run(studio.previewer.preview(photo, "none"))
