"""What a result index must do, on every database; a test class gives the fixture `index` and inherits these tests."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from serve.errors import ObjectBusy
from serve.index import SqlIndex
from serve.index.database import now_ms
from serve.index.holdings import ABANDONED_S
from serve.interfaces import Accepted, Answered, Removal, ResultIndex
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import Consent, EventType, Listing
from serve.schemas.outcome import Outcome, Verdict
from serve.schemas.result import ListingResult, Output, Position, Quality

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREATED, UPDATED, DELETED = EventType.CREATED, EventType.UPDATED, EventType.DELETED


class Clock:
    """A database's clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self, _: object) -> int:
        return int(self.now.timestamp() * 1000)


def event(
    listing: str = "shirt",
    revision: int = 1,
    *,
    offset: int,
    kind: EventType = CREATED,
    event_id: str | None = None,
    tenant: str = "shop",
    topic: str = "listings.new",
    training: bool = False,
) -> EnrichItem:
    """An event at an offset; its id follows from the offset unless it is given."""
    return EnrichItem(
        ref=0,
        event_id=event_id or f"event-{offset}",
        event_source="//shop",
        type=kind,
        position=Position(topic=topic, partition=0, offset=offset),
        listing=Listing(tenant_id=tenant, listing_id=listing, revision=revision, consent=Consent(training=training)),
    )


def answer(item: EnrichItem, outcome: Outcome = Outcome.ENRICHED, outputs: Sequence[Output] = ()) -> ListingResult:
    """The result that a pipeline would hand to `finish`."""
    return ListingResult(
        event_id=item.event_id,
        event_source=item.event_source,
        position=item.position,
        tenant_id=item.listing.tenant_id,
        listing_id=item.listing.listing_id,
        revision=item.listing.revision,
        outcome=outcome,
        outputs=list(outputs),
        finished_at=NOW,
        vitrine_version="test",
    )


def kept(result: ListingResult) -> ListingResult:
    """The result as whoever asks again gets it: without the moments of the try that made it."""
    return result.model_copy(update={"started_at": None, "stored_at": None, "clock": None})


def output(key: str) -> Output:
    """The record of a stored image."""
    return Output(
        image_id="front/studio",
        source_image_id="front",
        source_sha256="ab" * 32,
        variant="studio",
        operations=["studio"],
        s3_uri=f"s3://bucket/{key}",
        key=key,
        sha256="cd" * 32,
        phash="0" * 16,
        width=1000,
        height=1000,
        format="jpeg",
        content_type="image/jpeg",
        bytes=1,
        seed=1,
        digital_source_type="algorithmicallyEnhanced",
        quality=Quality(verdict=Verdict.PUBLISH, score=1.0),
    )


def work(index: ResultIndex, item: EnrichItem, *keys: str) -> ListingResult:
    """Do all of an event: begin, claim and record the keys, finish."""
    decision = index.begin(item)
    if isinstance(decision, Answered):
        return decision.result
    if isinstance(decision, Removal):
        return index.finish(item, answer(item, Outcome.REMOVED))
    for key in keys:
        index.claim(item, key)
        index.record(output(key))
    return index.finish(item, answer(item, outputs=[output(key) for key in keys]))


