"""Generator and receiver against the real Kafka and a real Studio: every event is accounted for, nothing else is."""

import gzip
import json
import os
import signal
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from kafka import KafkaConsumer, KafkaProducer

from consumers.core.actions import PublishDead
from consumers.dead_letters import dead_letter
from consumers.events import ListingEvent, parse
from consumers.records import Message, SourceRecord, TopicPartition
from consumers.results import result_event
from consumers.shell import kafka_internals
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Answer, Letter, Observation, Sent, Taken, Unsent, Visibility
from deploy.loadtest.options import DriverKind
from deploy.loadtest.sending.feeds import ChildFeed, Generator, Receiver
from deploy.loadtest.sending.interface import GeneratorSpec, ReceiverSpec
from deploy.services.interface import Endpoints
from deploy.services.kafka_real import RealKafka
from deploy.services.processes import alive, start_mark
from deploy.settings import DeploySettings
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.result import ErrorInfo, ListingResult, Position
from tests.support.servers import KafkaServer, StoreServer

T = TypeVar("T")
PATIENCE_S = 120.0


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def of(kind: type[T], seen: list[Observation]) -> list[T]:
    return [one for one in seen if isinstance(one, kind)]


def listing(namespace: str, number: int) -> bytes:
    data = {"tenant_id": f"{namespace}t", "listing_id": f"l-{number}", "revision": 1}
    kind = "org.vitrine.catalog.listing.created.v1"
    event = {"specversion": "1.0", "id": f"{namespace}{number}", "source": "//loadtest", "type": kind, "data": data}
    return json.dumps(event).encode()


def written(path: Path, topic: str, *, events: int, rate: float, poison_every: int) -> Path:
    head = {"format": "vitrine.loadtest.schedule/1", "seed": 1, "rate": rate, "duration_s": events / rate}
    with gzip.open(path, "wt") as file:
        file.write(json.dumps(head | {"arrivals": "constant", "count": events}) + "\n")
        for number in range(1, events + 1):
            bad = number % poison_every == 0
            key = f"ours-t:l-{number}"
            line = {"lane": zlib.crc32(key.encode()) % 2**16, "at": (number - 1) / rate, "number": number}
            line |= {"topic": topic, "key": key, "kind": "bad" if bad else "bare", "event_id": f"ours-{number}"}
            line |= {"listing": None if bad else key, "revision": 0 if bad else 1, "loose": False, "images": 0}
            value = "{" if bad else listing("ours-", number).decode()
            file.write(json.dumps(line | {"value": value}) + "\n")
    return path


class StubWorker:
    """Answers every event of the topic from its beginning, in a thread; no worker of ours is so quick."""

    def __init__(self, bootstrap: str, env: Mapping[str, str]) -> None:
        self._client = {"bootstrap_servers": bootstrap.split(",")}
        self._topic = env["VITRINE_CONSUMERS_TOPICS"]
        self._results, self._dead = env["VITRINE_CONSUMERS_RESULTS_TOPIC"], env["VITRINE_CONSUMERS_DEAD_TOPIC"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        consumer = KafkaConsumer(self._topic, **self._client, group_id=None, auto_offset_reset="earliest")
        producer = KafkaProducer(**self._client, linger_ms=2)
        while not self._stop.is_set():
            for batch in consumer.poll(timeout_ms=100).values():
                for one in batch:
                    tp = TopicPartition(one.topic, one.partition)
                    topic, message = self.answer(SourceRecord(tp, one.offset, one.key, one.value, tuple(one.headers)))
                    producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))
        consumer.close()
        producer.close(timeout=5)

    def answer(self, record: SourceRecord) -> tuple[str, Message]:
        event = parse(record)
        if not isinstance(event, ListingEvent):
            error = ErrorInfo(code=event.code, retry=RetryClass.PERMANENT, message=event.message)
            dead = PublishDead(1, record, event, error, attempts=1, first_failed_at=0.0, last_failed_at=0.0)
            return self._dead, dead_letter(dead, 0.0, "1")
        result = ListingResult(
            event_id=event.id,
            event_source=event.source,
            tenant_id=event.listing.tenant_id,
            listing_id=event.listing.listing_id,
            revision=event.listing.revision,
            outcome=Outcome.ENRICHED,
            finished_at=datetime.now(UTC),
            vitrine_version="1",
        )
        place = Position(topic=record.tp.topic, partition=record.tp.partition, offset=record.offset)
        return self._results, result_event(result, place, event)

    def __enter__(self) -> "StubWorker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)


