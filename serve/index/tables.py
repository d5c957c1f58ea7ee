"""The tables of the result index, and how events and listings are named in them.

Events and listings are known by digests: their ids are free text of any length, and neither database takes that as a
key in all cases (PostgreSQL refuses NUL and long index entries).
"""

import hashlib
import json

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from serve.schemas.exchange import EnrichItem

metadata = MetaData()


def _answered_at() -> "Column[int]":
    """When the answer was given, in milliseconds since 1970 by the database's clock; old ones are pruned."""
    return Column("answered_at", BigInteger, nullable=False, index=True)


#: One answer per place in Kafka.
answers = Table(
    "vitrine_answers",
    metadata,
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    #: A place counts as known only for the same event: topics are made anew, and offsets start again.
    Column("event_ref", String(64), nullable=False),
    Column("result", Text, nullable=False),
    #: Whose answer it is; None in rows from before this column.
    Column("listing_ref", String(64), index=True),
    _answered_at(),
)

#: Where each event was answered first.
events = Table(
    "vitrine_events",
    metadata,
    Column("event_ref", String(64), primary_key=True),
    Column("topic", String(255), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    _answered_at(),
)

#: The newest answered revision of each listing; a deleted one stays as a tombstone.
listings = Table(
    "vitrine_listings",
    metadata,
    Column("listing_ref", String(64), primary_key=True),
    Column("tenant", String(63), nullable=False),
    #: Escaped to ASCII; for people, the digest is the key.
    Column("listing", Text, nullable=False),
    #: -1 while nothing is answered yet.
    Column("revision", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("outcome", String(32)),
    Column("topic", String(255)),
    Column("partition", Integer),
    Column("offset", BigInteger),
    #: When the newest deletion began, in milliseconds since 1970 by the database's clock.
    Column("deleted_at", BigInteger, index=True),
    #: The newest answered revision that allowed training with it, and the newest one seen that did not; -1 for none.
    Column("training_granted", BigInteger, nullable=False, server_default="-1"),
    Column("training_refused", BigInteger, nullable=False, server_default="-1"),
)

#: What lies in the object store, or is about to.
objects = Table(
    "vitrine_objects",
    metadata,
    Column("key", String(512), primary_key=True),
    #: Who is removing the object just now, a listing's deletion or a late worker; None for a living one.
    Column("condemned_by", String(64), index=True),
    #: When that began or was last repeated, in seconds since 1970 by the database's clock.
    Column("condemned_at", BigInteger),
    #: The `Output` as JSON once the object is stored.
    Column("record", Text),
)

#: Which listings refer to an object; a listing keeps all it ever had until it is deleted.
object_refs = Table(
    "vitrine_object_refs",
    metadata,
    Column("key", String(512), primary_key=True),
    Column("listing_ref", String(64), primary_key=True),
    #: The newest revision that claimed it: a late deletion must not take what a newer revision uses.
    Column("revision", BigInteger, nullable=False),
)
Index("vitrine_object_refs_by_listing", object_refs.c.listing_ref)


def listing_ref(item: EnrichItem) -> str:
    """The digest of tenant and listing."""
    return _digest(item.listing.tenant_id, item.listing.listing_id)


def event_ref(item: EnrichItem) -> str:
    """The digest of tenant, source and event id."""
    return _digest(item.listing.tenant_id, item.event_source, item.event_id)


def _digest(*parts: str) -> str:
    # JSON keeps the parts apart and writes lone surrogates, which UTF-8 cannot.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