class IndexContract:
    """Inherit and give a fixture `index` that goes by the fixture `clock`."""

    def test_a_new_event_is_work_until_it_is_finished(self, index: SqlIndex) -> None:
        item = event(offset=1)
        assert index.begin(item) == Accepted()
        assert index.begin(item) == Accepted()  # a crash in between must be repeatable
        assert index.finish(item, answer(item)) == answer(item)

    def test_the_same_place_again_gives_the_stored_result(self, index: SqlIndex) -> None:
        item = event(offset=1)
        first = work(index, item, "k1")
        assert index.begin(item) == Answered(result=first)
        assert index.finish(item, answer(item, Outcome.FAILED)) == first

    def test_an_answer_that_is_given_again_says_nothing_of_the_try_that_made_it(self, index: SqlIndex) -> None:
        item = event(offset=1)
        told = {"started_at": NOW, "stored_at": NOW, "clock": "0123456789ab"}
        first = index.finish(item, answer(item).model_copy(update=told))
        assert first.model_dump(include=set(told)) == told
        assert index.begin(item) == Answered(result=answer(item))
        assert index.finish(item, first) == answer(item)
        late = event(offset=2, event_id=item.event_id)
        duplicate = work(index, late)
        assert duplicate.started_at == duplicate.finished_at
        assert index.begin(late) == Answered(result=kept(duplicate))

    def test_a_known_event_at_another_place_is_a_duplicate_there(self, index: SqlIndex) -> None:
        work(index, event(offset=1, event_id="same"), "k1")
        again = event(offset=2, event_id="same")
        result = work(index, again)
        assert (result.outcome, result.code) == (Outcome.DUPLICATE, "duplicate_event")
        assert result.position == again.position
        assert "listings.new/0/1" in (result.message or "")
        assert index.begin(again) == Answered(result=kept(result))

    @pytest.mark.parametrize("change", [{"tenant": "other"}, {"event_id": "other"}])
    def test_the_same_id_of_another_tenant_is_another_event(self, index: SqlIndex, change: dict[str, str]) -> None:
        work(index, event(offset=1, event_id="same"))
        assert index.begin(event("hat", offset=2, **{"event_id": "same", **change})) == Accepted()  # type: ignore[arg-type]

    def test_of_two_workers_on_one_event_the_second_is_a_duplicate(self, index: SqlIndex) -> None:
        one, two = event(offset=1, event_id="same"), event(offset=2, event_id="same")
        assert index.begin(one) == index.begin(two) == Accepted()
        assert index.finish(two, answer(two)).outcome is Outcome.ENRICHED
        assert index.finish(one, answer(one)).outcome is Outcome.DUPLICATE

    def test_a_place_of_a_topic_made_anew_does_not_answer_for_another_event(self, index: SqlIndex) -> None:
        work(index, event("shirt", offset=1, event_id="old"))
        fresh = event("hat", offset=1, event_id="new")
        assert index.begin(fresh) == Accepted()
        assert index.finish(fresh, answer(fresh)) == answer(fresh)
        assert index.begin(fresh) == Answered(result=answer(fresh))

    @pytest.mark.parametrize("kind", [CREATED, UPDATED, DELETED])
    def test_an_older_revision_is_stale(self, index: SqlIndex, kind: EventType) -> None:
        work(index, event(revision=5, offset=1), "k1")
        old = event(revision=4, offset=2, kind=kind)
        result = work(index, old)
        assert (result.outcome, result.code, result.position) == (Outcome.STALE, "stale_revision", old.position)
        assert index.begin(old) == Answered(result=kept(result))

    def test_the_same_revision_of_another_event_is_work(self, index: SqlIndex) -> None:
        work(index, event(revision=5, offset=1))
        assert index.begin(event(revision=5, offset=2, kind=UPDATED)) == Accepted()

    def test_an_event_overtaken_while_it_is_worked_on_is_stale(self, index: SqlIndex) -> None:
        slow = event(revision=1, offset=1)
        index.begin(slow)
        work(index, event(revision=2, offset=2, kind=UPDATED))
        result = index.finish(slow, answer(slow))
        assert (result.outcome, result.position) == (Outcome.STALE, slow.position)
        assert index.begin(slow) == Answered(result=kept(result))

    def test_the_record_of_an_object_is_given_to_whoever_claims_it_next(self, index: SqlIndex) -> None:
        first, second = event("shirt", offset=1), event("hat", offset=2)
        assert index.claim(first, "k1") is None
        assert index.claim(second, "k1") is None
        assert index.record(output("k1"))
        assert index.claim(second, "k1") == output("k1")

    def test_a_deletion_names_what_the_listing_held_alone(self, index: SqlIndex) -> None:
        work(index, event("shirt", offset=1), "shared", "alone")
        work(index, event("shirt", 2, offset=2, kind=UPDATED), "newer")
        work(index, event("hat", offset=3), "shared")
        assert index.begin(event("shirt", 3, offset=4, kind=DELETED)) == Removal(keys=("alone", "newer"))

    def test_the_last_of_several_holders_takes_the_object_along(self, index: SqlIndex) -> None:
        for offset, listing in enumerate(("shirt", "hat")):
            work(index, event(listing, offset=offset), "shared")
        assert index.begin(event("shirt", 2, offset=10, kind=DELETED)) == Removal()
        assert index.begin(event("hat", 2, offset=11, kind=DELETED)) == Removal(keys=("shared",))

    def test_a_repeated_deletion_names_the_same_keys(self, index: SqlIndex) -> None:
        work(index, event(offset=1), "k1", "k2")
        gone = event(revision=2, offset=2, kind=DELETED)
        assert index.begin(gone) == Removal(keys=("k1", "k2"))
        assert index.begin(gone) == Removal(keys=("k1", "k2"))
        done = index.finish(gone, answer(gone, Outcome.REMOVED))
        assert index.begin(gone) == Answered(result=done)
        assert index.begin(event(revision=2, offset=3, kind=DELETED)) == Removal()

    def test_a_condemned_object_is_busy_until_the_deletion_is_over(self, index: SqlIndex) -> None:
        work(index, event("shirt", offset=1), "k1")
        gone, hat = event("shirt", 2, offset=2, kind=DELETED), event("hat", offset=3)
        index.begin(gone)
        with pytest.raises(ObjectBusy):
            index.claim(hat, "k1")
        assert not index.record(output("k1")), "a late worker must not bring it back"
        index.finish(gone, answer(gone, Outcome.REMOVED))
        assert index.claim(hat, "k1") is None

    def test_a_deletion_that_was_given_up_does_not_hold_its_objects_for_ever(
        self, index: SqlIndex, clock: Clock
    ) -> None:
        work(index, event("shirt", offset=1), "k1", "k2")
        gone, hat = event("shirt", 2, offset=2, kind=DELETED), event("hat", offset=3)
        index.begin(gone)
        clock.now += timedelta(seconds=ABANDONED_S - 1)
        index.begin(gone)  # a repeat starts the time anew
        clock.now += timedelta(seconds=ABANDONED_S - 1)
        with pytest.raises(ObjectBusy):
            index.claim(hat, "k1")
        clock.now += timedelta(seconds=1)
        assert index.claim(hat, "k1") is None
        assert index.begin(gone) == Removal(keys=("k2",))

    def test_an_object_that_is_gone_gets_no_record_from_a_late_worker(self, index: SqlIndex) -> None:
        work(index, event("shirt", offset=1), "k1")
        work(index, event("shirt", 2, offset=2, kind=DELETED))
        assert not index.record(output("k1"))
        assert index.claim(event("hat", offset=3), "k1") is None

    def test_a_late_object_is_busy_until_its_worker_has_taken_it_back(self, index: SqlIndex) -> None:
        ticket, other = index.condemn("k1"), index.condemn("k2")
        assert ticket is not None
        assert other is not None
        with pytest.raises(ObjectBusy):
            index.claim(event(offset=1), "k1")
        index.forget(ticket)
        assert index.claim(event(offset=1), "k1") is None
        with pytest.raises(ObjectBusy):
            index.claim(event(offset=1), "k2")

    def test_a_late_worker_leaves_what_somebody_claimed_anew(self, index: SqlIndex) -> None:
        work(index, event(offset=1), "k1")
        assert index.condemn("k1") is None
        assert index.claim(event("hat", offset=2), "k1") == output("k1")

    def test_the_end_of_a_deletion_leaves_the_late_worker_its_object(self, index: SqlIndex) -> None:
        work(index, event("shirt", offset=1), "k1")
        gone = event("shirt", 2, offset=2, kind=DELETED)
        index.begin(gone)
        ticket = index.condemn("k1")
        assert ticket is not None
        index.finish(gone, answer(gone, Outcome.REMOVED))
        with pytest.raises(ObjectBusy):
            index.claim(event("hat", offset=3), "k1")
        index.forget(ticket)
        assert index.claim(event("hat", offset=3), "k1") is None

    def test_old_answers_are_pruned_and_listings_stay(
        self, index: SqlIndex, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("serve.index.index._PRUNED_AT_ONCE", 2)
        for offset in range(5):
            work(index, event(f"old-{offset}", 7, offset=offset))
        clock.now += timedelta(days=30)
        new = event("new", offset=9)
        done = work(index, new)
        assert index.prune(timedelta(days=30)) == 0
        clock.now += timedelta(seconds=1)
        assert index.prune(timedelta(days=30)) == 10  # five answers, five events
        assert index.begin(new) == Answered(result=done)
        assert index.begin(event("old-0", 7, offset=0)) == Accepted()
        assert work(index, event("old-0", 6, offset=20)).outcome is Outcome.STALE

    def test_time_is_the_databases(self, index: SqlIndex) -> None:
        with index._database.transaction() as connection:
            assert abs(now_ms(connection) / 1000 - time.time()) < 60

    @pytest.mark.parametrize(("revision", "outcome"), [(1, Outcome.STALE), (2, Outcome.STALE), (3, Outcome.ENRICHED)])
    def test_a_tombstone_stops_all_but_newer_revisions(self, index: SqlIndex, revision: int, outcome: Outcome) -> None:
        work(index, event(revision=2, offset=1, kind=DELETED))
        assert work(index, event(revision=revision, offset=2)).outcome is outcome

    def test_a_deletion_before_the_creation_removes_nothing(self, index: SqlIndex) -> None:
        gone = event(revision=2, offset=1, kind=DELETED)
        assert index.begin(gone) == Removal()
        assert index.finish(gone, answer(gone, Outcome.REMOVED)).outcome is Outcome.REMOVED

    def test_a_worker_overtaken_by_the_deletion_can_claim_no_more(self, index: SqlIndex) -> None:
        slow = event(revision=1, offset=1)
        index.begin(slow)
        work(index, event(revision=2, offset=2, kind=DELETED))
        with pytest.raises(ObjectBusy):
            index.claim(slow, "k1")
        assert work(index, slow).outcome is Outcome.STALE

    def test_a_deletion_that_is_overtaken_half_way_is_carried_through(self, index: SqlIndex) -> None:
        work(index, event(offset=1), "k1")
        gone = event(revision=2, offset=2, kind=DELETED)
        index.begin(gone)
        work(index, event(revision=3, offset=3, kind=UPDATED), "k2")
        assert index.begin(gone) == Removal(keys=("k1",))
        assert index.finish(gone, answer(gone, Outcome.REMOVED)).outcome is Outcome.STALE
        assert index.claim(event("hat", offset=4), "k1") is None
        assert index.claim(event("hat", offset=4), "k2") == output("k2")

    def test_a_late_deletion_leaves_what_a_newer_revision_claimed(self, index: SqlIndex) -> None:
        work(index, event(revision=1, offset=1), "k1", "k2")
        newer = event(revision=5, offset=2, kind=UPDATED)
        index.begin(newer)
        index.claim(newer, "k1")
        assert index.begin(event(revision=4, offset=3, kind=DELETED)) == Removal(keys=("k2",))
        assert index.finish(newer, answer(newer)).outcome is Outcome.ENRICHED
        assert index.claim(newer, "k1") == output("k1")

    def test_a_replay_is_work_whatever_was_answered(self, index: SqlIndex) -> None:
        first = event(revision=1, offset=1)
        work(index, first, "k1")
        work(index, event(revision=5, offset=2, kind=UPDATED), "k2")
        for done in (first, event(revision=1, offset=3, event_id="event-1")):
            assert index.begin(done.model_copy(update={"replay": True})) == Accepted()

    def test_a_replay_leaves_answers_and_revisions_as_they_are(self, index: SqlIndex) -> None:
        known, unknown = event(revision=2, offset=1), event(revision=9, offset=2, kind=UPDATED)
        first = work(index, known, "k1")
        for item in (known, unknown):
            again = item.model_copy(update={"replay": True})
            assert work(index, again, "new").outcome is Outcome.ENRICHED
            assert index.begin(again) == Accepted(), "its end is not kept either"
        assert index.begin(known) == Answered(result=first)
        assert index.begin(unknown) == Accepted()
        assert index.begin(event(revision=3, offset=3, kind=UPDATED)) == Accepted()

    def test_the_replay_of_a_deletion_removes_nothing(self, index: SqlIndex) -> None:
        work(index, event(revision=1, offset=1), "k1")
        gone = event(revision=2, offset=2, kind=DELETED)
        assert work(index, gone.model_copy(update={"replay": True})).outcome is Outcome.REMOVED
        assert index.claim(event("hat", offset=3), "k1") == output("k1")
        assert index.begin(event(revision=1, offset=4, kind=UPDATED)) == Accepted()
        index.begin(gone)
        assert index.begin(gone.model_copy(update={"replay": True})) == Removal(), "a live deletion keeps its own"

    def test_a_replay_never_brings_back_what_was_deleted(self, index: SqlIndex) -> None:
        item = event(revision=1, offset=1).model_copy(update={"replay": True})
        assert index.begin(item) == Accepted()
        index.claim(item, "k1")
        work(index, event(revision=2, offset=2, kind=DELETED))
        with pytest.raises(ObjectBusy):
            index.claim(item, "k2")
        assert index.finish(item, answer(item)).outcome is Outcome.STALE
        assert work(index, item, "k1").outcome is Outcome.STALE
        listed_anew = event(revision=3, offset=3).model_copy(update={"replay": True})
        assert work(index, listed_anew, "k3").outcome is Outcome.ENRICHED

    def test_the_next_deletion_takes_along_what_a_replay_made(self, index: SqlIndex) -> None:
        work(index, event(revision=2, offset=1), "k1")
        for offset, revision in enumerate((1, 2, 9), 2):
            work(index, event(revision=revision, offset=offset).model_copy(update={"replay": True}), "k1", f"r{offset}")
        assert index.begin(event(revision=3, offset=9, kind=DELETED)) == Removal(keys=("k1", "r2", "r3", "r4"))

    def test_strange_names_are_kept_apart(self, index: SqlIndex) -> None:
        names = ["a\u00a0b", "a", "b" * 256, "\U0001f455" * 200, "a:b", "'; drop table x"]
        for offset, name in enumerate(names):
            item = event(name, offset=offset, event_id=(name * 40)[:256])
            assert index.begin(item) == Accepted()
            assert index.finish(item, answer(item)) == answer(item)
            assert index.begin(item) == Answered(result=answer(item))

    def test_the_largest_numbers_fit(self, index: SqlIndex) -> None:
        item = event(revision=2**63 - 1, offset=2**63 - 1)
        assert work(index, item).revision == 2**63 - 1

    def test_many_keys_of_one_listing_are_all_removed(self, index: SqlIndex) -> None:
        keys = [f"k{number:04}" for number in range(520)]
        item = event(offset=1)
        for key in keys:
            index.claim(item, key)
        assert index.begin(event(revision=2, offset=2, kind=DELETED)) == Removal(keys=tuple(keys))

    def test_workers_at_once_give_every_place_one_answer(self, index: SqlIndex) -> None:
        items = [event("shirt", revision, offset=revision) for revision in range(1, 9)]

        def run(item: EnrichItem) -> ListingResult:
            return work(index, item, "shared", f"own-{item.position.offset}")

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(run, items * 2))
        for item in items:
            given = [result for result in results if result.position == item.position]
            assert kept(given[0]) == kept(given[1])
        assert results[7].outcome is Outcome.ENRICHED  # the newest revision is never overtaken

    def test_claims_and_deletions_at_once_never_lose_a_claimed_object(self, index: SqlIndex) -> None:
        for turn in range(10):
            shirt, hat = f"shirt-{turn}", f"hat-{turn}"
            key = f"key-{turn}"
            work(index, event(shirt, offset=100 * turn), key)
            gone = event(shirt, 2, offset=100 * turn + 1, kind=DELETED)
            newcomer = event(hat, offset=100 * turn + 2)

            def claim(item: EnrichItem = newcomer, key: str = key) -> bool:
                try:
                    index.claim(item, key)
                except ObjectBusy:
                    return False
                return True

            with ThreadPoolExecutor(2) as pool:
                claimed, removal = pool.submit(claim), pool.submit(index.begin, gone)
                assert removal.result() == Removal(keys=() if claimed.result() else (key,))

    def test_the_schema_may_be_created_again_and_by_several_at_once(self, index: SqlIndex) -> None:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(index.create_schema) for _ in range(4)]:
                done.result()
        index.check()
