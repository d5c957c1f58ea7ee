"""The events of a request, told apart: one that is malformed, too large or foreign must not fail its neighbours."""

import json
import logging
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from serve.doors.door import Visitor
from serve.errors import RequestError, RequestTooLarge, TenantNotAllowed
from serve.schemas.exchange import MAX_EVENTS_PER_REQUEST, EnrichItem, ErrorLine

log = logging.getLogger(__name__)

#: One event with more bytes, or nested more deeply, is refused by itself.
MAX_EVENT_BYTES = 2**20
MAX_EVENT_DEPTH = 64


def parse_items(body: bytes) -> tuple[list[EnrichItem], list[ErrorLine]]:
    """The events of a request, and an error line for each that is malformed: it must not fail its neighbours.

    Raise `RequestError` where not even lines can be told apart.
    """
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is not JSON: {error}") from error
    entries = raw.get("items") if isinstance(raw, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_EVENTS_PER_REQUEST:
        raise RequestError(f"The body must be an object with `items`, a list of 1 to {MAX_EVENTS_PER_REQUEST} events.")
    refs = [entry.get("ref") if isinstance(entry, dict) else None for entry in entries]
    if not all(type(ref) is int for ref in refs) or len(set(refs)) != len(refs):
        raise RequestError("Every event needs a whole number `ref` of its own.")
    items: list[EnrichItem] = []
    refused: list[ErrorLine] = []
    for ref, entry in zip(refs, entries, strict=True):
        try:
            items.append(_item(entry))
        except RequestError as error:
            refused.append(ErrorLine(ref=ref, error=error.info()))
    return items, refused


def _item(entry: object) -> EnrichItem:
    """One event; raise `RequestError` if it is malformed, too large, or could not be passed on."""
    if _deeper(entry, MAX_EVENT_DEPTH):
        raise RequestTooLarge(f"The event is nested more than {MAX_EVENT_DEPTH} deep.")
    try:
        size = len(to_json(entry))
    except (PydanticSerializationError, ValueError) as error:
        # Half of a surrogate pair: JSON can name it, and no UTF-8 can hold it.
        raise RequestError("The event holds text that is no Unicode.") from error
    if size > MAX_EVENT_BYTES:
        raise RequestTooLarge(f"The event has more than {MAX_EVENT_BYTES:,} bytes.")
    try:
        return EnrichItem.model_validate(entry)
    except ValidationError as error:
        raise RequestError(_reasons(error)) from error


def _deeper(value: object, levels: int) -> bool:
    """Whether lists and objects lie in each other more than so many levels deep."""
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for one in layer
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not layer:
            return False
    return any(isinstance(one, dict | list) for one in layer)


def allowed(items: Sequence[EnrichItem], visitor: Visitor) -> tuple[list[EnrichItem], list[ErrorLine]]:
    """The events of tenants that the visitor speaks for, and an error line for each of the others."""
    taken = [item for item in items if visitor.speaks_for(item.listing.tenant_id)]
    foreign = [item for item in items if not visitor.speaks_for(item.listing.tenant_id)]
    if visitor.token is not None:
        facts = {"token": visitor.name, "events": [item.event_id[:100] for item in taken], "foreign": len(foreign)}
        log.info("events taken", extra=facts)
    error = TenantNotAllowed().info()
    return taken, [ErrorLine(ref=item.ref, error=error) for item in foreign]


def _reasons(error: ValidationError) -> str:
    reasons = (f"{'.'.join(map(str, one['loc']))[:200]}: {one['msg'][:200]}" for one in error.errors()[:5])
    return "; ".join(reasons)
