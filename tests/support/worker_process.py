"""Worker processes against a real broker, with topics of their own: what goes in, what came out, what was said."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from consumers.reader import read
from consumers.settings import ConsumerSettings
from deploy.services.kafka_topics import ensure_topics
from tests.support.fake_serve import FakeServe
from tests.support.listing_events import structured_bytes
from tests.support.servers import unique

Facts = dict[str, Any]
EVENTS, RETRY, RESULTS, DEAD = "topics", "retry_topics", "results_topic", "dead_topic"


class WorkerProcess:
    """One worker at a time, started as often as one likes. The test itself uses the broker's plain listener."""

    def __init__(self, bootstrap: str, folder: Path, *, partitions: int = 2, make: Iterable[str] | None = None) -> None:
        mark = unique("t")
        self.names = {
            EVENTS: f"{mark}.new",
            RETRY: f"{mark}.retry.2s",
            RESULTS: f"{mark}.results",
            DEAD: f"{mark}.dead",
        }
        self.group = f"{mark}.group"
        self.bootstrap = bootstrap
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.make(*(self.names if make is None else make), partitions=partitions)

    @property
    def settings(self) -> ConsumerSettings:
        """What a reader at the plain listener needs."""
        return ConsumerSettings(bootstrap=self.bootstrap, results_topic=self.names[RESULTS])

    def make(self, *kinds: str, partitions: int = 2) -> None:
        """Make these topics."""
        ensure_topics(self.bootstrap, {self.names[kind]: partitions for kind in kinds}, copies=1)

    # -- the process --

    def start(self, serve: FakeServe, **more: object) -> subprocess.Popen[bytes]:
        """Start a worker with these settings over those that it has anyhow."""
        settings = {
            "bootstrap": self.bootstrap,
            "group": self.group,
            **self.names,
            "serve_url": serve.url,
            "session_timeout_s": 6,
            "commit_every_s": 0.2,
            "metadata_max_age_s": 2,
            "metrics_port": 0,
            **more,
        }
        env = {f"VITRINE_CONSUMERS_{name.upper()}": str(value) for name, value in settings.items()}
        self._starts += 1
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "consumers"], env={**os.environ, **env}, stderr=log, stdin=subprocess.DEVNULL
            )
        return self._process

    def stop(self) -> int:
        """Ask it to stop, as a supervisor would; its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()

    def kill(self) -> None:
        """Kill it at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    # -- what it says --

    @property
    def _log_file(self) -> Path:
        return self._folder / f"worker{self._starts}.log"

    def text(self) -> str:
        """The whole log of the last start."""
        return self._log_file.read_text(errors="replace")

    def log(self, **facts: object) -> list[Facts]:
        """The lines of the last start that have these facts."""
        return [line for line in self._lines() if facts.items() <= line.items()]

    def _lines(self) -> Iterable[Facts]:
        for line in self.text().splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this metric with these labels; 0 without any."""
        (started,) = self.log(action="metrics")
        with urllib.request.urlopen(f"http://127.0.0.1:{started['port']}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == f"vitrine_consumer_{name}"]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found if all(part in line for part in wanted))

    # -- what goes in and comes out --

    def produce(self, events: Mapping[str, str], *, revision: int = 1, partition: int | None = None) -> None:
        """Events by id: the listing."""
        producer = KafkaProducer(bootstrap_servers=self.bootstrap)
        for event_id, listing in events.items():
            value = structured_bytes(event_id, listing, revision)
            producer.send(self.names[EVENTS], key=listing.encode(), value=value, partition=partition)
        producer.flush(30)
        producer.close()

    def produce_revisions(self, listing: str, count: int) -> None:
        """Events `r0`, `r1`, ... of one listing."""
        with closing(KafkaProducer(bootstrap_servers=self.bootstrap)) as producer:
            for number in range(count):
                value = structured_bytes(f"r{number}", listing, number)
                producer.send(self.names[EVENTS], key=listing.encode(), value=value)
            producer.flush(30)

    def visible(self, count: int, timeout_s: float = 60) -> Counter[str]:
        """How often each event has a visible result, once there are so many."""
        found = Counter(event.causationid for event in read(self.settings, until=count, timeout_s=timeout_s))
        assert found.total() == count, f"{found.total()} of {count}; the end of the log:\n{self.text()[-3000:]}"
        return found

    def dead(self) -> list[dict[str, bytes]]:
        """Headers and values of the dead letters."""
        return [{**dict(record.headers), "value": record.value} for record in self.records(DEAD)]

    def records(self, kind: str) -> list[Any]:
        """All that is in a topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False, group_id=None)
        try:
            tps = [
                TopicPartition(self.names[kind], number) for number in consumer.partitions_for_topic(self.names[kind])
            ]
            consumer.assign(tps)
            consumer.seek_to_beginning(*tps)
            ends = consumer.end_offsets(tps)
            found: list[Any] = []
            deadline = time.monotonic() + 20
            while any(consumer.position(tp) < end for tp, end in ends.items()) and time.monotonic() < deadline:
                found += [record for batch in consumer.poll(timeout_ms=300).values() for record in batch]
            return found
        finally:
            consumer.close(autocommit=False)

    def lag(self) -> int:
        """Offsets of events and retries that are not committed."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False)
        try:
            lag = 0
            for topic in (self.names[EVENTS], self.names[RETRY]):
                tps = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
                ends, starts = consumer.end_offsets(tps), consumer.beginning_offsets(tps)
                lag += sum(end - max(consumer.committed(tp) or 0, starts[tp]) for tp, end in ends.items())
            return lag
        finally:
            consumer.close(autocommit=False)

    def wait(self, what: Callable[[], object], timeout_s: float = 60) -> None:
        """Wait until it is so, while the worker runs."""
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, f"it did not happen in time; the end of the log:\n{self.text()[-3000:]}"
            assert self.runs, f"the worker has ended; the end of its log:\n{self.text()[-3000:]}"
            time.sleep(0.2)

    def wait_said(self, timeout_s: float = 60, **facts: object) -> None:
        """Wait until a line with these facts is in the log of the last start."""
        self.wait(lambda: self.log(**facts), timeout_s)
