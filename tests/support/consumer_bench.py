"""Topics of one's own on a real Kafka, producers of events, worker processes."""

import os
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from consumers.reader import read
from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from tests.support.fake_serve import FakeServe
from tests.support.listing_events import structured_bytes
from tests.support.servers import KafkaServer, unique

#: Runs a worker in a process whose Kafka client `patch` has changed.
_PATCHED = "{patch}\nimport sys\nfrom consumers.__main__ import main\nsys.exit(main())"


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

    def produce(self, events: dict[str, tuple[str, int]], raw: Sequence[bytes] = (), only: int | None = None) -> None:
        """Events by id: listing and revision; into the topic `only`."""
        producer = KafkaProducer(**self.kafka.client())
        for event_id, (listing, revision) in events.items():
            # A listing keeps to one topic: between topics there is no order.
            number = zlib.crc32(listing.encode()) % 2 if only is None else only
            topic = self.settings.topics[number]
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

    def worker(self, serve: FakeServe, *, patch: str | None = None, **more: object) -> subprocess.Popen[bytes]:
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
        run = ["-m", "consumers"] if patch is None else ["-c", _PATCHED.format(patch=patch)]
        worker = subprocess.Popen([sys.executable, *run], env={**os.environ, **env}, stderr=log)
        self.workers.append(worker)
        return worker

    def log(self, worker: int) -> str:
        return (self.folder / f"worker{worker}.log").read_text()

    def visible(self, count: int, timeout_s: float = 60) -> Counter[str]:
        assert any(worker.poll() is None for worker in self.workers), "no worker runs"
        return Counter(e.causationid for e in read(self.settings, until=count, timeout_s=timeout_s))

    def all_results(self) -> list[str]:
        return [record.key for record in self._all(self.settings.results_topic)]

    def result_headers(self) -> list[dict[str, bytes]]:
        """The headers of each message in the results topic."""
        return [dict(record.headers) for record in self._all(self.settings.results_topic)]

    def dead(self) -> list[dict[str, bytes]]:
        return [dict(record.headers) | {"value": record.value} for record in self._all(self.settings.dead_topic)]

    def lag(self) -> int:
        consumer = KafkaConsumer(**self.kafka.client(), group_id=self.settings.group, enable_auto_commit=False)
        try:
            lag = 0
            for topic in self.settings.topics:
                tps = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
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

    def committed_results(self) -> Counter[str]:
        """What any reader of committed records sees, by the event that it answers."""
        events = (parse_result(record.value) for record in self._all(self.settings.results_topic))
        return Counter(event.causationid for event in events if event is not None)

    def _all(self, topic: str) -> list:
        consumer = KafkaConsumer(
            topic,
            **self.kafka.client(),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        found, quiet = [], 0
        while quiet < 4:
            batches = consumer.poll(timeout_ms=300)
            quiet = 0 if batches else quiet + 1
            found += [record for batch in batches.values() for record in batch]
        consumer.close(autocommit=False)
        return found
