"""A whole worker against the least that a Kafka consumer can do: poll and commit."""

import tempfile
import time
from pathlib import Path
from threading import Thread

from consumers.settings import ConsumerSettings
from consumers.worker import Worker
from deploy.bench.answering import answering
from deploy.bench.broker import PATIENCE_S, Clock, bare_loop, fill, kafka, settings_for
from deploy.bench.figure import Figure, Progress, in_turns
from deploy.errors import ServiceFailed

_LOOK_S = 0.005
_ANSWERED = ("vitrine_consumer_outcomes_total", {"outcome": "enriched"})


def run(progress: Progress, *, events: int = 30_000, worked: int = 4_000, rounds: int = 3) -> Figure:
    """Events per second; the worker stops after `worked` of the `events` that the bare loop reads."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name, kafka(Path(name)) as (endpoints, note):
        fill(settings_for(endpoints, "fill"), events)
        groups = (f"group-{number}" for number in range(10**6))
        with answering(Path(name)) as url:
            found = in_turns(
                lambda: bare_loop(settings_for(endpoints, next(groups)), events),
                lambda: whole_worker(settings_for(endpoints, next(groups), url), worked),
                progress,
                rounds=rounds,
                budget_s=40.0,
            )
    return Figure.of("kafka", found, unit="events/s", note=note)


def whole_worker(settings: ConsumerSettings, events: int) -> float:
    """A worker in a thread, until so many events are answered, published and acknowledged."""
    clock, worker = Clock(events), Worker(settings, seed=0)
    thread = Thread(target=worker.run, name="worker", daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not clock.ended and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        clock.saw(int(worker.metrics.registry.get_sample_value(*_ANSWERED) or 0), time.perf_counter())
    worker.stop()
    thread.join(PATIENCE_S)
    if not clock.ended:
        raise ServiceFailed(f"the worker answered {clock.done} of {events} events")
    return clock.rate
