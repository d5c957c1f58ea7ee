"""What is counted, behind a small protocol.

Two implementations: `PrometheusMetrics` for one process, and the one of `serve.app` on Ray's own metrics. Replicas
are processes without a port of their own, so on a cluster only Ray's node agents can be scraped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Upper bounds in seconds of the stage histogram.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


#: Upper bounds of the batch fill histogram, 0..1.
FILL_BUCKETS = (0.125, 0.25, 0.5, 0.75, 1.0)


class Metrics(Protocol):
    """Where figures go. Labels are few and bounded: stage, outcome, code."""

    def stage(self, stage: str, seconds: float, outcome: str) -> None:
        """One step for one source photo: how long, `ok` or `failed`."""
        ...

    def batch(self, stage: str, *, shots: int, failed: int, fill: float, seconds: float, idle_s: float) -> None:
        """A batch went through a compute slot: shots in it and failed ones, how full it was (0..1), how long it took.

        `idle_s` is how long the slot had stood idle although there was work: time that a better server would not lose.
        """
        ...

    def event(self, outcome: str) -> None:
        """One event was answered with this outcome, or with `error`."""
        ...

    def load(self, *, images: int, waiting: int, working_bytes: int) -> None:
        """Photos in work, photos waiting for room, bytes of pictures held."""
        ...


class PrometheusMetrics:
    """Metrics of one process, in a registry of prometheus_client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "vitrine_stage_seconds",
            "Seconds per step; of the computing ones per batch",
            ["stage"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._stages = Counter(
            "vitrine_stage_runs",
            "Steps by how they ended; of computing ones images",
            ["stage", "outcome"],
            registry=registry,
        )
        self._fill = Histogram(
            "vitrine_batch_fill", "Share of a batch that was used", ["stage"], buckets=FILL_BUCKETS, registry=registry
        )
        self._idle = Counter(
            "vitrine_slot_idle_with_backlog_seconds", "Compute slot idle although work waited", registry=registry
        )
        self._events = Counter("vitrine_events", "Events answered, by outcome", ["outcome"], registry=registry)
        self._images = Gauge("vitrine_images_in_work", "Photos in work", registry=registry)
        self._waiting = Gauge("vitrine_images_waiting", "Photos that wait for room", registry=registry)
        self._bytes = Gauge("vitrine_working_bytes", "Bytes of pictures held", registry=registry)

    def stage(self, stage: str, seconds: float, outcome: str) -> None:
        """See `Metrics`."""
        self._seconds.labels(stage).observe(seconds)
        self._stages.labels(stage, outcome).inc()

    def batch(self, stage: str, *, shots: int, failed: int, fill: float, seconds: float, idle_s: float) -> None:
        """See `Metrics`."""
        self._seconds.labels(stage).observe(seconds)
        self._stages.labels(stage, "ok").inc(shots - failed)
        self._stages.labels(stage, "failed").inc(failed)
        self._fill.labels(stage).observe(fill)
        self._idle.inc(idle_s)

    def event(self, outcome: str) -> None:
        """See `Metrics`."""
        self._events.labels(outcome).inc()

    def load(self, *, images: int, waiting: int, working_bytes: int) -> None:
        """See `Metrics`."""
        self._images.set(images)
        self._waiting.set(waiting)
        self._bytes.set(working_bytes)


@dataclass(slots=True)
class Timings:
    """Seconds per stage for one event, also told to the metrics. Thread-safe."""

    metrics: Metrics
    seconds: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a step."""
        started, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "ok"
        finally:
            spent = time.perf_counter() - started
            self.add(name, spent)
            self.metrics.stage(name, spent, outcome)

    def add(self, name: str, seconds: float) -> None:
        """Take over what was measured, and told to the metrics, elsewhere."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def milliseconds(self) -> dict[str, float]:
        """As the result states them."""
        return {name: round(1000 * seconds, 1) for name, seconds in self.seconds.items()}
