"""Ray Serve of a run: its replicas, killed and replaced."""

import signal
import time
from collections.abc import Sequence

from deploy.errors import ServiceFailed
from deploy.services.processes import ProcessRecord, send_signal
from deploy.services.ray_serve import RayServe

STUDIO = "ServeReplica:vitrine:Studio"
_ASK_EVERY_S = 0.5
_SETTLE_S = 120.0
#: A rollout replaces one replica after the other; it counts as done when nothing changed for so long.
_STILL_S = 3.0


class RealServing:
    """`Serving` on a Ray of our own."""

    def __init__(self, serve: RayServe) -> None:
        self._serve = serve
        self._wanted = len(self.replicas())
        #: The replicas that a rollout has to replace.
        self._old: frozenset[int] = frozenset()

    def _records(self) -> list[ProcessRecord]:
        return self._serve.workers(STUDIO)

    def replicas(self) -> Sequence[int]:
        """Process ids."""
        return sorted(record.pid for record in self._records())

    def kill_replica(self, pid: int) -> None:
        """SIGKILL, if it is still one of ours."""
        self._signal(pid, signal.SIGKILL)

    def freeze_replica(self, pid: int) -> None:
        """SIGSTOP."""
        self._signal(pid, signal.SIGSTOP)

    def thaw_replica(self, pid: int) -> None:
        """SIGCONT, if Serve has not replaced it meanwhile."""
        self._signal(pid, signal.SIGCONT)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        for record in self._records():
            if record.pid == pid:
                send_signal(record, number)

    def redeploy(self) -> None:
        """Start a rollout."""
        self._old = frozenset(self.replicas())
        self._serve.redeploy()

    def settle(self) -> None:
        """Wait until no old replica is left and as many as should run do so."""
        deadline = time.monotonic() + _SETTLE_S
        still_since, before = time.monotonic(), self.replicas()
        while True:
            time.sleep(_ASK_EVERY_S)
            now, found = time.monotonic(), self.replicas()
            if found != before:
                still_since, before = now, found
            complete = len(found) >= self._wanted and not self._old & set(found)
            if complete and now - still_since >= _STILL_S and self._serve.healthy():
                self._old = frozenset()
                return
            if now > deadline:
                raise ServiceFailed(f"Serve has {len(found)} of {self._wanted} replicas after {_SETTLE_S:g} s")
