"""Dead letters, read back: what is known of each, the record that it was, and whether it was sent again.

A letter that is sent again is not changed: beside it in the topic comes a *mark*, a record of its own whose header
`vitrine-replayed` names the letter (`PARTITION/OFFSET`) and `vitrine-replayed-to` where the event stands now.
The new record has one header more than the original, `vitrine-replayed-from`, and so shows where it comes from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json

from consumers.dead_letters import TRUNCATED
from consumers.events import ListingEvent, parse
from consumers.headers import PREFIX, facts_of, iso_time, origin_of, own_headers
from consumers.records import Message, SourceRecord
from serve.schemas.result import Position

REPLAYED_FROM = PREFIX + "replayed-from"
_REPLAYED = "replayed"
_REPLAYED_TO = "replayed-to"
_NULL_HEADERS = "original-null-headers"
_KEY = "original-key"
#: How a letter says that the record's value is not in it.
_BYTES = "value"


class Place(NamedTuple):
    """Where a letter stands in the dead-letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"

    @classmethod
    def of(cls, text: str) -> "Place":
        """Read `PARTITION/OFFSET`, or `OFFSET` in partition 0; raise ValueError for anything else."""
        partition, _, offset = text.rpartition("/")
        if not (offset.isdecimal() and (partition or "0").isdecimal()):
            raise ValueError(f"{text!r} is no position: PARTITION/OFFSET is, or OFFSET in partition 0")
        return cls(int(partition or 0), int(offset))


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a dead letter says, without the bytes of its record. Everything may be missing: anybody can write there."""

    place: Place
    at_ms: int
    origin: Position | None = None
    event_id: str | None = None
    tenant: str | None = None
    listing: str | None = None
    code: str = ""
    retry_class: str = ""
    attempts: int | None = None
    message: str = ""
    #: The bytes of the record are not in the letter; its hash says which they were.
    bare: bool = False
    sha256: str | None = None
    truncated: tuple[str, ...] = ()


class Mark(NamedTuple):
    """Says that a letter was sent again."""

    letter: Place
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant; what is not given does not matter."""

    codes: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    tenant: str | None = None
    listing: str | None = None
    event_id: str | None = None
    places: frozenset[Place] = frozenset()

    def admits(self, letter: Letter) -> bool:
        """Whether the letter is meant. `since_ms` is within, `until_ms` is not."""
        return (
            (not self.codes or letter.code in self.codes)
            and (self.since_ms is None or letter.at_ms >= self.since_ms)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
            and self.tenant in (None, letter.tenant)
            and self.listing in (None, letter.listing)
            and self.event_id in (None, letter.event_id)
            and (not self.places or letter.place in self.places)
        )


@dataclass(slots=True)
class Letters:
    """Letters in the order of their places, and where those that were sent again stand now."""

    found: list[Letter] = field(default_factory=list)
    replayed: dict[Place, str] = field(default_factory=dict)

    @classmethod
    def gather(cls, records: Iterable[SourceRecord], wanted: Wanted) -> "Letters":
        """Go through the dead-letter topic; the bytes of the records are not kept."""
        letters = cls()
        for record in records:
            if (mark := mark_in(record)) is not None:
                letters.replayed[mark.letter] = mark.to
            elif wanted.admits(letter := letter_in(record)):
                letters.found.append(letter)
        letters.found.sort(key=lambda letter: letter.place)
        return letters


def letter_in(record: SourceRecord) -> Letter:
    """Read a dead letter. Never raises; a record that is none says nothing but its place and time."""
    told = {name: body.decode("utf-8", "replace") for name, body in facts_of(record).items()}
    truncated = _truncated(facts_of(record))
    tenant, listing = _listing_of(record)
    return Letter(
        place=Place(record.tp.partition, record.offset),
        at_ms=record.timestamp_ms,
        origin=_origin(record),
        event_id=told.get("event-id"),
        tenant=tenant,
        listing=listing,
        code=told.get("error-code", ""),
        retry_class=told.get("error-class", ""),
        attempts=_number(told.get("attempts")),
        message=told.get("error-message", ""),
        bare=_BYTES in truncated,
        sha256=told.get("original-sha256"),
        truncated=truncated,
    )


