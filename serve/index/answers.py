"""Answers by place and by event: what is known already, and the results that need no work."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy import Connection, delete, select, tuple_, update

from serve.codes import ListingCode
from serve.index.database import insert_missing, insert_or_replace
from serve.index.tables import answers, event_ref, events, listing_ref
from serve.schemas.clock import clock_name
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import Consent
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult, Position

#: What is true of one try alone: whoever gets the answer again must not take it for news.
_OF_ONE_TRY = {"started_at", "stored_at", "clock"}


def vitrine_version() -> str:
    """The version of this installation; a bare working directory has none."""
    try:
        return version("vitrine")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """Writes the results that need no work."""

    version: str = ""

    def duplicate(self, item: EnrichItem, first: Position) -> ListingResult:
        """The event was answered at another place."""
        place = f"{first.topic}/{first.partition}/{first.offset}"
        return self._result(item, Outcome.DUPLICATE, ListingCode.DUPLICATE_EVENT, f"this event was answered at {place}")

    def stale(self, item: EnrichItem, newest: int) -> ListingResult:
        """A newer revision of the listing was answered, or the listing was deleted at this revision."""
        message = f"revision {newest} of the listing was answered before"
        return self._result(item, Outcome.STALE, ListingCode.STALE_REVISION, message)

    def _result(self, item: EnrichItem, outcome: Outcome, code: str, message: str) -> ListingResult:
        now = datetime.now(UTC)
        return ListingResult(
            event_id=item.event_id,
            event_source=item.event_source,
            position=item.position,
            tenant_id=item.listing.tenant_id,
            listing_id=item.listing.listing_id,
            revision=item.listing.revision,
            outcome=outcome,
            code=code,
            message=message,
            started_at=now,
            finished_at=now,
            clock=clock_name(),
            vitrine_version=self.version or vitrine_version(),
        )


def answer_at(connection: Connection, item: EnrichItem) -> ListingResult | None:
    """The answer that this event got at this place."""
    place = item.position
    found = connection.execute(
        select(answers.c.result).where(
            answers.c.topic == place.topic,
            answers.c.partition == place.partition,
            answers.c.offset == place.offset,
            answers.c.event_ref == event_ref(item),
        )
    ).scalar_one_or_none()
    return None if found is None else ListingResult.model_validate_json(found)


def answered_elsewhere(connection: Connection, item: EnrichItem) -> Position | None:
    """Where the same event was answered first, if that is another place."""
    row = connection.execute(
        select(events.c.topic, events.c.partition, events.c.offset).where(events.c.event_ref == event_ref(item))
    ).one_or_none()
    first = None if row is None else Position(topic=row.topic, partition=row.partition, offset=row.offset)
    return None if first == item.position else first


def keep_answer(connection: Connection, item: EnrichItem, result: ListingResult, now_ms: int) -> None:
    """Store the answer for the place, without the moments of this try, and note the event if it is new."""
    place = item.position.model_dump()
    ref = event_ref(item)
    insert_missing(connection, events, event_ref=ref, answered_at=now_ms, **place)
    insert_or_replace(
        connection,
        answers,
        **place,
        event_ref=ref,
        listing_ref=listing_ref(item),
        answered_at=now_ms,
        result=result.model_dump_json(exclude=_OF_ONE_TRY),
    )


def erase_answers(connection: Connection, item: EnrichItem, revision: int) -> None:
    """Leave of the listing's answers, up to the revision, that they were given, and nothing of what they said.

    A place keeps its outcome, so that an event that comes again is not worked on anew.
    """
    unsorted = answers.c.listing_ref.is_(None) & answers.c.result.contains(_naming(item), autoescape=True)
    of_listing = (answers.c.listing_ref == listing_ref(item)) | unsorted
    keys = (answers.c.topic, answers.c.partition, answers.c.offset)
    rows = connection.execute(select(*keys, answers.c.result).where(of_listing).with_for_update()).all()
    for row in rows:
        said = ListingResult.model_validate_json(row.result)
        # Those that carry no images name places and revisions alone.
        if not said.outcome.carries_images or said.revision > revision:
            continue
        left = said.model_copy(
            update={
                "outputs": [],
                "subjects": [],
                "errors": [],
                "message": None,
                "timings_ms": {},
                "consent": Consent(),
            }
        )
        place = (answers.c.topic == row.topic, answers.c.partition == row.partition, answers.c.offset == row.offset)
        connection.execute(update(answers).where(*place).values(result=left.model_dump_json()))


def _naming(item: EnrichItem) -> str:
    """How the JSON of an answer names its listing: for rows that no column names it in."""
    return item.listing.model_dump_json(include={"tenant_id", "listing_id"})[1:-1]


def prune_answers(connection: Connection, before_ms: int, at_most: int) -> int:
    """Forget answers and events of before that time, so many of each in one go; give how many went."""
    gone = 0
    for table in (answers, events):
        keys = list(table.primary_key.columns)
        # Rows that another replica prunes just now are left to it.
        old = select(*keys).where(table.c.answered_at < before_ms).limit(at_most).with_for_update(skip_locked=True)
        gone += connection.execute(delete(table).where(tuple_(*keys).in_(old))).rowcount
    return gone
