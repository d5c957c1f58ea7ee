"""Listing events with a photo each through a real worker, and an account of every one of them."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from consumers.settings import ConsumerSettings
from deploy.loadtest.chaos.calm import calm_run
from deploy.loadtest.chaos.census import Census
from deploy.loadtest.chaos.sending import Sender
from deploy.loadtest.chaos.watch import Watch
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.objects import object_faults
from deploy.loadtest.workload.mix import Mix
from deploy.loadtest.workload.planned import Kind, Planned
from deploy.loadtest.workload.traffic import Traffic
from deploy.services.buckets import s3_client
from deploy.services.consumer import Consumer
from deploy.services.interface import Endpoints
from deploy.settings import DeploySettings
from tests.support.photos import PhotoServer, garment
from tests.support.servers import KafkaServer, unique

#: Events under way at most: more than two replicas take at once.
_BURST = 24
_PACE_S = 1.0
_COMPARED = 40
CATALOG = Path(__file__).parents[1] / "data" / "catalog"


class _Garments:
    """Photos that are drawn when an event names them, for one tenant."""

    def __init__(self, server: PhotoServer, tenant: str) -> None:
        self._server = server
        self._tenant = tenant

    def url(self, name: str) -> str:
        number = int(name.partition("-")[0])
        colour = (30 + 7 * number % 200, 80, 140)
        return self._server.add(f"{self._tenant}-{name}", garment(colour=colour, seed=number))


class ClusterTraffic:
    """Topics, a worker and events of their own, for the length of a block; use it from the main thread."""

    def __init__(self, kafka: KafkaServer, store: Endpoints, serve_url: str, photos: PhotoServer, folder: Path) -> None:
        mark = unique("t")
        told = {
            "bootstrap": kafka.bootstrap,
            "api_version": ".".join(map(str, kafka.api_version or ())) or None,
            "group": f"{mark}.group",
            "topics": (kafka.new_topic("new"),),
            "retry_topics": (kafka.new_topic("retry", end=".2s"), kafka.new_topic("retry", end=".5s")),
            "results_topic": kafka.new_topic("results"),
            "dead_topic": kafka.new_topic("dead"),
            "serve_url": serve_url,
        }
        self.settings = ConsumerSettings().model_copy(update=told)
        self._tenant = mark
        self._store = store
        self._photos = photos
        env = {
            f"VITRINE_CONSUMERS_{name.upper()}": ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in told.items()
            if value is not None
        }
        self.worker = Consumer(folder, env, DeploySettings())
        self._log = folder / "consumer-1.log"
        self._planned: dict[int, Planned] = {}
        self._sender: Sender
        self._watch: Watch
        self._allowed = 0

    def _events(self) -> Iterator[Planned]:
        """Listings without end, each with a photo of its own; thought up as they are sent."""
        mix = Mix(
            new_listings=1,
            first={Kind.PHOTOS: 1},
            tenants={self._tenant: 1},
            topics={self.settings.topics[0]: 1},
            recipes={"tiny": 1},
            edges={400: 1},
        )
        for event in Traffic(mix, 1, _Garments(self._photos, self._tenant)).events(sys.maxsize):
            self._planned[event.number] = event
            yield event

    def run(self, disturb: Callable[[], None], patience_s: float) -> None:
        """Send some events, call `disturb`, which sends more by `busy_until`, and wait until each has an answer."""
        with Sender(self.settings, self._events()) as sender, Watch(self.settings) as watch:
            self._sender, self._watch = sender, watch
            self._allow(_BURST)
            self.worker.start()
            try:
                disturb()
                until(lambda: self.open == 0, patience_s, lambda: f"{self.open} events without answer")
                # A second answer comes soon, if it comes.
                time.sleep(3)
            finally:
                self.worker.stop()
        self._planned = {number: event for number, event in self._planned.items() if number <= self._allowed}

    @property
    def open(self) -> int:
        """Events that were sent and have no answer yet."""
        return self._allowed - self._watch.answered

    def busy_until(self, what: Callable[[], object], patience_s: float) -> None:
        """Send one event after the other until it is so."""
        deadline = time.monotonic() + patience_s
        while not what():
            assert time.monotonic() < deadline, f"it did not happen in {patience_s:g} s"
            if self.open < _BURST:
                self._allow(self._allowed + 1)
            time.sleep(_PACE_S)

    def _allow(self, events: int) -> None:
        self._allowed = events
        self._sender.allow(events)

    def attempts(self) -> list[int]:
        """How many tries each answered event took, from the worker's log."""
        # The last line may be half written.
        whole = (line for line in self._log.read_text().splitlines() if line.startswith("{") and line.endswith("}"))
        lines = map(json.loads, whole)
        return [int(line["attempts"]) for line in lines if line.get("message") == "event is answered"]

    def faults(self) -> list[str]:
        """What is wrong: events without answer or with two, dead letters, objects other than those of a calm run."""
        ledger = Ledger()
        standing = Census(self.settings).enter(ledger, self._planned)
        assert len(ledger.events) == len(self._planned)
        events = list(ledger.last_events().values())
        # Evenly among all: a calm run of hundreds would take longer than the test.
        events = events[:: 1 + len(events) // _COMPARED]
        calm = calm_run(events, self._planned, self._store, catalog=CATALOG, photos=self._photos.origin)
        assert all(calm.values())
        found = [*ledger.verdict(), *object_faults(calm, standing, self._objects())]
        return [f"{one}" for one in found]

    def _objects(self) -> dict[str, str]:
        at = self._store
        client = s3_client(at.s3_endpoint, at.access_key, at.secret_key, at.region)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=at.bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {
            key: hashlib.sha256(client.get_object(Bucket=at.bucket, Key=key)["Body"].read()).hexdigest() for key in keys
        }


def until(what: Callable[[], object], patience_s: float, say: Callable[[], str] = str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in {patience_s:g} s: {say()}"
        time.sleep(0.2)
