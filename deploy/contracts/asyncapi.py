"""The AsyncAPI 3 document: topics, messages, who sends and who receives."""

from typing import Any

from consumers.events import STRUCTURED
from consumers.headers import MOMENTS, PREFIX
from consumers.results import TYPE_OF
from deploy.contracts.json_schemas import cloudevent, json_schemas
from serve.schemas.listing import EventType

Document = dict[str, Any]

#: Headers of a result, each a text.
RESULT_HEADERS = {
    MOMENTS: "JSON, nanoseconds since 1970 by the machine's clock of the name `clock`: `consumed_ns` when the worker "
    "got the event (0 where that is not known), `published_ns` when it handed this message to its producer",
}

#: Headers that a dead letter carries beside those of the event, each a text.
DEAD_LETTER_HEADERS = {
    "original-topic": "where the event stood",
    "original-partition": "where the event stood",
    "original-offset": "where the event stood",
    "original-timestamp": "the event's own, milliseconds since 1970",
    "original-key": "the event's key, if it had one",
    "original-null-headers": "headers that were null; here they are empty",
    "original-size": "bytes of the event's value, where the letter is without it",
    "original-sha256": "of the event's value, where the letter is without it",
    "truncated": "names of what is cut or left out: headers above, `value`, `headers`; the event keeps its place",
    "dead-id": "the same for every repeat of this dead letter",
    "event-id": "the CloudEvents id, where one could be read",
    "attempts": "how often the event was tried",
    "first-failed-at": "ISO 8601",
    "last-failed-at": "ISO 8601",
    "error-code": "see outcomes.md",
    "error-class": "transient, delayed or permanent",
    "error-message": "for people",
    "error-detail": "JSON, where there is more to say",
    "version": "of Vitrine",
    "traceparent": "W3C trace context, where the event had one",
    **RESULT_HEADERS,
}

_ORIGIN = ("topic", "partition", "offset", "timestamp", "key", "null-headers")
#: Headers that a retry record carries beside those of the event, each a text.
RETRY_HEADERS = {
    **{f"original-{name}": DEAD_LETTER_HEADERS[f"original-{name}"] for name in _ORIGIN},
    "tries-transient": "how often it was tried in vain, for errors that pass at once",
    "tries-delayed": "for errors that pass later",
    "tries-broken": "of the transient ones those in which the answer broke off",
    **{name: DEAD_LETTER_HEADERS[name] for name in ("first-failed-at", "error-code", "error-message", "version")},
}


def _nested(schema: Document, name: str) -> tuple[Document, Document]:
    """A schema and its `$defs`, moved to where AsyncAPI keeps reusable schemas."""
    text = {key: value for key, value in schema.items() if key not in ("$defs", "$schema")}
    return _relink({name: text, **schema.get("$defs", {})}), {"$ref": f"#/components/schemas/{name}"}


def _relink(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _relink(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_relink(item) for item in value]
    if isinstance(value, str) and value.startswith("#/$defs/"):
        return value.replace("#/$defs/", "#/components/schemas/")
    return value


def _channel(address: str, description: str, message: str) -> Document:
    return {
        "address": address,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }


def _operation(action: str, channel: str, summary: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def document(version: str) -> Document:
    """The whole document; `version` is Vitrine's own."""
    schemas = json_schemas()
    listing_schemas, listing = _nested(schemas["listing"], "Listing")
    result_schemas, result = _nested(schemas["result"], "ListingResult")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vitrine",
            "version": version,
            "description": "Listing events in, one result event per listing event out. Key: `tenant:listing`.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": STRUCTURED,
        "channels": {
            "listings": _channel("listings.new", "Listing events; binary mode is read too.", "ListingEvent"),
            "listingsHigh": _channel(
                "listings.new.high", "The same topic for urgent events, which are taken first.", "ListingEvent"
            ),
            "listingsLow": _channel(
                "listings.new.low", "The same topic for backfills, which are taken last.", "ListingEvent"
            ),
            "retries": _channel(
                "listings.retry.30s",
                "Events that wait for another try, as they came; also .5m and .30m. For the consumers alone.",
                "RetryRecord",
            ),
            "results": _channel("listings.enriched", "One result per listing event.", "ResultEvent"),
            "dead": _channel("listings.dead", "Events that cannot be answered, as they came.", "DeadLetter"),
        },
        "operations": {
            "receiveListing": _operation("receive", "listings", "Make the images of a listing."),
            "receiveUrgentListing": _operation(
                "receive", "listingsHigh", "The same, from the topic for urgent events."
            ),
            "receiveBackfillListing": _operation("receive", "listingsLow", "The same, from the topic for backfills."),
            "sendRetry": _operation("send", "retries", "Put an event off whose error passes later."),
            "receiveRetry": _operation("receive", "retries", "Try it again when its time has come."),
            "sendResult": _operation("send", "results", "Tell how the event ended and which images there are."),
            "sendDeadLetter": _operation("send", "dead", "Put aside what cannot be answered."),
        },
        "components": {
            "messages": {
                "ListingEvent": _message("ListingEvent", cloudevent(listing, [item.value for item in EventType])),
                "ResultEvent": {
                    **_message("ResultEvent", cloudevent(result, sorted(set(TYPE_OF.values())))),
                    "headers": _headers(RESULT_HEADERS),
                },
                "RetryRecord": _copy("RetryRecord", RETRY_HEADERS),
                "DeadLetter": _copy("DeadLetter", DEAD_LETTER_HEADERS),
            },
            "schemas": listing_schemas | result_schemas,
        },
    }


def _message(name: str, payload: Document) -> Document:
    return {"name": name, "contentType": STRUCTURED, "payload": payload}


def _copy(name: str, headers: dict[str, str]) -> Document:
    """A message that is the event byte for byte, with headers beside its own."""
    return {
        "name": name,
        "contentType": "application/octet-stream",
        "payload": {"description": "the original bytes of the event"},
        "headers": _headers(headers),
    }


def _headers(texts: dict[str, str]) -> Document:
    properties = {f"{PREFIX}{header}": {"type": "string", "description": text} for header, text in texts.items()}
    return {"type": "object", "properties": properties}
