"""The whole of Vitrine with real servers, as a user of its topics sees it."""

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from consumers.headers import PREFIX
from consumers.reader import read
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.services.buckets import s3_client
from deploy.services.interface import Endpoints
from deploy.services.stack import Choice, KafkaKind, Stack, StoreKind
from tests.support.photos import PhotoServer, photo_server

CATALOG = Path(__file__).parents[1] / "data" / "catalog"
TOPICS = {
    "listings.new.high": 1,
    "listings.new": 4,
    "listings.new.low": 1,
    "listings.retry.30s": 1,
    "listings.retry.5m": 1,
    "listings.retry.30m": 1,
    "listings.enriched": 4,
    "listings.dead": 1,
}
VITRINE = Path(sys.executable).with_name("vitrine")


@dataclass
class System:
    """A running Vitrine and a server for its photos."""

    endpoints: Endpoints
    stack: Stack
    photos: PhotoServer
    #: A loopback address that may be fetched from, but where nobody listens.
    dead_origin: str
    produced: int = 0
    _producer: Any = field(default=None, repr=False)

    def produce(self, message: bytes, key: str, topic: str = "listings.new") -> tuple[str, int, int]:
        """Send one message; give where it lies."""
        if self._producer is None:
            self._producer = KafkaProducer(bootstrap_servers=self.endpoints.bootstrap, acks="all")
        sent = self._producer.send(topic, key=key.encode(), value=message).get(timeout=30)
        self.produced += 1
        return sent.topic, sent.partition, sent.offset

    def tail(self, until: int, timeout_s: int) -> subprocess.CompletedProcess[str]:
        """`vitrine tail` from the beginning, until so many results are visible."""
        bootstrap = self.endpoints.bootstrap or ""
        command = [VITRINE, "tail", "--bootstrap", bootstrap, "--from-beginning"]
        command += ["--until", str(until), "--timeout", str(timeout_s)]
        return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)

    def results(self, until: int, timeout_s: int) -> list[dict[str, Any]]:
        """The visible results; fails unless there are as many as `until`."""
        done = self.tail(until, timeout_s)
        assert done.returncode == 0, f"{len(done.stdout.splitlines())} of {until} results\n{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def answered(self) -> dict[tuple[str, int, int], dict[str, Any]]:
        """What each event ended as so far, by its position: the result's data, or the dead letter's facts."""
        answers: dict[tuple[str, int, int], dict[str, Any]] = {}
        settings = ConsumerSettings(bootstrap=self.endpoints.bootstrap or "")
        for event in read(settings, timeout_s=3):
            at = event.data.position
            assert at is not None
            place = (at.topic, at.partition, at.offset)
            assert place not in answers, f"two visible answers for {place}"
            answers[place] = {"dead": False, **event.data.model_dump(mode="json")}
        for letter in read_dead(settings, timeout_s=2):
            headers = {name: (value or b"").decode() for name, value in letter.headers}
            place = (
                headers[f"{PREFIX}original-topic"],
                int(headers[f"{PREFIX}original-partition"]),
                int(headers[f"{PREFIX}original-offset"]),
            )
            assert place not in answers, f"a result and a dead letter for {place}"
            facts = {"code": headers[f"{PREFIX}error-code"], "message": headers[f"{PREFIX}error-message"]}
            answers[place] = {"dead": True, "bytes": letter.value, **facts}
        return answers

    def object_sha256(self, key: str) -> str:
        """The hash of what the store has under the key."""
        at = self.endpoints
        client = s3_client(at.s3_endpoint or "", at.access_key, at.secret_key, at.region)
        return hashlib.sha256(client.get_object(Bucket=at.bucket, Key=key)["Body"].read()).hexdigest()


def read_dead(settings: ConsumerSettings, *, timeout_s: float) -> Iterator[Any]:
    """The dead letters so far."""
    consumer = KafkaConsumer(
        settings.dead_topic,
        bootstrap_servers=settings.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=int(timeout_s * 1000),
    )
    try:
        yield from consumer
    finally:
        consumer.close()


@contextmanager
def running_system(folder: Path, *, consumers: int = 1) -> Iterator[System]:
    """Real Kafka, real S3, Ray Serve and workers for the length of the block."""
    kafka_internals.mend()
    with photo_server() as photos:
        dead = _unused_origin()
        choice = Choice(
            kafka=KafkaKind.REAL,
            store=StoreKind.REAL,
            consumers=consumers,
            topics=TOPICS,
            serve_env={
                "VITRINE_SERVE_FETCH_ALLOW": f"{photos.origin},{dead}",
                "VITRINE_SERVE_CATALOG_DIR": str(CATALOG),
            },
        )
        stack = Stack(choice, folder)
        with stack as endpoints:
            yield System(endpoints, stack, photos, dead)


def _unused_origin() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
