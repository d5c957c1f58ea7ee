"""What is counted, behind a small protocol.

Two implementations: `PrometheusMetrics` for one process, and the one of `serve.app` on Ray's own metrics. Replicas
are processes without a port of their own, so on a cluster only Ray's node agents can be scraped.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serve.catalog.recipe import Variant
from serve.interfaces import Shot, ShotFailure, Stage
from serve.schemas.result import ModelRef

#: Upper bounds in seconds of the stage histogram.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics(Protocol):
    """Where figures go. Labels are few and bounded: stage, outcome, code."""

    def stage(self, stage: str, seconds: float, outcome: str) -> None:
        """One step for one source photo: how long, `ok` or `failed`."""
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
            "vitrine_stage_seconds", "Seconds per stage and photo", ["stage"], buckets=BUCKETS_S, registry=registry
        )
        self._stages = Counter(
            "vitrine_stage_runs", "Stage runs by how they ended", ["stage", "outcome"], registry=registry
        )
        self._events = Counter("vitrine_events", "Events answered, by outcome", ["outcome"], registry=registry)
        self._images = Gauge("vitrine_images_in_work", "Photos in work", registry=registry)
        self._waiting = Gauge("vitrine_images_waiting", "Photos that wait for room", registry=registry)
        self._bytes = Gauge("vitrine_working_bytes", "Bytes of pictures held", registry=registry)

    def stage(self, stage: str, seconds: float, outcome: str) -> None:
        """See `Metrics`."""
        self._seconds.labels(stage).observe(seconds)
        self._stages.labels(stage, outcome).inc()

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
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self.metrics.stage(name, spent, outcome)

    def milliseconds(self) -> dict[str, float]:
        """As the result states them."""
        return {name: round(1000 * seconds, 1) for name, seconds in self.seconds.items()}


class TimedStage:
    """A stage that is timed where it computes, so that waiting for a slot does not count."""

    def __init__(self, inner: Stage, timings: Timings) -> None:
        self.name = inner.name
        self._inner = inner
        self._timings = timings

    def models(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The models of the stage itself."""
        return self._inner.models(variant)

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Run the stage itself."""
        with self._timings.stage(self.name):
            return self._inner.run(batch)
