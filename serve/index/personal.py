"""What the index knows of a listing's people: whether it may train models, and that it was deleted."""

import json

from sqlalchemy import Connection, select, tuple_, update

from serve.index.tables import listing_ref, listings
from serve.privacy.consent import may_train
from serve.schemas.exchange import EnrichItem


def refuse_training(connection: Connection, item: EnrichItem) -> None:
    """Note a revision without consent as soon as it is seen: a withdrawal must not wait for its event to end well."""
    if may_train(item.listing):
        return
    revision = item.listing.revision
    older = (listings.c.listing_ref == listing_ref(item)) & (listings.c.training_refused < revision)
    connection.execute(update(listings).where(older).values(training_refused=revision))


def grant_training(connection: Connection, item: EnrichItem) -> None:
    """Note the consent of the newest answered revision. It holds while no revision since then lacks it."""
    revision = item.listing.revision if may_train(item.listing) else -1
    connection.execute(
        update(listings).where(listings.c.listing_ref == listing_ref(item)).values(training_granted=revision)
    )


def trainable_listings(connection: Connection, after: tuple[str, str], limit: int) -> list[tuple[str, str, str]]:
    """Digest, tenant and id of living listings whose newest revision allows training; `after` (tenant, digest)."""
    columns = (listings.c.listing_ref, listings.c.tenant, listings.c.listing)
    allowed = listings.c.deleted.is_(False) & (listings.c.training_granted > listings.c.training_refused)
    order = (listings.c.tenant, listings.c.listing_ref)
    rows = connection.execute(select(*columns).where(allowed, tuple_(*order) > after).order_by(*order).limit(limit))
    return [(row.listing_ref, row.tenant, json.loads(row.listing)) for row in rows]


def note_deletion(connection: Connection, item: EnrichItem, now_ms: int) -> None:
    """Note when the listing's deletion began: places that keep copies of its photos ask for that."""
    connection.execute(update(listings).where(listings.c.listing_ref == listing_ref(item)).values(deleted_at=now_ms))


def deleted_listings(connection: Connection, since_ms: int) -> list[tuple[str, str]]:
    """Tenant and id of listings that are deleted, and were so no earlier."""
    gone = listings.c.deleted.is_(True) & (listings.c.deleted_at >= since_ms)
    rows = connection.execute(select(listings.c.tenant, listings.c.listing).where(gone))
    return [(row.tenant, json.loads(row.listing)) for row in rows]