@contextmanager
def running(*children: ChildFeed) -> Iterator[None]:
    try:
        for child in children:
            child.start()
        for child in children:
            wait_for(child.ready)
        yield
    finally:
        for child in children:
            child.stop()


def collect(seen: list[Observation], *children: ChildFeed) -> list[Observation]:
    for child in children:
        seen.extend(child.read())
    return seen


def env_of(bootstrap: str, topic: str, results: str, dead: str) -> dict[str, str]:
    return {
        "VITRINE_CONSUMERS_BOOTSTRAP": bootstrap,
        "VITRINE_CONSUMERS_TOPICS": topic,
        "VITRINE_CONSUMERS_RESULTS_TOPIC": results,
        "VITRINE_CONSUMERS_DEAD_TOPIC": dead,
    }


@pytest.fixture
def env(real_kafka_server: KafkaServer) -> dict[str, str]:
    kafka_internals.mend()
    topics = (
        real_kafka_server.new_topic(name, partitions) for name, partitions in (("new", 3), ("out", 2), ("dead", 1))
    )
    return env_of(real_kafka_server.bootstrap, *topics)


@pytest.mark.real
def test_every_event_has_a_place_of_its_own_and_one_answer_and_history_is_not_seen(
    tmp_path: Path, real_kafka_server: KafkaServer, env: dict[str, str]
) -> None:
    before = KafkaProducer(**real_kafka_server.client())
    stub = StubWorker(real_kafka_server.bootstrap, env)
    # As if of an earlier run with the same ids: among them results and letters.
    for number in range(1, 21):
        value = b"{" if number % 5 == 0 else listing("ours-", number)
        tp = TopicPartition("elsewhere", 0)
        topic, message = stub.answer(SourceRecord(tp, number, b"ours-t:l", value, ()))
        before.send(topic, key=message.key, value=message.value, headers=list(message.headers))
    before.flush(20)
    schedule = written(tmp_path / "schedule", env["VITRINE_CONSUMERS_TOPICS"], events=200, rate=100, poison_every=20)
    generators = [
        Generator(GeneratorSpec(driver=DriverKind.KAFKA, schedule=schedule, env=env, shard=one, shards=2), tmp_path)
        for one in range(2)
    ]
    receiver = Receiver(ReceiverSpec(env=env, namespace="ours-"), tmp_path)
    seen: list[Observation] = []
    with running(receiver, *generators), stub:
        # Somebody else uses the same topics meanwhile.
        before.send(env["VITRINE_CONSUMERS_TOPICS"], key=b"theirs-t:l-1", value=listing("theirs-", 1))
        before.send(env["VITRINE_CONSUMERS_TOPICS"], key=b"theirs-t:l-2", value=b"{")
        before.close()
        start_ns = time.monotonic_ns()
        for one in generators:
            one.go(start_ns)
        wait_for(lambda: all(one.finished for one in generators))
        wait_for(lambda: len(of(Answer, collect(seen, receiver, *generators)) + of(Letter, seen)) >= 200)
    collect(seen, receiver, *generators)
    places = {one.place: one.number for one in of(Taken, seen)}
    assert sorted(places.values()) == list(range(1, 201))
    assert (len(of(Sent, seen)), of(Unsent, seen)) == (200, [])
    answered = Counter(places[one.place] for one in [*of(Answer, seen), *of(Letter, seen)])
    assert answered == Counter(range(1, 201))
    assert {places[one.place] % 20 for one in of(Letter, seen)} == {0}
    assert {one.visibility for one in of(Answer, seen)} == {Visibility.SHOWN}
    taken = {one.place: one.at_ns for one in of(Taken, seen)}
    assert all(one.at_ns > taken[one.place] - 10**9 for one in of(Answer, seen))


