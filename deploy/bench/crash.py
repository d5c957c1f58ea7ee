"""What a kill -9 costs: the share of finished work that is not done again.

The worst case: the first events of every partition never end, all behind them do. A consumer that commits contiguous
offsets only would do everything again.
"""

import tempfile
import time
from collections import Counter
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.bench.answering import SLOW, answering
from deploy.bench.broker import PATIENCE_S, fill, kafka, settings_for
from deploy.bench.figure import Figure, Progress, Round
from deploy.errors import ServiceFailed
from deploy.services.consumer import Consumer
from deploy.settings import DeploySettings

_GOAL = 0.9
#: So that the worker is in the middle of the events when it dies.
_DELAY_S = 0.5
_SESSION_S = 6.0
_LOOK_S = 0.2


def run(progress: Progress, *, events: int = 4_000, kill_after: int = 1_000) -> Figure:
    """Kill a worker in the middle of `events`; 1 is a crash that costs nothing."""
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name,
        kafka(Path(name)) as (endpoints, note),
        answering(Path(name), delay_s=_DELAY_S, tries=Path(name) / "tries") as url,
    ):
        settings = settings_for(endpoints, "crash", url)
        fill(settings, events)
        progress(0, 2)
        first = worker(Path(name), settings, 1)
        first.start()
        done = _wait_for_results(settings, kill_after)
        first.kill()
        # What was on its way when it died is done too.
        done = _wait_for_results(settings, len(done))
        tried = Counter((Path(name) / "tries").read_text().split())
        progress(1, 2)
        second = worker(Path(name), settings, 2)
        second.start()
        _wait_for_results(settings, events - SLOW)
        second.kill()
        again = Counter((Path(name) / "tries").read_text().split()) - tried
    repeated = sum(again[event] for event in done)
    progress(2, 2)
    kept = 1.0 - repeated / len(done)
    note = f"{repeated} of {len(done)} finished events were done again; {note}"
    return Figure.of("crash", [Round(1.0, kept)], unit="share kept", goal=_GOAL, note=note)


def worker(folder: Path, settings: ConsumerSettings, number: int) -> Consumer:
    """A worker in a process of its own, with these settings."""
    env = {
        "VITRINE_CONSUMERS_BOOTSTRAP": settings.bootstrap,
        "VITRINE_CONSUMERS_API_VERSION": settings.api_version or "",
        "VITRINE_CONSUMERS_GROUP": settings.group,
        "VITRINE_CONSUMERS_TOPICS": ",".join(settings.topics),
        "VITRINE_CONSUMERS_RETRY_TOPICS": ",".join(settings.retry_topics),
        "VITRINE_CONSUMERS_RESULTS_TOPIC": settings.results_topic,
        "VITRINE_CONSUMERS_DEAD_TOPIC": settings.dead_topic,
        "VITRINE_CONSUMERS_SERVE_URL": settings.serve_url,
        "VITRINE_CONSUMERS_SESSION_TIMEOUT_S": str(_SESSION_S),
        "VITRINE_CONSUMERS_LOG_LEVEL": "WARNING",
    }
    return Consumer(folder, env, DeploySettings(), number=number)


def _wait_for_results(settings: ConsumerSettings, wanted: int) -> set[str]:
    """The ids of the events that are answered, as soon as there are so many."""
    kafka_internals.mend()
    consumer = KafkaConsumer(**settings.client(), group_id=None, auto_offset_reset="earliest")
    topic, deadline = settings.results_topic, time.monotonic() + 2 * PATIENCE_S
    consumer.assign([TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()])
    answered: set[str] = set()
    try:
        idle = False
        while len(answered) < wanted or not idle:
            batches = consumer.poll(timeout_ms=round(_LOOK_S * 1000))
            idle = not batches
            found = (parse_result(record.value) for batch in batches.values() for record in batch)
            answered |= {result.causationid for result in found if result is not None}
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{len(answered)} of {wanted} events were answered")
    finally:
        consumer.close()
    return answered
