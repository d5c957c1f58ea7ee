"""What a result, an error line or a dead letter says of its event, as an observation. Pure."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from consumers import results
from consumers.events import BadEvent, ListingEvent, parse
from consumers.headers import PREFIX
from consumers.reader import Visible
from consumers.records import SourceRecord, TopicPartition
from deploy.loadtest.measuring.observations import NOWHERE, Answer, Letter, Moments, Place, Visibility
from deploy.loadtest.workload.planned import NUMBER, Planned
from serve.errors import ObjectBusy
from serve.schemas.exchange import EnrichItem, ErrorLine, ResultLine
from serve.schemas.result import ListingResult, Position

#: In which the consumers tell when they had the event.
MOMENTS = f"{PREFIX}moments"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Headers = Sequence[tuple[str, bytes | None]]


def place_of(way: str, event: Planned) -> Place:
    """Where an event stands that is in no Kafka: under its number."""
    return Place(way, 0, event.number)


def item_of(event: Planned, place: Place) -> EnrichItem | BadEvent:
    """The event as Serve is asked to answer it, as the consumers would; or why it is none."""
    tp = TopicPartition(place.topic, place.partition)
    parsed = parse(SourceRecord(tp, place.offset, event.key, event.value))
    if not isinstance(parsed, ListingEvent):
        return parsed
    return EnrichItem(
        ref=event.number,
        event_id=parsed.id,
        event_source=parsed.source,
        type=parsed.type,
        position=Position(topic=place.topic, partition=place.partition, offset=place.offset),
        attempt=1,
        listing=parsed.listing,
    )


def line_seen(way: str, line: ResultLine | ErrorLine, at_ns: int) -> Answer | Letter:
    """An answer line of Serve. There is no reader in between: every line is visible."""
    place = Place(way, 0, line.ref)
    if isinstance(line, ErrorLine):
        return letter(place, line.error.code, at_ns)
    result = line.result
    position = Position(topic=place.topic, partition=place.partition, offset=place.offset)
    name = results.result_id(result.event_source, result.event_id, position)
    return _answer(result, place, _moments(result, {}), result_id=name, at_ns=at_ns, visibility=Visibility.SHOWN)


def is_overtaken(seen: Answer | Letter) -> bool:
    """Whether the listing was deleted while its event was worked on: who sends it once more is told that it is stale.

    With Kafka a worker does so; where there is none, whoever sent the event.
    """
    return isinstance(seen, Letter) and seen.code == ObjectBusy.code


def letter(place: Place, code: str, at_ns: int) -> Letter:
    """What stands for a dead letter where there is no Kafka."""
    return Letter(place=place, dead_id=str(place), code=code, at_ns=at_ns)


def result_seen(event: results.ResultEvent, headers: Headers, visible: Visible, at_ns: int) -> Answer:
    """A message of the results topic; `visible` sees all of them, in the order of their partition."""
    shown = visible.show(event)
    visibility = Visibility.SHOWN
    if shown is None:
        visibility = Visibility.REPEAT
    elif shown is not event:
        visibility = Visibility.OVERTAKEN
    result, at = event.data, event.data.position
    place = NOWHERE if at is None else Place(at.topic, at.partition, at.offset)
    moments = _moments(result, _told(headers))
    return _answer(result, place, moments, result_id=event.id, at_ns=at_ns, visibility=visibility)


def letter_seen(headers: Headers, at_ns: int) -> Letter:
    """A message of the topic of dead letters."""
    told = {name.removeprefix(PREFIX): (raw or b"").decode("utf-8", "replace") for name, raw in headers}
    try:
        place = Place(told["original-topic"], int(told["original-partition"]), int(told["original-offset"]))
    except (KeyError, ValueError):
        place = NOWHERE
    return Letter(place=place, dead_id=told.get("dead-id", ""), code=told.get("error-code", ""), at_ns=at_ns)


def is_ours(namespace: str, headers: Headers) -> bool:
    """Whether a dead letter is of an event of this run, as far as its headers tell.

    An event that could not be read has no id. Then its key tells, and without one that it came from any load test.
    """
    found = dict(headers)
    if (event_id := found.get(f"{PREFIX}event-id")) is not None:
        return event_id.decode("utf-8", "replace").startswith(namespace)
    if key := found.get(f"{PREFIX}original-key"):
        return namespace in key.decode("utf-8", "replace")
    return NUMBER in found


def _answer(
    result: ListingResult, place: Place, moments: Moments, *, result_id: str, at_ns: int, visibility: Visibility
) -> Answer:
    return Answer(
        at_ns=at_ns,
        place=place,
        result_id=result_id,
        event_id=result.event_id,
        listing=f"{result.tenant_id}:{result.listing_id}",
        revision=result.revision,
        outcome=result.outcome,
        code=result.code,
        visibility=visibility,
        images=len(result.outputs),
        reused=sum(one.reused for one in result.outputs),
        moments=moments,
        timings_ms=dict(result.timings_ms),
    )


def _told(headers: Headers) -> dict[str, Any]:
    raw = next((body for name, body in headers if name == MOMENTS), None)
    try:
        told = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _moments(result: ListingResult, told: dict[str, Any]) -> Moments:
    return Moments(
        consumed_ns=int(told.get("consumed_ns") or 0),
        consumer_clock=str(told.get("clock") or ""),
        published_ns=int(told.get("published_ns") or 0),
        started_ns=_ns(getattr(result, "started_at", None)),
        stored_ns=_ns(getattr(result, "stored_at", None)),
        finished_ns=_ns(result.finished_at),
        serve_clock=getattr(result, "clock", None) or "",
    )


def _ns(moment: datetime | None) -> int:
    return 0 if moment is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1000
