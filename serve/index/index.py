"""The result index: decides what an event needs, and keeps what it was answered.

An event leaves no trace before `finish`, but for consent that it withdraws, and the first step of a deletion. Both are
safe to repeat: a process may die anywhere and the event simply comes again.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Connection, select

from serve.errors import ObjectBusy
from serve.index.answers import Clerk, answer_at, answered_elsewhere, erase_answers, keep_answer, prune_answers
from serve.index.database import Database, now_ms
from serve.index.holdings import (
    ListingState,
    claim_object,
    condemn_late,
    condemn_objects,
    condemned_keys,
    forget_condemned,
    keep_record,
    lock_listing,
    note_revision,
)
from serve.index.personal import deleted_listings, grant_training, note_deletion, refuse_training, trainable_listings
from serve.index.tables import objects
from serve.interfaces import Accepted, Answered, Removal
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType
from serve.schemas.result import ListingResult, Output

#: Rows of a table that one transaction prunes: others wait for it on SQLite.
_PRUNED_AT_ONCE = 500


class SqlIndex:
    """The `ResultIndex` on `sqlite:///FILE` or `postgresql://…`. Thread-safe; many processes may share a database."""

    def __init__(self, url: str, *, version: str = "", now: Callable[[Connection], int] = now_ms) -> None:
        """`now` tells milliseconds since 1970: the database's own clock, as those of machines differ."""
        self._database = Database(url)
        self._clerk = Clerk(version=version)
        self._now_ms = now

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
            return self._begin_again(item, listing) if item.replay else self._begin(connection, item, listing)

    def trainable(self, at_once: int = 500) -> Iterator[tuple[str, str]]:
        """Tenant and id of every listing whose newest revision consents to training and that was not deleted.

        Whoever collects photos, texts or images to train with takes these listings' alone, and asks anew each time.
        """
        after = ("", "")
        while True:
            with self._database.transaction() as connection:
                found = trainable_listings(connection, after, at_once)
            for ref, tenant, listing in found:
                yield tenant, listing
                after = (tenant, ref)
            if len(found) < at_once:
                return

    def deleted_since(self, age: timedelta) -> list[tuple[str, str]]:
        """Tenant and id of the listings whose deletion began no longer ago, and that were not listed anew."""
        with self._database.transaction() as connection:
            return deleted_listings(connection, self._now_ms(connection) - int(age.total_seconds() * 1000))

    def claim(self, item: EnrichItem, key: str) -> Output | None:
        """Note that the listing refers to the object, before it is written; give its record if it is known.

        Raise `ObjectBusy` while a deletion removes the same key, and when the listing itself was deleted meanwhile:
        the repeat of the event is then told that it is stale. What a deletion left half done long ago may be claimed.
        """
        with self._database.transaction() as connection:
            listing = lock_listing(connection, item)
            if listing.deleted and listing.overtakes(item):
                raise ObjectBusy("the listing was deleted meanwhile")
            revision = item.listing.revision
            if item.replay:
                # No newer than what was answered: else the deletion that counts next could pass the object by.
                revision = min(revision, listing.revision)
            record = claim_object(connection, listing, revision, key, self._now(connection))
        return None if record is None else Output.model_validate_json(record)

    def record(self, output: Output) -> bool:
        """Keep the record of a stored object; False if a deletion condemned or removed it meanwhile."""
        with self._database.transaction() as connection:
            return keep_record(connection, output.key, output.model_dump_json())

    def condemn(self, key: str) -> str | None:
        """Condemn an object that came after its deletion; a ticket for `forget`, or None if it is claimed anew."""
        ticket = f"late {uuid4().hex}"
        with self._database.transaction() as connection:
            return ticket if condemn_late(connection, key, ticket, self._now(connection)) else None

    def forget(self, ticket: str) -> None:
        """What was condemned under the ticket is gone from the store."""
        with self._database.transaction() as connection:
            forget_condemned(connection, ticket)

    def finish(self, item: EnrichItem, result: ListingResult) -> ListingResult:
        """Store the answer and return the one that counts: the first for this place, or `stale` if overtaken."""
        with self._database.transaction() as connection:
            listing = lock_listing(connection, item)
            if item.replay:
                gone = self._gone(item, listing)
                return self._clerk.stale(item, listing.revision) if gone else result
            if (known := answer_at(connection, item)) is not None:
                return known
            if item.type is EventType.DELETED:
                forget_condemned(connection, listing.ref)
            return self._keep(connection, item, self._settle(connection, item, listing, result))

    def prune(self, older_than: timedelta) -> int:
        """Forget answers given longer ago, a bounded number per transaction; give how many rows went.

        Listings stay: their newest revisions and tombstones must outlive everything that may still come.
        """
        with self._database.transaction() as connection:
            before = self._now_ms(connection) - int(older_than.total_seconds() * 1000)
        total = 0
        while True:
            with self._database.transaction() as connection:
                gone = prune_answers(connection, before, _PRUNED_AT_ONCE)
            if not gone:
                return total
            total += gone

    def _begin(self, connection: Connection, item: EnrichItem, listing: ListingState) -> Answered | Accepted | Removal:
        if (known := answer_at(connection, item)) is not None:
            return Answered(result=known)
        if first := answered_elsewhere(connection, item):
            return Answered(result=self._keep(connection, item, self._clerk.duplicate(item, first)))
        deletion = item.type is EventType.DELETED
        if listing.overtakes(item):
            keys = condemned_keys(connection, listing, self._now(connection)) if deletion else ()
            if keys:
                return Removal(keys=keys)
            return Answered(result=self._keep(connection, item, self._clerk.stale(item, listing.revision)))
        refuse_training(connection, item)
        if not deletion:
            return Accepted()
        condemn_objects(connection, listing, item.listing.revision, self._now(connection))
        erase_answers(connection, item, item.listing.revision)
        note_revision(connection, item, None)
        note_deletion(connection, item, self._now_ms(connection))
        return Removal(keys=condemned_keys(connection, listing, self._now(connection)))

    def _begin_again(self, item: EnrichItem, listing: ListingState) -> Answered | Accepted | Removal:
        """Decide what a replay needs. Nothing is kept, so it may be repeated and abandoned at will."""
        if item.type is EventType.DELETED:
            return Removal()
        if self._gone(item, listing):
            return Answered(result=self._clerk.stale(item, listing.revision))
        return Accepted()

    def _gone(self, item: EnrichItem, listing: ListingState) -> bool:
        """Whether a replay would bring back the images of a listing that was deleted."""
        return item.type is not EventType.DELETED and listing.deleted and listing.overtakes(item)

    def _now(self, connection: Connection) -> int:
        return self._now_ms(connection) // 1000

    def _settle(
        self, connection: Connection, item: EnrichItem, listing: ListingState, result: ListingResult
    ) -> ListingResult:
        if first := answered_elsewhere(connection, item):
            return self._clerk.duplicate(item, first)
        if listing.overtakes(item):
            return self._clerk.stale(item, listing.revision)
        note_revision(connection, item, result.outcome)
        grant_training(connection, item)
        return result

    def _keep(self, connection: Connection, item: EnrichItem, result: ListingResult) -> ListingResult:
        keep_answer(connection, item, result, self._now_ms(connection))
        return result
