"""JSON Schemas of the messages, from the pydantic models."""

from typing import Any

from pydantic import TypeAdapter

from deploy.loadtest.document import RunDocument, SearchDocument
from serve.catalog.channel import Channel
from serve.catalog.recipe import Recipe
from serve.schemas.exchange import AnswerLine, Capacity, EnrichRequest
from serve.schemas.listing import Listing
from serve.schemas.result import ListingResult

JsonSchema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_VALIDATED: dict[str, Any] = {
    "listing": Listing,
    "enrich-request": EnrichRequest,
    "recipe": Recipe,
    "channel": Channel,
}
_WRITTEN: dict[str, Any] = {
    "result": ListingResult,
    "answer-line": AnswerLine,
    "capacity": Capacity,
    "loadtest-run": RunDocument,
    "loadtest-search": SearchDocument,
}


def json_schemas() -> dict[str, JsonSchema]:
    """Schema by name: what Vitrine reads as it validates it, what it writes as it serialises it."""
    read = {name: TypeAdapter(model).json_schema(mode="validation") for name, model in _VALIDATED.items()}
    written = {name: TypeAdapter(model).json_schema(mode="serialization") for name, model in _WRITTEN.items()}
    return {name: {"$schema": DIALECT, **schema} for name, schema in sorted((read | written).items())}


def cloudevent(data: JsonSchema, types: list[str]) -> JsonSchema:
    """The structured-mode envelope of CloudEvents 1.0 around `data`."""
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "maxLength": 256},
            "source": {"type": "string", "minLength": 1},
            "type": {"enum": types},
            "subject": {"type": "string", "description": "the listing id"},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "partitionkey": {"type": "string", "description": "tenant:listing, equal to the Kafka key"},
            "traceparent": {"type": "string", "description": "W3C trace context"},
            "data": data,
        },
    }