def mark_in(record: SourceRecord) -> Mark | None:
    """Read a mark; None for anything else."""
    facts = facts_of(record)
    try:
        return Mark(Place.of(facts[_REPLAYED].decode()), facts.get(_REPLAYED_TO, b"").decode("utf-8", "replace"))
    except (KeyError, ValueError):
        return None


def original_in(record: SourceRecord) -> SourceRecord | None:
    """The record that died, byte for byte as far as a letter keeps it; None for a bare letter and for none at all."""
    facts = facts_of(record)
    if _BYTES in _truncated(facts):
        return None
    try:
        original = origin_of(record, facts)
    except (KeyError, ValueError):
        return None
    # A header may cut a long key; the letter's own key is whole. It is made up only where there was nothing at all.
    return original._replace(key=record.key if _KEY in facts else None)


def again(original: SourceRecord, topic: str, place: Place) -> Message:
    """The record, to be produced once more.

    The client cannot send a null header: it goes as an empty one, and a header names it. Nor a record without key and
    value: that one gets an empty value.
    """
    nulls = ",".join(name for name, body in original.headers if body is None)
    headers = [*own_headers(original), (REPLAYED_FROM, f"{topic}/{place}".encode())]
    if nulls:
        headers.append((PREFIX + _NULL_HEADERS, nulls.encode()))
    value = b"" if original.key is None and original.value is None else original.value
    return Message(original.key, value, tuple(headers))


def mark(letter: Letter, to: str, at_s: float) -> Message:
    """The mark beside a letter that was sent again, at this time, to this place."""
    facts = {_REPLAYED: str(letter.place), _REPLAYED_TO: to, "replayed-at": iso_time(at_s)}
    headers = tuple((PREFIX + name, text.encode()) for name, text in facts.items())
    return Message(str(letter.place).encode(), b"", headers)


def shown(record: SourceRecord) -> dict[str, Any]:
    """Everything that a letter holds, for people and programs; what is no text is shown with backslashes."""
    facts = facts_of(record)
    own = [(name, body) for name, body in record.headers if not name.startswith(PREFIX)]
    detail = facts.get("error-detail")
    return {
        "facts": {name: _text(body) for name, body in facts.items() if name != "error-detail"},
        "detail": None if detail is None else _json(detail),
        "key": None if record.key is None else _text(record.key),
        "headers": [{"name": name, "value": None if body is None else _text(body)} for name, body in own],
        "size": len(record.value or b""),
        "value": None if record.value is None else _json(record.value),
    }


def _truncated(facts: Mapping[str, bytes]) -> tuple[str, ...]:
    raw = facts.get(TRUNCATED, b"").decode("utf-8", "replace")
    return tuple(raw.split(",")) if raw else ()


def _listing_of(record: SourceRecord) -> tuple[str | None, str | None]:
    original = original_in(record)
    event = None if original is None else parse(original)
    if isinstance(event, ListingEvent):
        return event.listing.tenant_id, event.listing.listing_id
    # Events are keyed by both, says the contract; a letter without its bytes, or with bad ones, has at least that.
    tenant, colon, listing = (record.key or b"").decode("utf-8", "replace").partition(":")
    return (tenant, listing) if colon else (None, None)


def _origin(record: SourceRecord) -> Position | None:
    try:
        found = origin_of(record, facts_of(record))
    except (KeyError, ValueError):
        return None
    return Position(topic=found.tp.topic, partition=found.tp.partition, offset=found.offset)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _json(raw: bytes) -> Any:
    """The document in it, or the text where it is none."""
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError:
        return _text(raw)
