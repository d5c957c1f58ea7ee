"""What is no event, or none that Serve takes: as bytes. Pure."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from pydantic_core import to_json

from consumers.events import SPEC_VERSION
from serve.doors.events import MAX_EVENT_BYTES
from serve.schemas.listing import EventType

SOURCE = "//loadtest"
#: Written out as 1000000000000000.0 by whoever reads it as JSON and writes it again.
_SHORT, _LONG_BYTES = "1e15", len("1000000000000000.0,")


class Poison(StrEnum):
    """Shapes of what is no listing event; with each the code of its dead letter."""

    HALF = "half"  #: JSON that ends in the middle; `invalid_json`
    BINARY = "binary"  #: bytes that are no text; `invalid_json`
    EMPTY = "empty"  #: no byte at all; `invalid_json`
    FOREIGN = "foreign"  #: JSON, but no CloudEvent; `invalid_event`
    FIELDLESS = "fieldless"  #: required fields are missing; `invalid_event`
    WRONG_FIELD = "wrong_field"  #: a revision in words; `invalid_event`
    UNHEARD = "unheard"  #: a type that nobody knows; `unknown_event_type`


def poison(shape: Poison, event_id: str) -> bytes:
    """Bytes of this shape; those with room for it hold the id."""
    return _SHAPES[shape](event_id)


def oversize(event_id: str, tenant: str, listing: str, recipe: str) -> bytes:
    """A listing that is small enough for Kafka and too large for Serve's door, hence a dead letter.

    A broker takes 1 MiB by default, and the door refuses more than that. Between them the consumer reads and writes
    the event: numbers such as 1e15 become four times as long. So 300 kB on the way in are over 1 MiB at the door.
    """
    numbers = ",".join([_SHORT] * (MAX_EVENT_BYTES // _LONG_BYTES + 1))
    data = {"tenant_id": tenant, "listing_id": listing, "revision": 2, "recipe": recipe}
    head = to_json(envelope(event_id, EventType.CREATED, data))
    # What was written so far ends with the braces of data and event.
    return head[:-2] + f',"attributes":{{"measurements":[{numbers}]}}}}}}'.encode()


def envelope(event_id: str, kind: str, data: object) -> dict[str, object]:
    """A CloudEvent; its data stand last."""
    return {"specversion": SPEC_VERSION, "id": event_id, "source": SOURCE, "type": kind, "data": data}


def _wrong_field(event_id: str) -> bytes:
    data = {"tenant_id": "t", "listing_id": "l", "revision": "soon"}
    return to_json(envelope(event_id, EventType.CREATED, data))


_SHAPES: Mapping[Poison, Callable[[str], bytes]] = {
    Poison.HALF: lambda event_id: f"{{{event_id}".encode(),
    Poison.BINARY: lambda event_id: b"\xff\xfe\x00" + event_id.encode() + b"\x80",
    Poison.EMPTY: lambda _: b"",
    Poison.FOREIGN: lambda event_id: to_json({"hello": event_id}),
    Poison.FIELDLESS: lambda event_id: to_json(envelope(event_id, EventType.CREATED, {"x": 1})),
    Poison.WRONG_FIELD: _wrong_field,
    Poison.UNHEARD: lambda event_id: to_json(envelope(event_id, "org.example.unheard.v1", {})),
}
