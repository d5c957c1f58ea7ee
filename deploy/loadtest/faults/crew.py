"""The consumers of a run: real processes, started, frozen, killed and replaced."""

import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.services.consumer import Consumer
from deploy.services.processes import ProcessRecord, alive, send_signal
from deploy.settings import DeploySettings

#: What no other worker may have: its number stands for `{}`.
Named = Mapping[str, str]


class ConsumerCrew:
    """Workers of one group, each with a number that no other ever had.

    They live no longer than the thread that started them (see `processes.Child`). Any thread may look at them.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], settings: DeploySettings, *, named: Named) -> None:
        """`named` holds variables in which `{}` stands for the worker's number."""
        self._folder = folder
        self._env = env
        self._settings = settings
        self._named = named
        self._workers: dict[str, Consumer] = {}
        self._asked: set[str] = set()
        self._killed: set[str] = set()
        self._starting: set[str] = set()
        self._started = 0
        # A conductor and whoever replaces the dead may start one at the same time.
        self._lock = threading.Lock()

    def start(self) -> str:
        """Start one more."""
        with self._lock:
            self._started += 1
            worker = self._make(self._started)
            # It is ours before it runs: one that fails half-way has a process too.
            self._starting.add(worker.name)
            self._workers[worker.name] = worker
        worker.start()
        self._starting.discard(worker.name)
        return worker.name

    def _make(self, number: int) -> Consumer:
        own = {name: value.format(number) for name, value in self._named.items()}
        return Consumer(self._folder, {**self._env, **own}, self._settings, number=number)

    def working(self) -> Sequence[str]:
        """Those that run and were not asked to stop."""
        left_out = self._asked | self._starting
        return [name for name, worker in self._all() if worker.healthy() and name not in left_out]

    def died(self) -> Sequence[str]:
        """Those that ended although nobody wanted it."""
        wanted = self._asked | self._killed | self._starting
        return [name for name, worker in self._all() if name not in wanted and not worker.healthy()]

    def records(self) -> list[ProcessRecord]:
        """The processes of all that were ever started; some have ended."""
        return [record for _, worker in self._all() for record in worker.processes()]

    def _all(self) -> list[tuple[str, Consumer]]:
        # A copy: another thread may start one meanwhile.
        return list(self._workers.items())

    def replace(self, name: str) -> str:
        """Start another one for a worker that died, as a supervisor would."""
        self._killed.add(name)
        return self.start()

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._killed.add(name)
        self._workers[name].kill()

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    def ask_to_stop(self, name: str) -> None:
        """SIGTERM."""
        self._asked.add(name)
        self._signal(name, signal.SIGTERM)

    def _signal(self, name: str, number: signal.Signals) -> None:
        for record in self._workers[name].processes():
            send_signal(record, number)

    def stop(self) -> None:
        """Stop all, the frozen too: first ask all, then wait for each."""
        for name in self._workers:
            self.thaw(name)
            self.ask_to_stop(name)
        for worker in self._workers.values():
            if any(map(alive, worker.processes())):
                worker.stop()
