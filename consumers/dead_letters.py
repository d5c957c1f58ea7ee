"""Dead letters: the record byte for byte as it came, with the reason in headers beside its own."""

import json
from datetime import UTC, datetime

from consumers.core.actions import PublishDead
from consumers.events import ListingEvent
from consumers.records import Message
from consumers.results import result_id
from serve.schemas.result import Position

PREFIX = "vitrine-"
_MAX_TEXT_BYTES = 4096


def dead_letter(dead: PublishDead, clock_offset_s: float, version: str) -> Message:
    """The message for the dead letter topic.

    `clock_offset_s` turns the engine's times into seconds since 1970. Kafka headers of the client cannot be null: a
    null header becomes empty, and `vitrine-original-null-headers` names it.
    """
    record, error = dead.record, dead.error
    position = Position(topic=record.tp.topic, partition=record.tp.partition, offset=record.offset)
    facts: dict[str, str | bytes | None] = {
        "original-topic": record.tp.topic,
        "original-partition": str(record.tp.partition),
        "original-offset": str(record.offset),
        "original-timestamp": str(record.timestamp_ms),
        "original-key": record.key,
        "original-null-headers": ",".join(name for name, value in record.headers if value is None) or None,
        "dead-id": result_id(dead.event.source or "", dead.event.id or "", position),
        "event-id": dead.event.id,
        "attempts": str(dead.attempts),
        "first-failed-at": _time(dead.first_failed_at + clock_offset_s),
        "last-failed-at": _time(dead.last_failed_at + clock_offset_s),
        "error-code": error.code,
        "error-class": error.retry.value,
        "error-message": error.message,
        "error-detail": json.dumps(error.detail, default=str) if error.detail else None,
        "version": version,
        "traceparent": dead.event.traceparent if isinstance(dead.event, ListingEvent) else None,
    }
    added = tuple((PREFIX + name, _header(value)) for name, value in facts.items() if value is not None)
    kept = tuple((name, value or b"") for name, value in record.headers if not name.startswith(PREFIX))
    # The client refuses a message without key and value.
    key = b"" if record.key is None and record.value is None else record.key
    return Message(key, record.value, kept + added)


def _header(value: str | bytes) -> bytes:
    raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return raw[:_MAX_TEXT_BYTES]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
