"""A worker that answers every event at once, and misbehaves as told: from the topics of events to that of results.

`python -m tests.support.stub_worker FILE --lose 500 …` is set up by `VITRINE_CONSUMERS_*`. It writes to FILE, as JSON,
that it is ready, and from then on several times a second what it did.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer

from consumers.core.actions import PublishDead
from consumers.dead_letters import dead_letter
from consumers.events import BadEvent, ListingEvent, parse
from consumers.records import Message, SourceRecord, TopicPartition
from consumers.results import result_event
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.services.atomic import write_atomically
from deploy.services.processes import Child
from serve.schemas.exchange import EnrichItem
from serve.schemas.result import ErrorInfo, Position, RetryClass
from tests.support.stub_answers import Answers, Mischief, Stub, Timing

_START_S = 60.0
_STOP_S = 10.0
_SAY_S = 0.2


class Worker:
    """Reads, answers when it is time, commits what is answered."""

    def __init__(self, settings: ConsumerSettings, mischief: Mischief) -> None:
        kafka_internals.mend()
        self._settings = settings
        self._answers = Answers(mischief)
        self._timing = Timing(mischief)
        self._producer = KafkaProducer(**settings.client(), acks="all", linger_ms=1)
        self._consumer = KafkaConsumer(
            *settings.topics,
            **settings.client(),
            group_id=settings.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self.stopped = False

    @property
    def ready(self) -> bool:
        """Whether it has partitions to read from."""
        return bool(self._consumer.assignment())

    @property
    def counts(self) -> Mapping[str, float]:
        """What it did."""
        return {**self._answers.counts, "cpu_s": time.process_time()}

    def step(self) -> None:
        """One poll and its answers."""
        for partition, batch in self._consumer.poll(timeout_ms=100).items():
            for one in batch:
                tp = TopicPartition(partition.topic, partition.partition)
                self._answer(SourceRecord(tp, one.offset, one.key, one.value, tuple(one.headers), one.timestamp))
        self._producer.flush()
        self._consumer.commit()

    def close(self) -> None:
        """Leave the group."""
        self._producer.close(timeout=5)
        self._consumer.close(autocommit=False)

    def _answer(self, record: SourceRecord) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self._timing.due(now) - now))
        event = parse(record)
        if isinstance(event, BadEvent):
            self._answers.counts["bad"] += 1
            self._send(self._settings.dead_topic, _letter(record, event))
            return
        item = _item(record, event)
        for number, result in enumerate(self._answers.to(item)):
            message = result_event(result, item.position, event)
            self._send(self._settings.results_topic, message if number == 0 else _renamed(message))
            if number == 0 and self._answers.repeats():
                self._send(self._settings.results_topic, message)

    def _send(self, topic: str, message: Message) -> None:
        self._producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))


def _item(record: SourceRecord, event: ListingEvent) -> EnrichItem:
    position = Position(topic=record.tp.topic, partition=record.tp.partition, offset=record.offset)
    return EnrichItem(
        ref=0,
        event_id=event.id,
        event_source=event.source,
        type=event.type,
        position=position,
        listing=event.listing,
    )


def _renamed(message: Message) -> Message:
    """The same answer under another id: no reader can know that it is a repeat."""
    document = json.loads(message.value or b"")
    document["id"] = f"{document['id'][::-1]}"
    return message._replace(value=json.dumps(document).encode())


def _letter(record: SourceRecord, event: BadEvent) -> Message:
    error = ErrorInfo(code=event.code.value, retry=RetryClass.PERMANENT, message=event.message)
    dead = PublishDead(
        token=0, record=record, event=event, error=error, attempts=1, first_failed_at=0, last_failed_at=0
    )
    return dead_letter(dead, time.time(), "stub")


@contextmanager
def stub_worker(folder: Path, env: Mapping[str, str], mischief: Mischief | None = None) -> Iterator[Stub]:
    """Start it in a process of its own, with `VITRINE_CONSUMERS_*` as given; stop it after the block."""
    told, chosen = folder.absolute() / "stub-worker.json", mischief or Mischief()
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.support.stub_worker", str(told), *chosen.arguments()]
    child = Child("stub-worker", command, log=folder / "stub-worker.log", cwd=Path(__file__).parents[2], env=env)
    try:
        child.start()
        child.wait_ready(told.exists, _START_S)
        yield Stub(pid=child.record.pid if child.record else 0, mischief=chosen, counts_file=told)
    finally:
        child.stop(_STOP_S)


def main() -> None:
    mischief, file = Mischief.parse(argparse.ArgumentParser(description=__doc__), None)
    worker = Worker(ConsumerSettings(), mischief)
    signal.signal(signal.SIGTERM, lambda *_: setattr(worker, "stopped", True))
    said = 0.0
    while not worker.stopped:
        worker.step()
        if worker.ready and time.monotonic() > said + _SAY_S:
            said = time.monotonic()
            write_atomically(Path(file), json.dumps({"pid": os.getpid(), "counts": dict(worker.counts)}))
    worker.close()


if __name__ == "__main__":
    main()
