"""Looks at the load in a thread of its own, so that who decides never waits."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping

from serve.scaling.figures import Figures
from serve.scaling.settings import ScalingSettings
from serve.scaling.sources import Clock, Source, open_source

log = logging.getLogger("ray.serve.scaling")

Cluster = Callable[[], Mapping[str, float]]


class Watch:
    """The last figures, and the room of the cluster. Attributes may be read from any thread."""

    def __init__(
        self,
        settings: ScalingSettings,
        cluster: Cluster | None = None,
        *,
        clock: Clock = time.monotonic,
        source: Callable[[ScalingSettings, Clock], Source] = open_source,
    ) -> None:
        self.figures: Figures | None = None
        #: Replicas that the cluster has room for; None where that is not known or does not count.
        self.room: int | None = None
        self._settings = settings
        self._cluster = cluster
        self._clock = clock
        self._source = source
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scaling-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; does not wait."""
        self._stopped.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            source = self._source(self._settings, self._clock)
            while not self._stopped.is_set():
                self._look(loop, source)
                self._stopped.wait(self._settings.look_every_s)
        finally:
            loop.close()

    def _look(self, loop: asyncio.AbstractEventLoop, source: Source) -> None:
        try:
            self.figures = loop.run_until_complete(source.look())
        except Exception:
            # Whatever it is, the next look may be better; until then the figures grow stale.
            log.exception("looking at the load failed")
        try:
            self.room = self._room()
        except Exception:
            log.exception("the room of the cluster is not known")

    def _room(self) -> int | None:
        needs = self._settings.replica_needs
        if self._cluster is None or not needs:
            return None
        there = self._cluster()
        # Whole replicas, in spite of floating point.
        return min(math.floor(there.get(name, 0.0) / need + 1e-6) for name, need in needs.items())
