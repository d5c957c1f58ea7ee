"""A consumer worker on this machine."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.services.interface import Endpoints
from deploy.services.processes import Child, ProcessRecord
from deploy.settings import DeploySettings

#: The worker has no port to ask: it counts as started when it has lived this long.
_SETTLED_S = 1.0


class Consumer:
    """One `python -m consumers` process."""

    def __init__(
        self, folder: Path, env: Mapping[str, str], settings: DeploySettings, *, number: int = 1, leash: bool = True
    ) -> None:
        self.name = f"consumer-{number}"
        self._settings = settings
        self._settled_at = 0.0
        self._child = Child(
            self.name,
            [sys.executable, "-m", "consumers"],
            env=env,
            log=folder.absolute() / f"{self.name}.log",
            leash=leash,
        )

    def start(self) -> None:
        """Start it; `ServiceFailed` if it ends at once."""
        self._settled_at = time.monotonic() + _SETTLED_S
        self._child.start()
        self._child.wait_ready(lambda: time.monotonic() >= self._settled_at, self._settings.start_timeout_s)

    def stop(self) -> None:
        """Let it finish what it works on, then stop it."""
        self._child.stop(self._settings.stop_timeout_s)

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        self._child.kill()

    def healthy(self) -> bool:
        """Whether it runs."""
        return self._child.running()

    def processes(self) -> Sequence[ProcessRecord]:
        """The worker."""
        return [self._child.record] if self._child.record else []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Nobody calls it, so there is nothing to add."""
        return endpoints
