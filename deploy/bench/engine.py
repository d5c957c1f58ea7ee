"""Deciding against parsing: the decision core should never be what limits a worker."""

import time
from collections.abc import Mapping, Sequence
from random import Random

from consumers.core import actions, signals
from consumers.core.engine import Engine, Parser
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from deploy.bench import listings
from deploy.bench.figure import Figure, Progress, frozen_heap, in_turns
from serve.schemas.exchange import ResultLine
from serve.schemas.result import ListingResult

_GOAL = 1.0
_POLL = 500
#: As often as a busy worker turns, in seconds of the engine's clock.
_TURN_S = 0.01

#: What an engine was told, turn by turn: the time and the signals.
Script = list[tuple[float, list[signals.Signal]]]


def run(progress: Progress, *, events: int = 8_000, rounds: int = 9) -> Figure:
    """Events per second of CPU time through an engine whose Serve and broker answer at once, against parsing alone."""
    records = listings.records(events)
    known = listings.parsed(records)
    results = {one.event_id: one for one in (listings.answer(listings.item(n)).result for n in range(events))}

    def parsed(record: SourceRecord) -> ListingEvent:
        return known[record.tp, record.offset]

    script = recorded(_engine(parsed), records, results)

    def parsing() -> float:
        started = time.process_time()
        for record in records:
            parse(record)
        return events / (time.process_time() - started)

    def deciding() -> float:
        engine = _engine(parsed)
        started = time.process_time()
        wanted = [engine.handle(now, happened) for now, happened in script]
        spent = time.process_time() - started
        if (committed := offsets(wanted)) != events:
            raise RuntimeError(f"{committed} of {events} events were committed")
        return events / spent

    with frozen_heap():
        found = in_turns(parsing, deciding, progress, rounds=rounds)
    return Figure.of("engine", found, unit="events/CPU s", goal=_GOAL)


def _engine(parser: Parser) -> Engine:
    return Engine(Limits(), RetryPolicy(), Random(0), parser=parser)  # noqa: S311 - jitter, no secret


def recorded(engine: Engine, records: Sequence[SourceRecord], results: Mapping[str, ListingResult]) -> Script:
    """Give the engine all records as it takes them and do at once what it wants; write down what it was told.

    An engine that is told the same again says the same again, so that a timed run needs nothing but the engine.
    """
    partitions = sorted({record.tp for record in records})
    happened: list[signals.Signal] = [
        *(signals.Assigned(tp, 0) for tp in partitions),
        signals.CapacityChanged(max_in_flight=256, max_events_per_request=32),
    ]
    paused = set(partitions)
    script: Script = []
    given = 0
    while happened or engine.busy or given < len(records):
        script.append((len(script) * _TURN_S, happened))
        wanted = engine.handle(*script[-1])
        happened = [signal for action in wanted for signal in _outcome(action, results)]
        for action in wanted:
            match action:
                case actions.Pause(tps):
                    paused.update(tps)
                case actions.Resume(tps):
                    paused.difference_update(tps)
                case _:
                    pass
        if given < len(records) and not paused:
            happened.append(signals.Received(records[given : given + _POLL]))
            given += _POLL
    script.append((len(script) * _TURN_S, [signals.Drain(0.0)]))
    return script


def _outcome(action: actions.Action, results: Mapping[str, ListingResult]) -> list[signals.Signal]:
    match action:
        case actions.Send():
            lines = [ResultLine(ref=item.ref, result=results[item.event_id]) for item in action.items]
            return [*map(signals.Answered, lines), signals.StreamEnded(action.request_id)]
        case actions.Publish() | actions.PublishDead():
            return [signals.Published(action.token)]
        case actions.Commit():
            return [signals.CommitDone(action.commit_id)]
        case _:
            return []


def offsets(turns: Sequence[Sequence[actions.Action]]) -> int:
    """How many events the last commit of each partition covers."""
    committed: dict[TopicPartition, int] = {}
    for action in (action for turn in turns for action in turn):
        if isinstance(action, actions.Commit):
            committed |= {tp: snapshot.offset for tp, snapshot in action.offsets.items()}
    return sum(committed.values())