@pytest.mark.real
def test_a_broker_that_is_away_holds_up_no_event(tmp_path: Path) -> None:
    topics = {"new": 2, "out": 1, "dead": 1}
    kafka = RealKafka(tmp_path / "kafka", topics, DeploySettings())
    kafka.start()
    try:
        env = env_of(kafka.describe(Endpoints()).bootstrap or "", *topics)
        schedule = written(tmp_path / "schedule", "new", events=400, rate=50, poison_every=1_000)
        generator = Generator(GeneratorSpec(driver=DriverKind.KAFKA, schedule=schedule, env=env), tmp_path)
        seen: list[Observation] = []
        with running(generator):
            generator.go(time.monotonic_ns())
            wait_for(lambda: of(Taken, collect(seen, generator)))
            kafka.kill(1)
            killed_ns = time.monotonic_ns()
            time.sleep(3)
            back_ns = time.monotonic_ns()
            kafka.restart(1)
            wait_for(lambda: generator.finished)
        collect(seen, generator)
    finally:
        kafka.stop()
    meanwhile = [one for one in of(Sent, seen) if killed_ns <= one.at_ns <= back_ns]
    # 150 are due in that time; a generator that waits for acknowledgements has none after the first.
    assert len(meanwhile) >= 100
    assert of(Unsent, seen) == []
    assert sorted(one.number for one in of(Taken, seen)) == list(range(1, 401))
    assert len({one.place for one in of(Taken, seen)}) == 400


@pytest.fixture
def studio_env(tmp_path: Path, embedded_store: StoreServer) -> dict[str, str]:
    return {
        "VITRINE_SERVE_S3_ENDPOINT": embedded_store.endpoint,
        "VITRINE_SERVE_S3_ACCESS_KEY": embedded_store.access_key,
        "VITRINE_SERVE_S3_SECRET_KEY": embedded_store.secret_key,
        "VITRINE_SERVE_S3_BUCKET": embedded_store.bucket,
        "VITRINE_SERVE_STATE_DIR": str(tmp_path / "state"),
    }


def in_process(tmp_path: Path, env: dict[str, str], *, events: int) -> Generator:
    schedule = written(tmp_path / "schedule", "new", events=events, rate=60, poison_every=20)
    return Generator(GeneratorSpec(driver=DriverKind.INPROCESS, schedule=schedule, env=env), tmp_path)


def test_a_studio_in_process_answers_and_ends_with_its_generator(tmp_path: Path, studio_env: dict[str, str]) -> None:
    generator = in_process(tmp_path, studio_env, events=60)
    seen: list[Observation] = []
    with running(generator):
        (studio,) = generator.processes()["studio"]
        (own,) = generator.processes()["generator-1"]
        assert alive(studio)
        generator.go(time.monotonic_ns())
        wait_for(lambda: len(of(Answer, collect(seen, generator)) + of(Letter, seen)) >= 60)
        os.kill(own.pid, signal.SIGKILL)
        wait_for(lambda: start_mark(studio.pid) is None)
    assert {(one.outcome, one.code) for one in of(Answer, seen)} == {(Outcome.REJECTED, "no_images")}
    assert {one.code for one in of(Letter, seen)} == {"invalid_json"}
    places = {one.place: one.number for one in of(Taken, seen)}
    assert sorted(places[one.place] for one in [*of(Answer, seen), *of(Letter, seen)]) == list(range(1, 61))


def test_a_studio_that_dies_is_told(tmp_path: Path, studio_env: dict[str, str]) -> None:
    generator = in_process(tmp_path, studio_env, events=10)
    with running(generator):
        (studio,) = generator.processes()["studio"]
        os.kill(studio.pid, signal.SIGKILL)
        with pytest.raises(ServiceFailed, match="the Studio has gone"):
            wait_for(generator.read)


def test_a_studio_that_cannot_be_built_is_told(tmp_path: Path) -> None:
    generator = in_process(tmp_path, {"VITRINE_SERVE_THREADS": "none"}, events=10)
    generator.start()
    try:
        with pytest.raises(ServiceFailed, match="threads"):
            wait_for(generator.ready)
    finally:
        generator.stop()
