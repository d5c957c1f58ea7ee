"""What can be read from a running system, each with a pace of its own."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import httpx

from consumers.settings import ConsumerSettings
from consumers.tools.lag import Totals
from consumers.tools.lag_reader import GroupReader
from deploy.loadtest.faults.serving import STUDIO
from deploy.loadtest.system.interface import System
from deploy.loadtest.system.usage import CpuMeter, Process, all_processes, by_role, title
from deploy.services.processes import alive

_MB = 1e6
_TIMEOUT_S = 5.0


class Gauge(Protocol):
    """Read again and again, by one thread."""

    #: Seconds from one look to the next.
    every_s: float

    def look(self) -> Mapping[str, float]:
        """Figures by name; whatever it raises means that there are none this time."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class UsageGauge:
    """CPU and memory by role, and how many consumers and replicas run."""

    def __init__(self, system: System, every_s: float = 1.0) -> None:
        self.every_s = every_s
        self._system = system
        self._meter = CpuMeter()

    def look(self) -> Mapping[str, float]:
        """`cpu.ROLE` in cores, `rss_mb.ROLE`; `consumers` and `replicas` where they run on this machine."""
        records = self._system.processes()
        roles = by_role(all_processes(), records, os.getpid())
        values = {f"cpu.{role}": cores for role, cores in self._meter.read(time.monotonic_ns(), roles).items()}
        values |= {f"rss_mb.{role}": sum(one.rss_bytes for one in all_) / _MB for role, all_ in roles.items()}
        if "consumers" in records:
            values["consumers"] = float(sum(map(alive, records["consumers"])))
        if "serve" in records:
            values["replicas"] = float(_replicas(roles.get("serve", ())))
        return values

    def close(self) -> None:
        """Nothing is held."""


def _replicas(processes: Sequence[Process]) -> int:
    return sum(STUDIO in title(one.pid) for one in processes)


class LagGauge:
    """How far the group is behind."""

    every_s = 2.0

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self._reader: GroupReader | None = None

    def look(self) -> Mapping[str, float]:
        """`lag_events`: not answered yet; `lag_age_s`: how long the oldest has waited, 0 where there is none."""
        try:
            self._reader = self._reader or GroupReader(self._settings)
            totals = Totals.of(self._reader.read().rows)
        except Exception:
            # Whatever it knew of the brokers may be wrong now.
            self.close()
            raise
        if totals.open == 0:
            return {"lag_events": 0.0, "lag_age_s": 0.0}
        age = {} if totals.age_s is None else {"lag_age_s": totals.age_s}
        return {"lag_events": float(totals.open), **age}

    def close(self) -> None:
        """Hang up."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.__exit__(None, None, None)


class CapacityGauge:
    """What a Serve elsewhere says of itself."""

    every_s = 5.0

    def __init__(self, settings: ConsumerSettings) -> None:
        self._url = f"{settings.serve_url.rstrip('/')}/v1/capacity"
        self._client = httpx.Client(
            headers=settings.serve_headers(), verify=settings.serve_tls(), timeout=_TIMEOUT_S, trust_env=False
        )

    def look(self) -> Mapping[str, float]:
        """`replicas`."""
        return {"replicas": float(self._client.get(self._url).raise_for_status().json()["replicas"])}

    def close(self) -> None:
        """Hang up."""
        self._client.close()
