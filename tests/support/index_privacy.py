"""What every result index must do for people: erase on deletion, and go by consent. `IndexContract` for the rest."""

import json
from datetime import timedelta

import pytest

from serve.index import SqlIndex
from serve.interfaces import Accepted, Answered, Removal
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome
from serve.schemas.result import ImageError, ListingResult
from serve.schemas.subject import Evidence, PhotoSubject, Subject
from tests.support.index_contract import DELETED, UPDATED, Clock, answer, event, output, work

#: What only this listing's photos could have told.
PERSONAL = "Ada Lovelace, 7 Analytical Row"


def told(item_offset: int, revision: int, *, listing: str = "shirt") -> tuple[object, ListingResult]:
    """An event, and an answer that carries personal details wherever an answer can."""
    item = event(listing, revision, offset=item_offset)
    read = Evidence(fact="text", value=PERSONAL, confidence=0.9, source="reader 1")
    error = ImageError(image_id="back", stage="decode", code="corrupt_image", retryable=False, message=PERSONAL)
    result = answer(item, outputs=[output("k1").model_copy(update={"subject": Subject(text=[read])})])
    update = {
        "subjects": [PhotoSubject(image_id="front", text=[read])],
        "errors": [error],
        "message": PERSONAL,
    }
    return item, result.model_copy(update=update)


def everything(index: SqlIndex) -> str:
    """All rows of all tables, as one text."""
    from sqlalchemy import select  # noqa: PLC0415

    from serve.index.tables import metadata  # noqa: PLC0415

    with index._database.transaction() as connection:
        # As plain tuples: rows write themselves with the middle of long texts left out.
        rows = [[tuple(row) for row in connection.execute(select(table))] for table in metadata.sorted_tables]
    return json.dumps(rows, default=str)


def publish(index: SqlIndex, offset: int, revision: int, *, listing: str = "shirt") -> ListingResult:
    """Do an event's work with personal details in record and answer."""
    item, result = told(offset, revision, listing=listing)
    assert index.begin(item) == Accepted()  # type: ignore[arg-type]
    index.claim(item, "k1")  # type: ignore[arg-type]
    index.record(result.outputs[0])
    return index.finish(item, result)  # type: ignore[arg-type]


def delete(index: SqlIndex, offset: int, revision: int) -> None:
    """Carry a deletion through."""
    assert work(index, event(revision=revision, offset=offset, kind=DELETED)).outcome is Outcome.REMOVED


class IndexPrivacyContract:
    """Inherit and give fixtures `index` and `clock`, as for `IndexContract`."""

    def test_nothing_personal_is_left_after_a_deletion(self, index: SqlIndex) -> None:
        publish(index, 1, 1)
        publish(index, 2, 2)
        assert PERSONAL in everything(index)
        delete(index, 3, 3)
        assert PERSONAL not in everything(index)

    def test_it_is_gone_from_the_first_step_on(self, index: SqlIndex) -> None:
        publish(index, 1, 1)
        assert isinstance(index.begin(event(revision=2, offset=2, kind=DELETED)), Removal)
        assert PERSONAL not in everything(index)

    def test_an_erased_answer_keeps_its_place_and_outcome(self, index: SqlIndex) -> None:
        first = publish(index, 1, 1)
        delete(index, 2, 2)
        item, _ = told(1, 1)
        known = index.begin(item)  # type: ignore[arg-type]
        assert isinstance(known, Answered)
        left = known.result
        assert (left.outcome, left.position, left.revision) == (first.outcome, first.position, first.revision)
        assert (left.outputs, left.subjects, left.errors, left.message) == ([], [], [], None)

    def test_the_tombstone_stays_so_that_nothing_comes_back(self, index: SqlIndex) -> None:
        publish(index, 1, 1)
        delete(index, 2, 2)
        item, result = told(3, 1)
        assert index.begin(item).result.outcome is Outcome.STALE  # type: ignore[arg-type, union-attr]
        late, said = told(4, 2)
        assert index.finish(late, said).outcome is Outcome.STALE  # type: ignore[arg-type]
        replay = item.model_copy(update={"replay": True})  # type: ignore[attr-defined]
        assert index.finish(replay, result).outcome is Outcome.STALE
        assert PERSONAL not in everything(index)

    def test_what_others_hold_and_what_came_later_stays(self, index: SqlIndex) -> None:
        publish(index, 1, 1)
        other = publish(index, 2, 1, listing="hat")
        delete(index, 3, 2)
        again = publish(index, 4, 3)
        item, _ = told(2, 1, listing="hat")
        assert index.begin(item) == Answered(result=other)  # type: ignore[arg-type]
        item, _ = told(4, 3)
        assert index.begin(item) == Answered(result=again)  # type: ignore[arg-type]

    def test_only_plain_consent_of_the_newest_revision_makes_a_listing_trainable(self, index: SqlIndex) -> None:
        work(index, event("yes", 1, offset=1, training=True))
        work(index, event("no", 1, offset=2))
        work(index, event("withdrawn", 1, offset=3, training=True))
        work(index, event("withdrawn", 2, offset=4, kind=UPDATED))
        work(index, event("given later", 1, offset=5))
        work(index, event("given later", 2, offset=6, kind=UPDATED, training=True))
        work(index, event("deleted", 1, offset=7, training=True))
        work(index, event("deleted", 2, offset=8, kind=DELETED, training=True))
        work(index, event("yes", 1, offset=9, tenant="other", training=True))
        assert sorted(index.trainable(at_once=1)) == [("other", "yes"), ("shop", "given later"), ("shop", "yes")]
        assert sorted(index.trainable()) == sorted(index.trainable(at_once=1))

    def test_a_withdrawal_counts_before_its_event_is_answered(self, index: SqlIndex) -> None:
        work(index, event(revision=1, offset=1, training=True))
        assert index.begin(event(revision=2, offset=2, kind=UPDATED)) == Accepted()
        assert list(index.trainable()) == []

    @pytest.mark.parametrize("kind", [UPDATED, DELETED])
    def test_an_older_revision_gives_back_no_consent(self, index: SqlIndex, kind: EventType) -> None:
        older = event(revision=1, offset=1, training=True)
        index.begin(older)
        work(index, event(revision=2, offset=2, kind=kind))
        assert index.finish(older, answer(older)).outcome is Outcome.STALE
        replay = older.model_copy(update={"replay": True})
        index.begin(replay)
        index.finish(replay, answer(replay))
        assert list(index.trainable()) == []

    def test_consent_holds_again_for_a_listing_that_is_listed_anew_with_it(self, index: SqlIndex) -> None:
        work(index, event(revision=1, offset=1, training=True))
        work(index, event(revision=2, offset=2, kind=DELETED))
        work(index, event(revision=3, offset=3, training=True))
        assert list(index.trainable()) == [("shop", "shirt")]

    def test_deletions_of_the_last_time_are_known_by_name(self, index: SqlIndex, clock: Clock) -> None:
        work(index, event("old", 1, offset=1, kind=DELETED))
        clock.now += timedelta(days=2)
        work(index, event("new \u2603", 1, offset=2, kind=DELETED))
        work(index, event("back", 1, offset=3, kind=DELETED))
        work(index, event("back", 2, offset=4))
        assert index.deleted_since(timedelta(days=1)) == [("shop", "new \u2603")]
        assert len(index.deleted_since(timedelta(days=3))) == 2
