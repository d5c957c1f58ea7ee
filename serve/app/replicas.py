"""How many replicas run, from Serve's own status: looked up in the background and cached."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from serve.app.placement import STUDIO
from serve.errors import Overloaded, ReplicaLost

log = logging.getLogger(__name__)

#: One that takes over a new configuration works on meanwhile.
_AT_WORK = ("RUNNING", "UPDATING")


class Replicas:
    """Counts the Studio's replicas; those of stage hosts only matter in that there must be some."""

    def __init__(self, app_name: str, hosts: Sequence[str], ttl_s: float) -> None:
        self._app_name = app_name
        self._hosts = hosts
        self._ttl_s = ttl_s
        #: None before it was ever seen: a guess would stop the consumers, or flood the replicas.
        self._studios: int | None = None
        self._missing: list[str] = []
        self.asleep = False
        self._seen_at = float("-inf")
        self._look: asyncio.Task[None] | None = None

    async def studios(self) -> int:
        """Waited for only where none is known to run; 0 means scaled to zero, or all replicas are starting.

        Raise `Overloaded` before anything is known.
        """
        if self._look is None and time.monotonic() - self._seen_at > self._ttl_s:
            self._look = asyncio.create_task(self._look_at_replicas())
        if not self._studios and self._look is not None:
            await asyncio.wait([self._look], timeout=self._ttl_s)
        if self._studios is None:
            raise Overloaded("The number of replicas is not known yet.")
        return self._studios

    def require_hosts(self) -> None:
        """Raise `ReplicaLost` if a stage has nowhere to compute."""
        if self._missing:
            raise ReplicaLost(f"No replica of {', '.join(self._missing)} is up.")

    async def _look_at_replicas(self) -> None:
        try:
            status = await asyncio.to_thread(serve.status)
            deployments = status.applications[self._app_name].deployments
            self._studios = _at_work(deployments[STUDIO].replica_states)
            self.asleep = _is_asleep(deployments[STUDIO])
            self._missing = [
                host
                for host in self._hosts
                if not _at_work(deployments[host].replica_states) and deployments[host].status != "HEALTHY"
            ]
        except (RayError, RayServeException, KeyError):
            # The controller may be away for a moment; the last count is the best guess.
            log.warning("the number of replicas is not known", exc_info=True)
        finally:
            self._seen_at = time.monotonic()
            self._look = None


def _is_asleep(deployment: Any) -> bool:
    """Whether it has, or will soon have, no replica, and shall have none."""
    return set(deployment.replica_states) <= {"STOPPING"} and deployment.status in ("HEALTHY", "DOWNSCALING")


def _at_work(states: Mapping[Any, int]) -> int:
    return sum(count for state, count in states.items() if state in _AT_WORK)
