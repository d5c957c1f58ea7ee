"""A whole worker against the least that a Kafka consumer can do: poll and commit."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from kafka import KafkaConsumer, KafkaProducer

from consumers.settings import ConsumerSettings
from consumers.worker import Worker
from deploy.bench import listings
from deploy.bench.answering import answering
from deploy.bench.figure import Figure, Progress, in_turns
from deploy.errors import ServiceFailed, ToolMissing
from deploy.services.interface import Endpoints
from deploy.services.kafka_embedded import EmbeddedKafka
from deploy.services.kafka_real import RealKafka
from deploy.services.tools import KAFKA_VERSION
from deploy.settings import DeploySettings

_TOPICS = {"bench": 4, "bench.results": 4, "bench.dead": 1}
_POLL = 500
_POLL_MS = 200
_LOOK_S = 0.005
_ANSWERED = ("vitrine_consumer_outcomes_total", {"outcome": "enriched"})
#: Joining a group included.
_PATIENCE_S = 60.0


@dataclass(slots=True)
class Clock:
    """When the first and the last of so many events were seen to be done."""

    wanted: int
    done: int = 0
    first: int = 0
    started: float = 0.0
    ended: float = 0.0

    def saw(self, done: int, now: float) -> None:
        """So many are done by now."""
        if self.done == 0 < done:
            self.started, self.first = now, done
        self.done = done
        if done >= self.wanted and not self.ended:
            self.ended = now

    @property
    def rate(self) -> float:
        """Events per second after the first ones, whose time is that of joining the group."""
        return (self.done - self.first) / (self.ended - self.started)


def run(progress: Progress, *, events: int = 30_000, worked: int = 4_000, rounds: int = 3) -> Figure:
    """Events per second; the worker stops after `worked` of the `events` that the bare loop reads."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name, _kafka(Path(name)) as (endpoints, note):
        _fill(_settings(endpoints, "fill"), events)
        groups = (f"group-{number}" for number in range(10**6))
        with answering(Path(name)) as url:
            found = in_turns(
                lambda: bare_loop(_settings(endpoints, next(groups)), events),
                lambda: whole_worker(_settings(endpoints, next(groups), url), worked),
                progress,
                rounds=rounds,
                budget_s=40.0,
            )
    return Figure.of("kafka", found, unit="events/s", note=note)


@contextmanager
def _kafka(folder: Path) -> Iterator[tuple[Endpoints, str]]:
    settings = DeploySettings()
    service: RealKafka | EmbeddedKafka = RealKafka(folder / "kafka", _TOPICS, settings)
    note = f"Kafka {KAFKA_VERSION}, 1 broker"
    try:
        try:
            service.start()
        except ToolMissing:
            note = "embedded Kafka"
            service = EmbeddedKafka(folder / "embedded", _TOPICS, settings)
            service.start()
        yield service.describe(Endpoints()), note
    finally:
        service.stop()


def _settings(endpoints: Endpoints, group: str, url: str = "http://127.0.0.1") -> ConsumerSettings:
    version = endpoints.kafka_api_version
    return ConsumerSettings(
        bootstrap=endpoints.bootstrap or "",
        api_version=".".join(map(str, version)) if version else None,
        group=group,
        topics=("bench",),
        results_topic="bench.results",
        dead_topic="bench.dead",
        serve_url=url,
        drain_s=2.0,
    )


def _fill(settings: ConsumerSettings, events: int) -> None:
    producer = KafkaProducer(**settings.client(), linger_ms=20)
    for number in range(events):
        sent = listings.message(number)
        producer.send("bench", key=sent.key, value=sent.value, headers=list(sent.headers))
    producer.flush(_PATIENCE_S)
    producer.close()


def bare_loop(settings: ConsumerSettings, events: int) -> float:
    """Poll, commit every batch, nothing else."""
    consumer = KafkaConsumer(
        *settings.topics,
        **settings.client(),
        group_id=settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=_POLL,
    )
    clock, deadline = Clock(events), time.monotonic() + _PATIENCE_S
    try:
        while not clock.ended:
            batches = consumer.poll(timeout_ms=_POLL_MS)
            if batches:
                consumer.commit()
                clock.saw(clock.done + sum(map(len, batches.values())), time.perf_counter())
            elif time.monotonic() > deadline:
                raise ServiceFailed(f"the bare loop read {clock.done} of {events} events")
    finally:
        consumer.close(autocommit=False)
    return clock.rate


def whole_worker(settings: ConsumerSettings, events: int) -> float:
    """A worker in a thread, until so many events are answered, published and acknowledged."""
    clock, worker = Clock(events), Worker(settings, seed=0)
    thread = Thread(target=worker.run, name="worker", daemon=True)
    thread.start()
    deadline = time.monotonic() + _PATIENCE_S
    while not clock.ended and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        clock.saw(int(worker.metrics.registry.get_sample_value(*_ANSWERED) or 0), time.perf_counter())
    worker.stop()
    thread.join(_PATIENCE_S)
    if not clock.ended:
        raise ServiceFailed(f"the worker answered {clock.done} of {events} events")
    return clock.rate
