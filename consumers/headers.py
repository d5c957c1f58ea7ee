"""The headers by which a copy of a record says where it stood first: shared by dead letters and retry records.

Kafka headers of the client cannot be null: a null header becomes empty, and `vitrine-original-null-headers` names it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import to_json

from consumers.records import SourceRecord, TopicPartition
from serve.schemas.clock import clock_name

PREFIX = "vitrine-"
MOMENTS = "moments"
_TOPIC, _PARTITION, _OFFSET = "original-topic", "original-partition", "original-offset"
_TIMESTAMP, _KEY, _NULLS = "original-timestamp", "original-key", "original-null-headers"

Facts = dict[str, str | bytes | None]


def origin_facts(record: SourceRecord) -> Facts:
    """Where the record stands, and what a copy cannot keep as it is; names without prefix, None for absent."""
    return {
        _TOPIC: record.tp.topic,
        _PARTITION: str(record.tp.partition),
        _OFFSET: str(record.offset),
        _TIMESTAMP: str(record.timestamp_ms),
        _KEY: record.key,
        _NULLS: ",".join(name for name, value in record.headers if value is None) or None,
    }


def own_headers(record: SourceRecord) -> list[tuple[str, bytes]]:
    """The record's own headers, as a copy can carry them."""
    return [(name, body or b"") for name, body in record.headers if not name.startswith(PREFIX)]


def encoded(facts: Facts) -> dict[str, bytes]:
    """The facts that are there, as header values."""
    return {
        name: value.encode("utf-8", "replace") if isinstance(value, str) else value
        for name, value in facts.items()
        if value is not None
    }


def facts_of(record: SourceRecord) -> dict[str, bytes]:
    """The facts that a copy carries, names without prefix."""
    return {name.removeprefix(PREFIX): body or b"" for name, body in record.headers if name.startswith(PREFIX)}


def origin_of(copy: SourceRecord, facts: Mapping[str, bytes]) -> SourceRecord:
    """The record of which this is a copy, as it stood first; raise KeyError or ValueError where facts are wanting."""
    nulls = set(facts.get(_NULLS, b"").decode().split(",")) - {""}
    own = ((name, body) for name, body in copy.headers if not name.startswith(PREFIX))
    return SourceRecord(
        TopicPartition(facts[_TOPIC].decode(), _natural(facts[_PARTITION])),
        _natural(facts[_OFFSET]),
        facts.get(_KEY),
        copy.value,
        tuple((name, None if name in nulls and not body else body) for name, body in own),
        int(facts[_TIMESTAMP]),
        received_ns=copy.received_ns,
    )


def moments(record: SourceRecord, published_ns: int) -> tuple[str, bytes]:
    """The header by which a message says when its event came and when it went, in nanoseconds since 1970."""
    told = {"clock": clock_name() or "", "consumed_ns": record.received_ns, "published_ns": published_ns}
    return PREFIX + MOMENTS, to_json(told)


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _natural(raw: bytes) -> int:
    number = int(raw)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number
