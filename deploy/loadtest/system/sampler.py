"""Samples of the system under load, taken in threads of their own while a run goes on."""

import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from consumers.settings import ConsumerSettings
from deploy.loadtest.measuring.samples import Sample
from deploy.loadtest.system.gauges import CapacityGauge, Gauge, LagGauge, UsageGauge
from deploy.loadtest.system.gpu import GpuGauge
from deploy.loadtest.system.interface import System

_STOP_S = 5.0


def gauges_of(system: System, settings: ConsumerSettings | None, every_s: float = 1.0) -> list[Gauge]:
    """All that can be read of this system; `settings` of the group, None where there is no Kafka."""
    gauges: list[Gauge] = [UsageGauge(system, every_s)]
    if settings is not None:
        gauges.append(LagGauge(settings))
        if "serve" not in system.processes():
            gauges.append(CapacityGauge(settings))
    if (gpu := GpuGauge()).there:
        gauges.append(gpu)
    return gauges


class Sampler:
    """Takes samples for the length of a block.

    - `cpu.ROLE` in cores and `rss_mb.ROLE` of all processes of a role; shared memory counts for each of them.
      `harness` is our own process and its children, the services apart.
    - `consumers`, `replicas`: how many run.
    - `lag_events`, `lag_age_s`: events that the group has not answered, and the age of the oldest. While Kafka is away
      there are none.
    - `gpu.N.util`, `gpu.N.memory_mib`, `gpu.N.power_w`, where nvidia-smi is on the PATH.
    """

    def __init__(
        self,
        system: System,
        settings: ConsumerSettings | None,
        every_s: float = 1.0,
        *,
        gauges: Sequence[Gauge] | None = None,
    ) -> None:
        """`gauges` instead of those that `gauges_of` finds."""
        chosen: Iterable[Gauge] = gauges_of(system, settings, every_s) if gauges is None else gauges
        self._samples: list[Sample] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(gauge,), name=type(gauge).__name__, daemon=True)
            for gauge in chosen
        ]

    def drain(self) -> list[Sample]:
        """What was sampled since the last call, in the order of time; any thread may ask."""
        with self._lock:
            found, self._samples = self._samples, []
        return found

    def _run(self, gauge: Gauge) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            # A look that took long is not made up for.
            due = max(due + gauge.every_s, time.monotonic())
            self._look(gauge)
        gauge.close()

    def _look(self, gauge: Gauge) -> None:
        try:
            values = gauge.look()
        except Exception:  # noqa: BLE001 - services come and go; there is no figure this time
            return
        if values:
            with self._lock:
                self._samples.append(Sample(time.monotonic_ns(), values))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            # One that waits for brokers that are away is left behind.
            thread.join(_STOP_S)
