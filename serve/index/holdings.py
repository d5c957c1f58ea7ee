"""Listings and the objects that they hold: claims, and the two steps of a deletion.

Locks are always taken in one order, the listing first and then objects by key, so that no two transactions wait for
each other. On SQLite the one write lock does the same.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, select, update

from serve.errors import ObjectBusy
from serve.index.database import insert_missing
from serve.index.tables import listing_ref, listings, object_refs, objects
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome

#: `listings.revision` of a listing that has no answer yet.
_NONE_YET = -1
#: A deletion that neither ended nor came again for so long was given up: its objects may be claimed anew. It must be
#: far longer than a deletion can take in the store.
ABANDONED_S = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingState:
    """What is known of the event's listing."""

    ref: str
    revision: int
    deleted: bool

    def overtakes(self, item: EnrichItem) -> bool:
        """Whether the event comes too late. A tombstone also beats what carries its own revision."""
        revision = item.listing.revision
        buried = self.deleted and item.type is not EventType.DELETED
        return revision <= self.revision if buried else revision < self.revision


def lock_listing(connection: Connection, item: EnrichItem) -> ListingState:
    """Read the listing and hold it until the transaction ends; its row is made if it is missing."""
    ref = listing_ref(item)
    insert_missing(
        connection,
        listings,
        listing_ref=ref,
        tenant=item.listing.tenant_id,
        listing=json.dumps(item.listing.listing_id),
        revision=_NONE_YET,
        deleted=False,
    )
    query = select(listings.c.revision, listings.c.deleted).where(listings.c.listing_ref == ref).with_for_update()
    row = connection.execute(query).one()
    return ListingState(ref=ref, revision=row.revision, deleted=row.deleted)


def note_revision(connection: Connection, item: EnrichItem, outcome: Outcome | None) -> None:
    """The event's revision is the newest now; a deletion leaves a tombstone."""
    connection.execute(
        update(listings)
        .where(listings.c.listing_ref == listing_ref(item))
        .values(
            revision=item.listing.revision,
            deleted=item.type is EventType.DELETED,
            outcome=None if outcome is None else outcome.value,
            **item.position.model_dump(),
        )
    )


def claim_object(connection: Connection, listing: ListingState, revision: int, key: str, now: int) -> str | None:
    """Refer to the object and give its record as JSON; raise `ObjectBusy` while it is being removed."""
    insert_missing(connection, objects, key=key)
    row = connection.execute(
        select(objects.c.condemned_at, objects.c.record).where(objects.c.key == key).with_for_update()
    ).one_or_none()
    # No row: the end of a deletion took it away between the two statements.
    if row is None or (row.condemned_at is not None and now - row.condemned_at < ABANDONED_S):
        raise ObjectBusy
    if row.condemned_at is not None:
        connection.execute(update(objects).where(objects.c.key == key).values(condemned_by=None, condemned_at=None))
    insert_missing(connection, object_refs, key=key, listing_ref=listing.ref, revision=revision)
    connection.execute(
        update(object_refs)
        .where(object_refs.c.key == key, object_refs.c.listing_ref == listing.ref, object_refs.c.revision < revision)
        .values(revision=revision)
    )
    record: str | None = row.record
    return record


def condemn_objects(connection: Connection, listing: ListingState, revision: int, now: int) -> None:
    """Drop the listing's references up to the revision and condemn what nothing else refers to."""
    of_listing = (object_refs.c.listing_ref == listing.ref) & (object_refs.c.revision <= revision)
    held = select(object_refs.c.key).where(of_listing)
    keys = (
        connection.execute(
            select(objects.c.key).where(objects.c.key.in_(held)).order_by(objects.c.key).with_for_update()
        )
        .scalars()
        .all()
    )
    connection.execute(delete(object_refs).where(of_listing))
    referred = exists().where(object_refs.c.key == objects.c.key)
    for start in range(0, len(keys), 500):
        connection.execute(
            update(objects)
            .where(objects.c.key.in_(keys[start : start + 500]), ~referred)
            .values(condemned_by=listing.ref, condemned_at=now, record=None)
        )


def condemned_keys(connection: Connection, listing: ListingState, now: int) -> tuple[str, ...]:
    """The objects that the listing's deletion has yet to remove from the store, in order; its time starts anew."""
    query = select(objects.c.key).where(objects.c.condemned_by == listing.ref).order_by(objects.c.key)
    keys = tuple(connection.execute(query.with_for_update()).scalars())
    connection.execute(update(objects).where(objects.c.condemned_by == listing.ref).values(condemned_at=now))
    return keys


def keep_record(connection: Connection, key: str, record: str) -> bool:
    """Keep the record of an object; False if the object was condemned or forgotten meanwhile."""
    living = (objects.c.key == key) & objects.c.condemned_by.is_(None)
    return connection.execute(update(objects).where(living).values(record=record)).rowcount > 0


def condemn_late(connection: Connection, key: str, ticket: str, now: int) -> bool:
    """Condemn an object that came too late, in the ticket's name; False if somebody claimed it anew."""
    insert_missing(connection, objects, key=key)
    connection.execute(select(objects.c.key).where(objects.c.key == key).with_for_update())
    late = (objects.c.key == key) & ~exists().where(object_refs.c.key == objects.c.key)
    done = connection.execute(update(objects).where(late).values(condemned_by=ticket, condemned_at=now, record=None))
    return done.rowcount > 0


def forget_condemned(connection: Connection, by: str) -> None:
    """A removal is over: what it condemned is gone from the store."""
    condemned = objects.c.condemned_by == by
    connection.execute(select(objects.c.key).where(condemned).order_by(objects.c.key).with_for_update())
    connection.execute(delete(objects).where(condemned))
