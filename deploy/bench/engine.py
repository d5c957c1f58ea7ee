"""Deciding against parsing: the decision core must never be what limits a worker."""

import time
from collections.abc import Mapping, Sequence
from random import Random

from consumers.core import actions, signals
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.events import parse
from consumers.records import SourceRecord
from deploy.bench import listings
from deploy.bench.figure import Figure, Progress, in_turns
from serve.schemas.exchange import ResultLine
from serve.schemas.result import ListingResult

_GOAL = 1.0
_POLL = 500
#: As often as a busy worker turns, in seconds of the engine's clock.
_TURN_S = 0.01


def run(progress: Progress, *, events: int = 8_000, rounds: int = 7) -> Figure:
    """Events per second through a real engine whose Serve and broker answer at once, against parsing alone."""
    records = listings.records(events)
    known = listings.parsed(records)
    results = [listings.answer(listings.item(number)).result for number in range(events)]

    def parsing() -> float:
        started = time.perf_counter()
        for record in records:
            parse(record)
        return events / (time.perf_counter() - started)

    def deciding() -> float:
        policy, random = RetryPolicy(), Random(0)  # noqa: S311 - jitter, no secret
        engine = Engine(Limits(), policy, random, parser=lambda record: known[record.tp, record.offset])
        started = time.perf_counter()
        committed = drive(engine, records, results)
        rate = events / (time.perf_counter() - started)
        if committed != events:
            raise RuntimeError(f"{committed} of {events} events were committed")
        return rate

    found = in_turns(parsing, deciding, progress, rounds=rounds)
    return Figure.of("engine", found, unit="events/s", goal=_GOAL)


def drive(engine: Engine, records: Sequence[SourceRecord], results: Sequence[ListingResult]) -> int:
    """Give the engine all records as it takes them and do at once what it wants.

    `results` holds the answers, made beforehand, by event. Return how many offsets the engine committed.
    """
    answers = {result.event_id: result for result in results}
    partitions = sorted({record.tp for record in records})
    happened: list[signals.Signal] = [
        *(signals.Assigned(tp, 0) for tp in partitions),
        signals.CapacityChanged(max_in_flight=256, max_events_per_request=32),
    ]
    committed = dict.fromkeys(partitions, 0)
    paused = set(partitions)
    given, now = 0, 0.0
    while happened or engine.busy or given < len(records):
        now += _TURN_S
        wanted = engine.handle(now, happened)
        happened = []
        for action in wanted:
            match action:
                case actions.Pause(tps):
                    paused.update(tps)
                case actions.Resume(tps):
                    paused.difference_update(tps)
                case actions.Commit():
                    committed |= {tp: snapshot.offset for tp, snapshot in action.offsets.items()}
                    happened.append(signals.CommitDone(action.commit_id))
                case _:
                    happened += _outcome(action, answers)
        if given < len(records) and not paused:
            happened.append(signals.Received(records[given : given + _POLL]))
            given += _POLL
    last = [one for one in engine.handle(now + 1.0, [signals.Drain(0.0)]) if isinstance(one, actions.Commit)]
    for commit in last:
        committed |= {tp: snapshot.offset for tp, snapshot in commit.offsets.items()}
    return sum(committed.values())


def _outcome(action: actions.Action, answers: Mapping[str, ListingResult]) -> list[signals.Signal]:
    match action:
        case actions.Send():
            lines = [ResultLine.model_construct(ref=item.ref, result=answers[item.event_id]) for item in action.items]
            return [*map(signals.Answered, lines), signals.StreamEnded(action.request_id)]
        case actions.Publish() | actions.PublishDead():
            return [signals.Published(action.token)]
        case _:
            return []
