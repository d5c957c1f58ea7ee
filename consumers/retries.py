"""Retry records: an event that waits in a retry topic, byte for byte, with what is known of its tries in headers."""

from datetime import datetime

from consumers.core.actions import PublishRetry
from consumers.headers import PREFIX, encoded, facts_of, iso_time, origin_facts, origin_of, own_headers
from consumers.records import Message, Retried, SourceRecord
from serve.schemas.redaction import redacted

_MAX_TEXT_CHARS = 1000


def retry_record(retry: PublishRetry, clock_offset_s: float, version: str) -> Message:
    """The message for the retry topic; its key is the listing's, whatever key the event had.

    `clock_offset_s` turns the engine's times into seconds since 1970.
    """
    facts = origin_facts(retry.record) | {
        "tries-transient": str(retry.tries.transient),
        "tries-delayed": str(retry.tries.delayed),
        "tries-broken": str(retry.tries.broken),
        "first-failed-at": iso_time(retry.first_failed_at + clock_offset_s),
        "error-code": retry.error.code,
        "error-message": redacted(retry.error.message)[:_MAX_TEXT_CHARS],
        "version": version,
    }
    added = tuple((PREFIX + name, body) for name, body in encoded(facts).items())
    return Message(retry.event.listing.key.encode(), retry.record.value, (*own_headers(retry.record), *added))


def read(record: SourceRecord, delay_s: float, clock_offset_s: float, now: float) -> SourceRecord:
    """The record with what its headers say; as it is where they do not make sense, and so due at once.

    It is due `delay_s` after its timestamp. Clocks of brokers and producers may be wrong: it waits `delay_s` at most.
    """
    facts = facts_of(record)
    try:
        retried = Retried(
            origin=origin_of(record, facts),
            transient=max(0, int(facts["tries-transient"])),
            delayed=max(0, int(facts["tries-delayed"])),
            broken=max(0, int(facts["tries-broken"])),
            first_failed_at=datetime.fromisoformat(facts["first-failed-at"].decode()).timestamp() - clock_offset_s,
            due_at=now + min(max(record.timestamp_ms / 1000 + delay_s - (now + clock_offset_s), 0.0), delay_s),
        )
    except (KeyError, ValueError, OverflowError):
        return record
    return record._replace(retried=retried)
