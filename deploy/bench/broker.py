"""A broker with a topic full of events, and the least that a consumer can do with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer

from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.bench import listings
from deploy.errors import ServiceFailed, ToolMissing
from deploy.services.interface import Endpoints
from deploy.services.kafka_embedded import EmbeddedKafka
from deploy.services.kafka_real import RealKafka
from deploy.services.tools import KAFKA_VERSION
from deploy.settings import DeploySettings

TOPIC = "bench"
_RETRY = "bench.retry.30s"
_TOPICS = {TOPIC: 4, _RETRY: 4, "bench.results": 4, "bench.dead": 1}
POLL = 500
_POLL_MS = 200
#: Joining a group included.
PATIENCE_S = 60.0


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


@contextmanager
def kafka(folder: Path) -> Iterator[tuple[Endpoints, str]]:
    """The real Kafka where it can be had, else the embedded one; with a note that says which."""
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


def settings_for(endpoints: Endpoints, group: str, url: str = "http://127.0.0.1") -> ConsumerSettings:
    """A worker's settings for the topic."""
    version = endpoints.kafka_api_version
    return ConsumerSettings(
        bootstrap=endpoints.bootstrap or "",
        api_version=".".join(map(str, version)) if version else None,
        group=group,
        topics=(TOPIC,),
        retry_topics=(_RETRY,),
        results_topic="bench.results",
        dead_topic="bench.dead",
        serve_url=url,
        drain_s=2.0,
    )


def fill(settings: ConsumerSettings, events: int) -> None:
    """Put so many events into the topic."""
    producer = KafkaProducer(**settings.client(), linger_ms=20)
    for number in range(events):
        sent = listings.message(number)
        producer.send(TOPIC, key=sent.key, value=sent.value, headers=list(sent.headers))
    producer.flush(PATIENCE_S)
    producer.close()


def bare_loop(settings: ConsumerSettings, events: int) -> float:
    """Poll, commit every batch, nothing else."""
    kafka_internals.mend()
    consumer = KafkaConsumer(
        *settings.topics,
        **settings.client(),
        group_id=settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=POLL,
    )
    clock, deadline = Clock(events), time.monotonic() + PATIENCE_S
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
