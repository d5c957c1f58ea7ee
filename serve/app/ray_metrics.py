"""The `Metrics` of `serve.metrics` on Ray's own: scraped from the agent of every node."""

from ray.util import metrics

from serve.metrics import BUCKETS_S, FILL_BUCKETS


class RayMetrics:
    """See `serve.metrics.Metrics`."""

    def __init__(self) -> None:
        self._seconds = metrics.Histogram(
            "vitrine_stage_seconds", "Seconds per stage and photo", boundaries=list(BUCKETS_S), tag_keys=("stage",)
        )
        self._stages = metrics.Counter(
            "vitrine_stage_runs", "Stage runs by how they ended", tag_keys=("stage", "outcome")
        )
        self._fill = metrics.Histogram(
            "vitrine_batch_fill", "Share of a batch that was used", boundaries=list(FILL_BUCKETS), tag_keys=("stage",)
        )
        self._idle = metrics.Counter("vitrine_slot_idle_with_backlog_seconds", "Compute slot idle although work waited")
        self._events = metrics.Counter("vitrine_events", "Events answered, by outcome", tag_keys=("outcome",))
        self._images = metrics.Gauge("vitrine_images_in_work", "Photos in work")
        self._waiting = metrics.Gauge("vitrine_images_waiting", "Photos that wait for room")
        self._bytes = metrics.Gauge("vitrine_working_bytes", "Bytes of pictures held")

    def stage(self, stage: str, seconds: float, outcome: str) -> None:
        """See `Metrics`."""
        self._seconds.observe(seconds, {"stage": stage})
        self._stages.inc(1, {"stage": stage, "outcome": outcome})

    def batch(self, stage: str, *, shots: int, failed: int, fill: float, seconds: float, idle_s: float) -> None:
        """See `Metrics`."""
        self._seconds.observe(seconds, {"stage": stage})
        # Ray takes no zero.
        if shots > failed:
            self._stages.inc(shots - failed, {"stage": stage, "outcome": "ok"})
        if failed:
            self._stages.inc(failed, {"stage": stage, "outcome": "failed"})
        self._fill.observe(fill, {"stage": stage})
        if idle_s > 0:
            self._idle.inc(idle_s)

    def event(self, outcome: str) -> None:
        """See `Metrics`."""
        self._events.inc(1, {"outcome": outcome})

    def load(self, *, images: int, waiting: int, working_bytes: int) -> None:
        """See `Metrics`."""
        self._images.set(images)
        self._waiting.set(waiting)
        self._bytes.set(working_bytes)
