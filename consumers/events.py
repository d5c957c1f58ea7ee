"""Listing events as CloudEvents 1.0 on Kafka, in binary and in structured content mode.

After the CloudEvents specification 1.0.2 and its Kafka protocol binding. `parse` never raises: whatever bytes come,
the answer is a `ListingEvent` or a `BadEvent`.
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import from_json, to_json

from consumers.records import Message, SourceRecord
from serve.schemas.listing import EventType, Listing

STRUCTURED = "application/cloudevents+json"
SPEC_VERSION = "1.0"
MAX_EVENT_ID_CHARS = 256

_HEADER_PREFIX = "ce_"
_KNOWN = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "traceparent")
)
_DATA = frozenset(("data", "data_base64"))
#: Control characters have no place in an identifier; NUL would even break a PostgreSQL text column.
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class BadCode(StrEnum):
    """Why a record is no event that Vitrine answers."""

    INVALID_JSON = "invalid_json"
    INVALID_EVENT = "invalid_event"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"


@dataclass(frozen=True, slots=True)
class BadEvent:
    """A record that cannot be answered, and why; `id` and `source` as far as they could be read."""

    code: BadCode
    message: str
    id: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ListingEvent:
    """A valid listing event."""

    id: str
    source: str
    type: EventType
    listing: Listing
    time: AwareDatetime | None = None
    traceparent: str | None = None
    #: All other attributes of the envelope, such as `subject` and `sequence`.
    extensions: dict[str, Any] = field(default_factory=dict)


class _Envelope(BaseModel):
    """The context attributes that Vitrine reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(max_length=MAX_EVENT_ID_CHARS, pattern=_PRINTABLE)]
    source: Annotated[str, StringConstraints(max_length=2048, pattern=_PRINTABLE)]
    type: Annotated[str, StringConstraints(min_length=1)]
    time: AwareDatetime | None = None
    traceparent: str | None = None


class _RefusedError(Exception):
    """Carries a `BadEvent` out of the depth of the parser; never leaves this module."""

    def __init__(self, code: BadCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse(record: SourceRecord) -> ListingEvent | BadEvent:
    """Read the event in a record."""
    attributes: dict[str, Any] = {}
    try:
        headers = _headers(record)
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        binary = f"{_HEADER_PREFIX}specversion" in headers and content_type != STRUCTURED
        if binary:
            attributes = {k.removeprefix(_HEADER_PREFIX): v for k, v in headers.items() if k.startswith(_HEADER_PREFIX)}
            attributes["datacontenttype"] = content_type or None
        else:
            attributes = _document(record.value, content_type)
        attributes.setdefault("traceparent", headers.get("traceparent"))
        return _event(attributes, record.value if binary else None)
    except _RefusedError as refused:
        return BadEvent(refused.code, str(refused), _text(attributes.get("id")), _text(attributes.get("source")))


def structured(event: ListingEvent) -> Message:
    """The event as a Kafka message in structured mode."""
    document: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "datacontenttype": "application/json",
        "traceparent": event.traceparent,
        **event.extensions,
    }
    document = {name: value for name, value in document.items() if value is not None}
    document["data"] = event.listing.model_dump(mode="json", exclude_unset=True)
    headers = (("content-type", f"{STRUCTURED}; charset=UTF-8".encode()),)
    return Message(event.listing.key.encode(), to_json(document), headers)


def _headers(record: SourceRecord) -> dict[str, str]:
    """The headers that matter, with lower-case names; of repeated ones the last counts."""
    headers = {}
    for name, raw in record.headers:
        lowered = name.lower()
        if raw is None or not (lowered.startswith(_HEADER_PREFIX) or lowered in ("content-type", "traceparent")):
            continue
        try:
            headers[lowered] = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _RefusedError(BadCode.INVALID_EVENT, f"header {lowered} is not UTF-8") from None
    return headers


def _document(value: bytes | None, content_type: str) -> dict[str, Any]:
    if content_type.startswith("application/cloudevents") and content_type != STRUCTURED:
        raise _RefusedError(BadCode.INVALID_EVENT, f"content mode {content_type} is not supported")
    document = _json(value)
    if not isinstance(document, dict) or "specversion" not in document:
        raise _RefusedError(BadCode.INVALID_EVENT, "not a CloudEvent: no specversion in headers or body")
    return document


def _json(raw: bytes | None) -> Any:
    if raw is None:
        raise _RefusedError(BadCode.INVALID_EVENT, "the record has no value")
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _RefusedError(BadCode.INVALID_JSON, f"not JSON: {error}") from None


def _event(attributes: dict[str, Any], body: bytes | None) -> ListingEvent:
    try:
        envelope = _Envelope.model_validate(attributes)
    except ValidationError as error:
        raise _RefusedError(BadCode.INVALID_EVENT, _reason(error, "")) from None
    try:
        kind = EventType(envelope.type)
    except ValueError:
        raise _RefusedError(BadCode.UNKNOWN_EVENT_TYPE, f"unknown event type {envelope.type[:256]!r}") from None
    try:
        listing = Listing.model_validate(_data(attributes, body))
    except ValidationError as error:
        raise _RefusedError(BadCode.INVALID_EVENT, _reason(error, "data.")) from None
    extensions = {
        name: value
        for name, value in attributes.items()
        if value is not None and name not in _DATA and (name not in _KNOWN or name in ("subject", "dataschema"))
    }
    return ListingEvent(
        envelope.id, envelope.source, kind, listing, envelope.time, envelope.traceparent or None, extensions
    )


def _data(attributes: dict[str, Any], body: bytes | None) -> Any:
    media = _text(attributes.get("datacontenttype")) or "application/json"
    media = media.partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise _RefusedError(BadCode.INVALID_EVENT, f"data of type {media[:256]} is not supported, only JSON")
    if body is not None:
        return _json(body)
    encoded = attributes.get("data_base64")
    if not isinstance(encoded, str):
        return attributes.get("data")
    try:
        return _json(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise _RefusedError(BadCode.INVALID_EVENT, "data_base64 is not base64") from None


def _reason(error: ValidationError, prefix: str) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    named = (f"{prefix}{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found[:5])
    return "; ".join(named)[:1000]


def _text(value: object) -> str | None:
    return value[:MAX_EVENT_ID_CHARS] if isinstance(value, str) else None
