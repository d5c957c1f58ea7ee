"""Reads files of structured CloudEvents, one per line, as `vitrine produce` takes them. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from consumers.events import STRUCTURED, BadEvent, parse
from consumers.records import Message, SourceRecord, TopicPartition

_HEADERS = (("content-type", f"{STRUCTURED}; charset=UTF-8".encode()),)
_NOWHERE = TopicPartition("", 0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: the message that it makes, or why it makes none."""

    number: int
    message: Message
    event_id: str | None = None
    #: What is wrong with it, as the worker would say; None for a good one.
    code: str | None = None
    problem: str | None = None


def read_lines(lines: Iterable[bytes]) -> Iterator[Line]:
    """Every line that is not blank, with its number from 1."""
    for number, raw in enumerate(lines, 1):
        if raw.strip():
            yield _read(number, raw.rstrip(b"\r\n"))


def _read(number: int, text: bytes) -> Line:
    event = parse(SourceRecord(_NOWHERE, number, None, text, _HEADERS))
    if isinstance(event, BadEvent):
        return Line(number, Message(None, text, _HEADERS), event.id, event.code.value, event.message)
    return Line(number, Message(event.listing.key.encode(), text, _HEADERS), event.id)
