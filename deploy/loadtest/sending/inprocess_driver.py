"""Events to a Studio without Ray, Kafka or HTTP. It lives in a process of its own, where it cannot delay the pacer."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Observation, Sent
from deploy.loadtest.sending.wire import Threshold
from deploy.loadtest.workload.planned import Planned
from deploy.services.processes import Child, tail

log = logging.getLogger(__name__)

#: Weights are loaded meanwhile.
_WARM_S = 180.0
_CLOSE_S = 10.0


class InProcessDriver:
    """A `Driver`; warm and close it in the main thread, by whose life the Studio's hangs."""

    def __init__(self, report: Callable[[Observation], None], log_file: Path) -> None:
        self._report = report
        self._queue: SimpleQueue[Planned | None] = SimpleQueue()
        self._handed = self._out = 0
        self._closing = False
        self._log_file = log_file
        self._child: Child | None = None

    def warm(self) -> None:
        """Start the Studio and wait until it is built."""
        threshold = Threshold()
        command = [sys.executable, "-m", "deploy.loadtest.sending.studio_host", threshold.address]
        self._child = child = Child("studio", command, log=self._log_file)
        child.start()
        connection = threshold.accept(child.running)
        child.wait_ready(lambda: connection is not None and connection.poll(), _WARM_S)
        try:
            assert connection is not None  # noqa: S101 - else it would not be ready
            connection.recv()
        except EOFError as error:
            raise ServiceFailed(f"the Studio ended before it was ready:\n{tail(self._log_file)}") from error
        for work in (self._write, self._read):
            threading.Thread(target=self._until_hung_up, args=(work, connection), daemon=True).start()

    @property
    def system(self) -> tuple[int, ...]:
        """Process id of the Studio."""
        record = None if self._child is None else self._child.record
        return () if record is None else (record.pid,)

    def send(self, event: Planned) -> None:
        """Hand it to the thread that writes."""
        self._report(Sent(event.number, time.monotonic_ns()))
        self._handed += 1
        self._queue.put(event)

    @property
    def pending(self) -> int:
        """Events that the Studio's process does not have yet."""
        return self._handed - self._out

    def close(self) -> None:
        """End the Studio."""
        self._closing = True
        if self._child is not None:
            self._queue.put(None)
            self._child.stop(_CLOSE_S)

    def _write(self, connection: Connection) -> None:
        while (event := self._queue.get()) is not None:
            connection.send(event)
            self._out += 1

    def _read(self, connection: Connection) -> None:
        while True:
            seen: Observation = connection.recv()
            self._report(seen)

    def _until_hung_up(self, work: Callable[[Connection], None], connection: Connection) -> None:
        try:
            work(connection)
        except (EOFError, OSError):
            if not self._closing:
                # Nothing would be answered any more. The parent shows the end of the log.
                log.critical("the Studio has gone:\n%s", tail(self._log_file))
                os._exit(1)
