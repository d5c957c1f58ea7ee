"""What the worker shows to Prometheus. No label names an event, listing or tenant: their number has no bound."""

import time
from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from consumers.core.actions import Commit, Finished, Retried, Transact, WentBack
from consumers.core.bitmap import MAX_WINDOW
from consumers.core.breaker import BreakerState
from consumers.core.codes import FailureCode
from consumers.core.status import Status
from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition
from consumers.shell.demand import Demand
from consumers.shell.ends import End
from consumers.shell.notices import (
    ClientReplaced,
    CommitRefused,
    LogMadeAnew,
    News,
    OffsetMissing,
    PollFailed,
    StartedOver,
    TopicChanged,
    TransactionEnded,
)

_NAME = "vitrine_consumer_{}"
_BREAKER = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Metrics:
    """The worker's counters and gauges, in a registry of their own."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        window: int = MAX_WINDOW,
        retry_topics: Collection[str] = (),
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self._demand = Demand(self.registry, retry_topics)
        self._window_size = window
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
        self._fill = self._gauge("window_fill_ratio", "Offsets in work as a share of what may be", where)
        self._paused = self._gauge("paused_partitions", "Partitions that are not fetched", [])
        self._progress.set_to_current_time()
        self._count_trouble(where)

    def _count_trouble(self, where: list[str]) -> None:
        self._diverted = self._counter("heads_diverted", "Events that held back their partition and were put aside", [])
        self._breaker = self._gauge("breaker", "The breaker before Serve: 0 closed, 1 half open, 2 open", [])
        self._unpublished = self._gauge("unpublished", "Messages that the broker has not acknowledged", [])
        self._unanswered = self._gauge("commits_unanswered", "Commits, or transactions, in a row that failed", [])
        self._transactions = Histogram(
            _NAME.format("transaction_seconds"),
            "Duration of transactions, by result",
            ["result"],
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60),
            registry=self.registry,
        )
        self._polls = self._counter("poll_failures", "Polls that failed, by error", ["error"])
        self._refused = self._counter("commit_failures", "Commits that were not stored, by error", ["error"])
        self._missing = self._counter("offsets_missing", "Jumps because the broker lacked the next offset", where)
        self._started_over = self._counter("partitions_started_over", "Partitions whose commits were read again", [])
        self._replaced = self._counter("client_replaced", "Kafka clients that hung and were replaced", [])
        self._topics = self._gauge("topic_partitions", "Partitions of a topic; 0: missing, -1: refused", ["topic"])

    def serve(self, port: int) -> int:
        """Open the page; the port that it has."""
        server, _ = start_http_server(port, registry=self.registry)
        return int(server.server_port)

    def saw(self, news: News) -> None:
        """Count an action of the engine, or what the shell has to tell."""
        self._demand.saw(news)
        match news:
            case Finished(outcome=None, code=code):
                self._dead.labels(code or "").inc()
                self._progress.set_to_current_time()
            case Finished(outcome=outcome):
                self._outcomes.labels(outcome).inc()
                self._progress.set_to_current_time()
            case Retried(error=error):
                self._retries.labels(error.retry.value, error.code).inc()
                self._diverted.inc(error.code == FailureCode.HEAD_BLOCKED)
            case WentBack(tp=tp, records=records):
                self._passed.labels(tp.topic, tp.partition).inc(records)
            case Commit(offsets=offsets):
                self._commits.inc()
                self._observe(offsets)
            case Transact(offsets=offsets):
                self._observe(offsets)
            case _:
                self._saw_trouble(news)

    def _saw_trouble(self, news: News) -> None:
        match news:
            case TransactionEnded(result, seconds):
                self._transactions.labels(result).observe(seconds)
            case PollFailed(error):
                self._polls.labels(error).inc()
            case CommitRefused(error):
                self._refused.labels(error).inc()
            case OffsetMissing(tp) | LogMadeAnew(tp):
                self._missing.labels(tp.topic, tp.partition).inc()
            case StartedOver(partitions):
                self._started_over.inc(partitions)
            case ClientReplaced():
                self._replaced.inc()
            case TopicChanged(topic, state, partitions):
                self._topics.labels(topic).set(-1 if state == "refused" else partitions)
            case _:
                pass

    def show(self, status: Status, ends: Mapping[TopicPartition, End]) -> None:
        """Show the state of the engine beside the ends of the partitions, as far as they are known."""
        self._in_flight.set(status.in_flight)
        self._buffered.set(status.buffered)
        self._bytes.set(status.buffered_bytes)
        self._age.set(0.0 if status.oldest_ms is None else max(0.0, time.time() - status.oldest_ms / 1000))
        self._paused.set(len(status.paused))
        self._breaker.set(_BREAKER[status.breaker])
        self._unpublished.set(status.unpublished)
        self._unanswered.set(status.commits_unanswered)
        self._demand.show(status, ends)
        self._lag.clear()
        self._window.clear()
        self._fill.clear()
        for tp, used in status.window_used.items():
            self._window.labels(tp.topic, tp.partition).set(used)
            self._fill.labels(tp.topic, tp.partition).set(used / self._window_size)
            if tp in ends and tp in status.positions:
                self._lag.labels(tp.topic, tp.partition).set(max(0, ends[tp].offset - status.positions[tp]))

    def _observe(self, offsets: Mapping[TopicPartition, Snapshot]) -> None:
        for snapshot in offsets.values():
            self._commit_chars.observe(len(snapshot.metadata))

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(_NAME.format(name), text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(_NAME.format(name), text, labels, registry=self.registry)
