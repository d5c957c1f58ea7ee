"""The load test's own processes at 500 events a second: how late they send, and what they cost.

Events to Kafka at random times, results of four images each back from a stand-in for all that answers.
"""

import asyncio
import gzip
import json
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from consumers.settings import ConsumerSettings
from deploy.bench import listings
from deploy.bench.broker import PATIENCE_S, TOPIC, kafka, settings_for
from deploy.bench.figure import Figure, Progress, Round
from deploy.bench.kafka_answers import answering_all
from deploy.bench.open_loop import offer, poisson
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Answer, Observation, Sent, Taken, Unsent
from deploy.loadtest.options import DriverKind
from deploy.loadtest.sending.feeds import ChildFeed, Generator, Receiver
from deploy.loadtest.sending.interface import GeneratorSpec, ReceiverSpec

RATE = 500.0
#: 99 of 100 events are sent within this time of their own, or a run is not valid.
MOST_LAG_S = 0.01
_GOAL = 1.0
_LOOK_S = 0.2
_AHEAD_S = 0.5
_NS = 10**9


@dataclass(frozen=True, slots=True)
class Paced:
    """One run. Lags are in seconds, ascending."""

    lags: list[float]
    #: The same of a loop of asyncio that sends nothing, right before.
    loop_lags: list[float]
    #: CPU seconds per second of generator and receiver.
    cores: tuple[float, float]
    #: Events acknowledged, per event of the schedule.
    delivered: float


def run(progress: Progress, *, seconds: float = 10.0, rounds: int = 3) -> Figure:
    """The lag that is allowed by the 99th percentile of those that were, as rates."""
    runs, note = _runs(progress, seconds, rounds)
    lags, loops = (
        [_share(one, 99) for one in many] for many in zip(*((r.lags, r.loop_lags) for r in runs), strict=True)
    )
    p50 = median(_share(one.lags, 50) for one in runs)
    note = (
        f"p50 {p50 * 1e3:.2f} ms, p99 {median(lags) * 1e3:.1f} ms; a loop of asyncio that sends nothing: "
        f"p99 {median(loops) * 1e3:.1f} ms; {min(one.delivered for one in runs):.2%} delivered; {note}"
    )
    return Figure.of("pacing", [Round(1 / MOST_LAG_S, 1 / lag) for lag in lags], unit="1/s", goal=_GOAL, note=note)


def run_cost(progress: Progress, *, seconds: float = 10.0, rounds: int = 3) -> Figure:
    """One core by those that generator and receiver use."""
    runs, note = _runs(progress, seconds, rounds)
    sending, receiving = (median(part) for part in zip(*(one.cores for one in runs), strict=True))
    note = f"generator {sending:.2f} cores, receiver {receiving:.2f}; {note}"
    return Figure.of(
        "pacing-cost", [Round(1.0, 1 / sum(one.cores)) for one in runs], unit="1/core", goal=_GOAL, note=note
    )


def _runs(progress: Progress, seconds: float, rounds: int) -> tuple[list[Paced], str]:
    found = []
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name, kafka(Path(name)) as (endpoints, note):
        settings = settings_for(endpoints, "pacing")
        with answering_all(settings):
            for number in range(rounds):
                progress(number, rounds)
                found.append(_paced(Path(name), settings, seconds, number))
    progress(rounds, rounds)
    return found, note


def _paced(folder: Path, settings: ConsumerSettings, seconds: float, seed: int) -> Paced:
    count = int(RATE * seconds)
    offered = asyncio.run(offer(_nothing, poisson(RATE, count // 4, seed)))
    times = list(poisson(RATE, count, seed))
    env = {
        "VITRINE_CONSUMERS_BOOTSTRAP": settings.bootstrap,
        "VITRINE_CONSUMERS_API_VERSION": settings.api_version or "",
        "VITRINE_CONSUMERS_TOPICS": TOPIC,
        "VITRINE_CONSUMERS_RESULTS_TOPIC": settings.results_topic,
        "VITRINE_CONSUMERS_DEAD_TOPIC": settings.dead_topic,
    }
    schedule = _written(folder / f"schedule-{seed}", times)
    generator = Generator(GeneratorSpec(driver=DriverKind.KAFKA, schedule=schedule, env=env), folder)
    receiver = Receiver(ReceiverSpec(env=env), folder)
    with _started(generator), _started(receiver):
        spent = generator.cpu_s, receiver.cpu_s
        began_ns = time.monotonic_ns() + round(_AHEAD_S * _NS)
        generator.go(began_ns)
        seen: list[Observation] = []
        _wait(lambda: _read(seen, generator, receiver) >= count, seconds + PATIENCE_S)
        # The last word on the CPU time is a second old.
        time.sleep(1.0)
        took_s = (time.monotonic_ns() - began_ns) / _NS
        cores = (generator.cpu_s - spent[0]) / took_s, (receiver.cpu_s - spent[1]) / took_s
    lags = [(one.at_ns - began_ns) / _NS - times[one.number - 1] for one in seen if isinstance(one, Sent)]
    if any(isinstance(one, Unsent) for one in seen):
        raise ServiceFailed("events could not be sent")
    return Paced(sorted(lags), list(offered.latencies), cores, sum(isinstance(one, Taken) for one in seen) / count)


async def _nothing(_: int) -> None:
    """Send nothing."""


def _read(seen: list[Observation], *feeds: ChildFeed) -> int:
    for feed in feeds:
        seen.extend(feed.read())
    return sum(isinstance(one, Answer) for one in seen)


def _share(ascending: list[float], percent: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]


def _wait(true: Callable[[], bool], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            raise ServiceFailed(f"the load test's processes were not done after {patience_s:g} s")
        time.sleep(_LOOK_S)


@contextmanager
def _started(feed: ChildFeed) -> Iterator[None]:
    feed.start()
    try:
        _wait(feed.ready, PATIENCE_S)
        yield
    finally:
        feed.stop()


def _written(path: Path, times: list[float]) -> Path:
    head = {"format": "vitrine.loadtest.schedule/1", "seed": 0, "rate": RATE, "duration_s": times[-1]}
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(json.dumps(head | {"arrivals": "poisson", "count": len(times)}) + "\n")
        for number, at_s in enumerate(times, 1):
            sent = listings.message(number)
            line = {"lane": zlib.crc32(sent.key or b"") % 2**16, "at": at_s, "number": number, "topic": TOPIC}
            line |= {"key": (sent.key or b"").decode(), "kind": "photos", "event_id": f"bench-{number}"}
            line |= {"listing": None, "revision": 1, "loose": False, "images": 2}
            file.write(json.dumps(line | {"value": (sent.value or b"").decode()}) + "\n")
    return path
