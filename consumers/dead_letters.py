"""Dead letters: the record byte for byte as it came, with the reason in headers beside its own.

A *bare* one, for a record that the broker does not take back with more headers than it had, is without the record's
value and headers. It says so, and where the bytes still stand: at the original position, as long as that topic
keeps them.
"""

import hashlib
import json
from collections.abc import Iterator

from consumers.core.actions import PublishDead, position_of
from consumers.events import ListingEvent
from consumers.headers import PREFIX, Facts, encoded, iso_time, origin_facts, own_headers
from consumers.records import Message, SourceRecord
from consumers.results import result_id
from serve.schemas.redaction import redacted

TRUNCATED = "truncated"
_MAX_TEXT_BYTES = 4096


def dead_letter(dead: PublishDead, clock_offset_s: float, version: str) -> Message:
    """The message for the dead letter topic.

    `clock_offset_s` turns the engine's times into seconds since 1970. Whatever is not whole, or left out, is named in
    `vitrine-truncated`.
    """
    record = dead.record
    facts = _facts(dead, clock_offset_s, version) | (_whereabouts(record) if dead.bare else {})
    added = encoded(facts)
    missing = [name for name, raw in added.items() if len(raw) > _MAX_TEXT_BYTES]
    key, value = record.key, record.value
    kept = own_headers(record)
    if dead.bare:
        missing += _left_out(record)
        kept = []
        value = b""
        key = None if key is None or len(key) > _MAX_TEXT_BYTES else key
    if missing:
        added[TRUNCATED] = ",".join(missing).encode()
    # The client refuses a message without key and value.
    key = b"" if key is None and value is None else key
    headers = ((PREFIX + name, raw[:_MAX_TEXT_BYTES]) for name, raw in added.items())
    return Message(key, value, (*kept, *headers))


def _facts(dead: PublishDead, clock_offset_s: float, version: str) -> Facts:
    record, error = dead.record, dead.error
    return origin_facts(record) | {
        "dead-id": result_id(dead.event.source or "", dead.event.id or "", position_of(record)),
        "event-id": dead.event.id,
        "attempts": str(dead.attempts),
        "first-failed-at": iso_time(dead.first_failed_at + clock_offset_s),
        "last-failed-at": iso_time(dead.last_failed_at + clock_offset_s),
        "error-code": error.code,
        "error-class": error.retry.value,
        "error-message": redacted(error.message),
        "error-detail": redacted(json.dumps(error.detail, default=str)) if error.detail else None,
        "version": version,
        "traceparent": dead.event.traceparent if isinstance(dead.event, ListingEvent) else None,
    }


def _whereabouts(record: SourceRecord) -> Facts:
    value = record.value or b""
    return {"original-size": str(len(value)), "original-sha256": hashlib.sha256(value).hexdigest()}


def _left_out(record: SourceRecord) -> Iterator[str]:
    yield "value"
    if record.headers:
        yield "headers"
