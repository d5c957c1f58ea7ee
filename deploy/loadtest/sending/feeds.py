"""The parent's handles of its child processes."""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Observation
from deploy.loadtest.sending.interface import GeneratorSpec, ReceiverSpec
from deploy.loadtest.sending.wire import Go, Report, Stop, Threshold
from deploy.services.processes import Child, ProcessRecord, start_mark, tail

#: Observations that wait to be read. With more of them it is the child that keeps the rest.
_MOST = 2_000_000
#: A child leaves its connections and says its last words.
_LEAVE_S = 20.0
_KILL_S = 5.0


class ChildFeed:
    """A child process and a thread that takes down what it reports. Start it from the main thread: see `Child`."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        """Its log is `NAME.log` in `folder`."""
        self.name = name
        self._threshold = Threshold()
        command = [sys.executable, "-m", module, self._threshold.address, *arguments]
        self._child = Child(name, command, env=env, log=folder.absolute() / f"{name}.log")
        self._line: Connection | None = None
        self._seen: deque[Observation] = deque()
        self._room = threading.Condition()
        self._last = Report([], 0.0, ready=False, finished=False)
        self._stopping = False
        #: No further report comes.
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name=f"from-{name}", daemon=True)

    def start(self) -> None:
        """Start it; returns at once."""
        self._child.start()
        self._thread.start()

    def ready(self) -> bool:
        """Whether it is connected and warm; raise `ServiceFailed` where it broke."""
        self._require()
        return self._last.ready

    def read(self) -> Sequence[Observation]:
        """What it has reported since the last call, without waiting; raise `ServiceFailed` where it broke."""
        with self._room:
            seen, self._seen = list(self._seen), deque()
            self._room.notify()
        if not seen:
            self._require()
        return seen

    def stop(self) -> None:
        """End it; what it reports last can still be read."""
        if self._child.record is None:
            return
        self._stopping = True
        self._say(Stop())
        deadline = time.monotonic() + _LEAVE_S
        while self._child.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._child.stop(_KILL_S)
        self._over.wait(_KILL_S)

    @property
    def cpu_s(self) -> float:
        """CPU seconds that it has used so far, as it last said: up to a second ago."""
        return self._last.cpu_s

    def processes(self) -> Mapping[str, Sequence[ProcessRecord]]:
        """The process under its name, and what it started of the system under load as `studio`."""
        found: dict[str, Sequence[ProcessRecord]] = {}
        if self._child.record is not None:
            found[self.name] = [self._child.record]
        marks = {pid: start_mark(pid) for pid in self._last.system}
        system = [ProcessRecord(name="studio", pid=pid, started=mark) for pid, mark in marks.items() if mark]
        return {**found, "studio": system} if system else found

    def _say(self, order: Go | Stop) -> None:
        try:
            if self._line is not None:
                self._line.send(order)
        except OSError:
            # It has gone; `ready` and `read` tell.
            return

    def _require(self) -> None:
        if self._over.is_set() and not self._stopping:
            raise ServiceFailed(f"{self.name} ended. The end of {self._child.log}:\n{tail(self._child.log)}")

    def _listen(self) -> None:
        try:
            line = self._line = self._threshold.accept(lambda: self._child.running() and not self._stopping)
            while line is not None:
                self._take(line.recv())
        except (EOFError, OSError):
            pass
        finally:
            self._over.set()

    def _take(self, report: Report) -> None:
        with self._room:
            self._room.wait_for(lambda: len(self._seen) < _MOST or self._stopping)
            self._seen.extend(report.seen)
            self._last = report


class Generator(ChildFeed):
    """A process that sends its share of the schedule."""

    def __init__(self, spec: GeneratorSpec, folder: Path) -> None:
        told = {
            "driver": spec.driver.value,
            "schedule": str(spec.schedule.absolute()),
            "shard": spec.shard,
            "shards": spec.shards,
            "folder": str(folder.absolute()),
        }
        name = f"generator-{spec.shard + 1}"
        super().__init__(name, "deploy.loadtest.sending.generator", [json.dumps(told)], spec.env, folder)

    def go(self, at_ns: int) -> None:
        """Send the event with time t of the schedule at CLOCK_MONOTONIC `at_ns` + t."""
        self._say(Go(at_ns))

    @property
    def finished(self) -> bool:
        """Whether all events of its share are sent, or could not be; their observations can be read by then."""
        return self._last.finished


class Receiver(ChildFeed):
    """The process that sees results and dead letters."""

    def __init__(self, spec: ReceiverSpec, folder: Path) -> None:
        super().__init__("receiver", "deploy.loadtest.sending.receiver", [spec.namespace], spec.env, folder)
