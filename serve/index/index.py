"""The result index: decides what an event needs, and keeps what it was answered.

An event leaves no trace before `finish`, but for the first step of a deletion, which is safe to repeat: a process may
die anywhere and the event simply comes again.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, select, update

from serve.errors import ObjectBusy
from serve.index.answers import Clerk, answer_at, answered_elsewhere, keep_answer, utc_now
from serve.index.database import Database
from serve.index.holdings import (
    ListingState,
    claim_object,
    condemn_objects,
    condemned_keys,
    forget_condemned,
    lock_listing,
    note_revision,
)
from serve.index.tables import objects
from serve.interfaces import Accepted, Answered, Removal
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType
from serve.schemas.result import ListingResult, Output


class SqlIndex:
    """The `ResultIndex` on `sqlite:///FILE` or `postgresql://…`. Thread-safe; many processes may share a database."""

    def __init__(self, url: str, *, version: str = "", clock: Callable[[], datetime] = utc_now) -> None:
        self._database = Database(url)
        self._clerk = Clerk(version=version, clock=clock)

    def create_schema(self) -> None:
        """Create the tables that are missing; raise `IndexUnavailable`."""
        self._database.create_schema()

    def check(self) -> None:
        """Raise `IndexUnavailable` unless the database answers and has the tables."""
        with self._database.transaction() as connection:
            connection.execute(select(objects.c.key).limit(1))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def begin(self, item: EnrichItem) -> Answered | Accepted | Removal:
        """Decide what an event needs; see `ResultIndex.begin`.

        A deletion that was overtaken after its first step is still carried through, and `finish` calls it stale. No
        store can fence off a worker that deletes late, so two deletions of one listing must not run at once; the
        consumers' key lanes see to that.
        """
        with self._database.transaction() as connection:
            listing = lock_listing(connection, item)
            if (known := answer_at(connection, item)) is not None:
                return Answered(result=known)
            if first := answered_elsewhere(connection, item):
                return Answered(result=self._keep(connection, item, self._clerk.duplicate(item, first)))
            deletion = item.type is EventType.DELETED
            if listing.overtakes(item):
                keys = condemned_keys(connection, listing, self._now()) if deletion else ()
                if keys:
                    return Removal(keys=keys)
                return Answered(result=self._keep(connection, item, self._clerk.stale(item, listing.revision)))
            if not deletion:
                return Accepted()
            condemn_objects(connection, listing, item.listing.revision, self._now())
            note_revision(connection, item, None)
            return Removal(keys=condemned_keys(connection, listing, self._now()))

    def claim(self, item: EnrichItem, key: str) -> Output | None:
        """Note that the listing refers to the object, before it is written; give its record if it is known.

        Raise `ObjectBusy` while a deletion removes the same key, and when the listing itself was deleted meanwhile:
        the repeat of the event is then told that it is stale. What a deletion left half done long ago may be claimed.
        """
        with self._database.transaction() as connection:
            listing = lock_listing(connection, item)
            if listing.deleted and listing.overtakes(item):
                raise ObjectBusy("the listing was deleted meanwhile")
            record = claim_object(connection, listing, item.listing.revision, key, self._now())
        return None if record is None else Output.model_validate_json(record)

    def record(self, output: Output) -> None:
        """Keep the record of a stored object. One that was condemned or removed meanwhile is left alone."""
        with self._database.transaction() as connection:
            connection.execute(
                update(objects)
                .where(objects.c.key == output.key, objects.c.condemned_by.is_(None))
                .values(record=output.model_dump_json())
            )

    def finish(self, item: EnrichItem, result: ListingResult) -> ListingResult:
        """Store the answer and return the one that counts: the first for this place, or `stale` if overtaken."""
        with self._database.transaction() as connection:
            listing = lock_listing(connection, item)
            if (known := answer_at(connection, item)) is not None:
                return known
            if item.type is EventType.DELETED:
                forget_condemned(connection, listing)
            return self._keep(connection, item, self._settle(connection, item, listing, result))

    def _now(self) -> int:
        return int(self._clerk.clock().timestamp())

    def _settle(
        self, connection: Connection, item: EnrichItem, listing: ListingState, result: ListingResult
    ) -> ListingResult:
        if first := answered_elsewhere(connection, item):
            return self._clerk.duplicate(item, first)
        if listing.overtakes(item):
            return self._clerk.stale(item, listing.revision)
        note_revision(connection, item, result.outcome)
        return result

    def _keep(self, connection: Connection, item: EnrichItem, result: ListingResult) -> ListingResult:
        keep_answer(connection, item, result)
        return result
