"""The worker as a process against a real Kafka, with a stand-in for Serve that misbehaves on purpose."""

import hashlib
import os
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from kafka import KafkaConsumer, KafkaProducer

from consumers.reader import read
from consumers.settings import ConsumerSettings
from tests.support.fake_serve import FakeServe
from tests.support.listing_events import structured_bytes
from tests.support.servers import KafkaServer, unique


class _RawName(str):
    """A header name that goes out as these bytes, which are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return super().encode("latin-1")


class Bench:
    """Topics of one's own, producers of events, worker processes."""

    def __init__(self, kafka: KafkaServer, folder: Path, partitions: int = 4) -> None:
        self.kafka = kafka
        self.folder = folder
        self.settings = ConsumerSettings(
            bootstrap=kafka.bootstrap,
            api_version=".".join(map(str, kafka.api_version)) if kafka.api_version else None,
            group=unique("group"),
            topics=(kafka.new_topic("new", partitions), kafka.new_topic("high", partitions)),
            retry_topics=(kafka.new_topic("retry", partitions, ".1s"),),
            results_topic=kafka.new_topic("results", partitions),
            dead_topic=kafka.new_topic("dead", 1),
        )
        self.workers: list[subprocess.Popen[bytes]] = []

    def produce(self, events: dict[str, tuple[str, int]], raw: Sequence[bytes] = ()) -> None:
        """Events by id: listing and revision."""
        producer = KafkaProducer(**self.kafka.client())
        for event_id, (listing, revision) in events.items():
            # A listing keeps to one topic: between topics there is no order.
            topic = self.settings.topics[zlib.crc32(listing.encode()) % 2]
            producer.send(topic, key=f"acme:{listing}".encode(), value=structured_bytes(event_id, listing, revision))
        for value in raw:
            producer.send(self.settings.topics[0], value=value)
        producer.flush(30)
        producer.close()

    def produce_oddly(self) -> None:
        """What clients less strict than ours leave behind: header names that are no text, batches in every codec."""
        for codec in ("gzip", "lz4", "snappy", "zstd", None):
            producer = KafkaProducer(**self.kafka.client(), compression_type=codec)
            headers = [("name", b"\xff")]
            producer.send(self.settings.topics[0], structured_bytes(f"{codec}", f"fine-{codec}"), headers=headers)
            producer.flush(30)
            producer.close()
        producer = KafkaProducer(**self.kafka.client())
        for number, name in enumerate([_RawName("\xff"), "ok", _RawName("\xc3(")]):
            value = structured_bytes(f"odd{number}", f"fine-odd{number}") if number else b"{"
            producer.send(self.settings.topics[0], value, partition=0, headers=[(name, b"x")])
        producer.flush(30)
        producer.close()

    def worker(self, serve: FakeServe, **more: object) -> subprocess.Popen[bytes]:
        settings = {
            "bootstrap": self.settings.bootstrap,
            "api_version": self.settings.api_version or "",
            "group": self.settings.group,
            "topics": ",".join(self.settings.topics),
            "retry_topics": ",".join(self.settings.retry_topics),
            "results_topic": self.settings.results_topic,
            "dead_topic": self.settings.dead_topic,
            "serve_url": serve.url,
            "session_timeout_s": 6,
            "commit_every_s": 0.2,
            **more,
        }
        env = {f"VITRINE_CONSUMERS_{name.upper()}": str(value) for name, value in settings.items()}
        log = (self.folder / f"worker{len(self.workers)}.log").open("wb")
        worker = subprocess.Popen([sys.executable, "-m", "consumers"], env={**os.environ, **env}, stderr=log)
        self.workers.append(worker)
        return worker

    def log(self, worker: int) -> str:
        return (self.folder / f"worker{worker}.log").read_text()

    def visible(self, count: int, timeout_s: float = 60) -> Counter[str]:
        assert any(worker.poll() is None for worker in self.workers), "no worker runs"
        return Counter(e.causationid for e in read(self.settings, until=count, timeout_s=timeout_s))

    def all_results(self) -> list[str]:
        return [record.key for record in self._all(self.settings.results_topic)]

    def dead(self) -> list[dict[str, bytes]]:
        return [dict(record.headers) | {"value": record.value} for record in self._all(self.settings.dead_topic)]

    def lag(self) -> int:
        consumer = KafkaConsumer(**self.kafka.client(), group_id=self.settings.group, enable_auto_commit=False)
        try:
            lag = 0
            for topic in self.settings.topics:
                tps = [_tp(topic, number) for number in consumer.partitions_for_topic(topic)]
                for tp, end in consumer.end_offsets(tps).items():
                    lag += end - (consumer.committed(tp) or 0)
            return lag
        finally:
            consumer.close(autocommit=False)

    def wait(self, what, timeout_s: float = 40) -> None:
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, "it did not happen in time"
            assert any(worker.poll() is None for worker in self.workers), "no worker runs"
            time.sleep(0.1)

    def stop(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def _all(self, topic: str) -> list:
        consumer = KafkaConsumer(topic, **self.kafka.client(), auto_offset_reset="earliest", enable_auto_commit=False)
        found, quiet = [], 0
        while quiet < 4:
            batches = consumer.poll(timeout_ms=300)
            quiet = 0 if batches else quiet + 1
            found += [record for batch in batches.values() for record in batch]
        consumer.close(autocommit=False)
        return found


def _tp(topic: str, partition: int):
    from kafka import TopicPartition  # noqa: PLC0415

    return TopicPartition(topic, partition)


@pytest.fixture
def bench(real_kafka_server: KafkaServer, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(real_kafka_server, tmp_path)
    yield bench
    bench.stop()


@pytest.mark.real
def test_every_event_has_one_answer_or_one_dead_letter(bench: Bench) -> None:
    words = ["fine"] * 12 + ["slow", "flaky", "cut", "bad", "poison"]
    events = {f"e{n}": (f"{words[n % len(words)]}-{n}", n) for n in range(204)}
    dead = {e for e, (listing, _) in events.items() if listing.split("-")[0] in ("bad", "poison")}
    raw = [b"{", structured_bytes("typeless", type="org.other.v1")]
    bench.produce(events, raw)
    with FakeServe() as serve:
        worker = bench.worker(serve)
        visible = bench.visible(len(events) - len(dead))
        bench.wait(lambda: bench.lag() == 0)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert visible == Counter(set(events) - dead)
    letters = bench.dead()
    codes = Counter(letter["vitrine-error-code"].decode() for letter in letters)
    assert codes == {"bad_listing": 12, "worker_lost": 12, "invalid_json": 1, "unknown_event_type": 1}
    assert {letter["vitrine-event-id"].decode() for letter in letters if letter["value"] not in raw} == dead
    assert {letter["value"] for letter in letters} >= set(raw)
    poisoned = [tries for event, tries in serve.seen.items() if events[event][0].startswith("poison")]
    assert all(tries[-1].final for tries in poisoned)
    assert max(serve.sizes) > 1
    assert bench.lag() == 0


@pytest.mark.real
def test_any_header_name_and_any_codec_is_read(bench: Bench) -> None:
    bench.produce_oddly()
    with FakeServe() as serve:
        worker = bench.worker(serve)
        visible = bench.visible(7)
        bench.wait(lambda: bench.lag() == 0)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert visible == Counter(["gzip", "lz4", "snappy", "zstd", "None", "odd1", "odd2"])
    (letter,) = bench.dead()
    assert (letter["vitrine-error-code"], letter.get("\\xff")) == (b"invalid_json", b"x"), letter


@pytest.mark.real
def test_a_record_that_the_broker_takes_but_not_its_dead_letter_is_put_aside_bare(bench: Bench) -> None:
    # Random, so that nothing compresses; 188 bytes below what a broker takes by default.
    value = Random(1).randbytes(1_048_400)
    bench.produce({"e1": ("fine-1", 1)}, [value])
    with FakeServe() as serve:
        bench.worker(serve)
        assert bench.visible(1) == Counter(["e1"])
        bench.wait(lambda: bench.lag() == 0)
    (letter,) = bench.dead()
    assert letter["value"] == b""
    assert letter["vitrine-truncated"] == b"value"
    assert letter["vitrine-original-sha256"] == hashlib.sha256(value).hexdigest().encode()


@pytest.mark.real
def test_kill_in_the_middle_and_start_again(bench: Bench) -> None:
    events = {f"e{n}": (f"fine-{n}", n) for n in range(600)}
    bench.produce(events)
    with FakeServe(delay_s=0.05, capacity=48) as serve:
        first = bench.worker(serve)
        bench.wait(lambda: serve.tries > 200)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = serve.tries
        second = bench.worker(serve)
        visible = bench.visible(len(events))
        bench.wait(lambda: bench.lag() == 0)
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert visible == Counter(events.keys())
    # What was committed, in the bitmap too, is not worked on again.
    assert serve.tries - len(events) < 200
    assert before < len(events)


@pytest.mark.real
def test_two_workers_share_and_one_leaves(bench: Bench) -> None:
    events = {f"e{n}": (f"fine-{n}", n) for n in range(1500)}
    bench.produce(events)
    with FakeServe(delay_s=0.3, capacity=32) as serve:
        first = bench.worker(serve)
        bench.wait(lambda: serve.tries > 100)
        second = bench.worker(serve)
        bench.wait(lambda: "answered" in bench.log(1))
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
        visible = bench.visible(len(events))
        bench.wait(lambda: bench.lag() == 0)
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert visible == Counter(events.keys())
    assert "revoked 6 partitions" in bench.log(0)


@pytest.mark.real
def test_serve_away_and_back_burns_no_attempt(bench: Bench) -> None:
    events = {f"e{n}": (f"fine-{n}", 1) for n in range(40)}
    bench.produce(events)
    with FakeServe(busy=True) as serve:
        bench.worker(serve)
        bench.wait(lambda: serve.refused >= 3)
        serve.busy = False
        visible = bench.visible(len(events))
    assert visible == Counter(events.keys())
    assert all(item.attempt == 1 for items in serve.seen.values() for item in items)
    assert bench.dead() == []


def test_the_embedded_mock_broker_carries_a_single_worker(embedded_kafka: KafkaServer, tmp_path: Path) -> None:
    bench = Bench(embedded_kafka, tmp_path)
    events = {f"e{n}": (f"fine-{n % 20}", n) for n in range(120)}
    bench.produce(events)
    try:
        with FakeServe() as serve:
            worker = bench.worker(serve)
            visible = bench.visible(len(events))
            bench.wait(lambda: bench.lag() == 0)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0
    finally:
        bench.stop()
    assert visible == Counter(events.keys())
