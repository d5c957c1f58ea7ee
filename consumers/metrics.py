"""What the worker shows to Prometheus. No label names an event, listing or tenant: their number has no bound."""

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from consumers.core.actions import Action, Commit, Finished, Retried, WentBack
from consumers.core.status import Status
from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition

_NAME = "vitrine_consumer_{}"


class Metrics:
    """The worker's counters and gauges, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        where = ["topic", "partition"]
        self._outcomes = self._counter("outcomes", "Events answered, by outcome", ["outcome"])
        self._dead = self._counter("dead_letters", "Events given up, by error code", ["code"])
        self._retries = self._counter("retries", "Failed tries, by class and code", ["retry", "code"])
        self._passed = self._counter("records_passed_over", "Records at offsets that were passed before", where)
        self._commits = self._counter("commits", "Commits sent", [])
        self._commit_chars = Histogram(
            _NAME.format("commit_metadata_chars"),
            "Characters of metadata per committed partition",
            buckets=(0, 16, 64, 256, 688, 1024, 4096),
            registry=self.registry,
        )
        self._in_flight = self._gauge("in_flight", "Events with Serve", [])
        self._buffered = self._gauge("buffered", "Events received and not done", [])
        self._bytes = self._gauge("buffered_bytes", "Their bytes", [])
        self._age = self._gauge("oldest_unfinished_seconds", "Age of the oldest event that is not done", [])
        self._progress = self._gauge("last_progress_timestamp_seconds", "When an event was last done", [])
        self._lag = self._gauge("offset_lag", "Offsets from the contiguous done one to the end", where)
        self._window = self._gauge("window_used", "Offsets in work", where)
        self._paused = self._gauge("paused_partitions", "Partitions that are not fetched", [])
        self._progress.set_to_current_time()

    def serve(self, port: int) -> int:
        """Open the page; the port that it has."""
        server, _ = start_http_server(port, registry=self.registry)
        return int(server.server_port)

    def saw(self, action: Action) -> None:
        """Count an action of the engine."""
        match action:
            case Finished(outcome=None, code=code):
                self._dead.labels(code or "").inc()
                self._progress.set_to_current_time()
            case Finished(outcome=outcome):
                self._outcomes.labels(outcome).inc()
                self._progress.set_to_current_time()
            case Retried(error=error):
                self._retries.labels(error.retry.value, error.code).inc()
            case WentBack(tp=tp, records=records):
                self._passed.labels(tp.topic, tp.partition).inc(records)
            case Commit(offsets=offsets):
                self._commits.inc()
                self._observe(offsets)
            case _:
                pass

    def show(self, status: Status, ends: Mapping[TopicPartition, int]) -> None:
        """Show the state of the engine beside the ends of the partitions, as far as they are known."""
        self._in_flight.set(status.in_flight)
        self._buffered.set(status.buffered)
        self._bytes.set(status.buffered_bytes)
        self._age.set(0.0 if status.oldest_ms is None else max(0.0, time.time() - status.oldest_ms / 1000))
        self._paused.set(len(status.paused))
        self._lag.clear()
        self._window.clear()
        for tp, used in status.window_used.items():
            self._window.labels(tp.topic, tp.partition).set(used)
            if tp in ends and tp in status.positions:
                self._lag.labels(tp.topic, tp.partition).set(max(0, ends[tp] - status.positions[tp]))

    def _observe(self, offsets: Mapping[TopicPartition, Snapshot]) -> None:
        for snapshot in offsets.values():
            self._commit_chars.observe(len(snapshot.metadata))

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(_NAME.format(name), text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(_NAME.format(name), text, labels, registry=self.registry)
