"""What a child process and its parent say to each other, over a Unix socket.

    parent -> child    Go | Stop
    child -> parent    Report, several times a second

The child collects what it sees and a thread of its own sends it: however long the parent is away, nothing waits and
nothing is lost. Values are pickled; both ends are the same program.
"""

import shutil
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from deploy.loadtest.measuring.observations import Observation

_EVERY_S = 0.1
#: A report is sent after this time even if there is nothing to say, so that the CPU time is known.
_SILENT_S = 1.0
#: Pickling holds the interpreter lock: about a millisecond for so many.
_MOST = 500
_FLUSH_S = 10.0


class Go(NamedTuple):
    """Time 0 of the schedule is at this time of CLOCK_MONOTONIC."""

    at_ns: int


class Stop(NamedTuple):
    """Come to an end; say what is left to be said."""


class Report(NamedTuple):
    """What a child has seen since its last one."""

    seen: list[Observation]
    #: CPU seconds of its process so far.
    cpu_s: float
    ready: bool
    finished: bool
    #: Process ids of children of its own that belong to the system under load.
    system: tuple[int, ...] = ()


class Threshold:
    """Where one child process connects: a socket in a folder that nobody else may enter."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vitrine-"))
        self.address = str(self._folder / "parent")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen(1)
        self._socket.settimeout(_EVERY_S)

    def accept(self, awaited: Callable[[], bool]) -> Connection | None:
        """The line to the child; None as soon as it is not `awaited` any more. Closes the threshold."""
        try:
            while awaited():
                try:
                    line, _ = self._socket.accept()
                except TimeoutError:
                    continue
                line.setblocking(True)
                return Connection(line.detach())
            return None
        finally:
            self._socket.close()
            shutil.rmtree(self._folder, ignore_errors=True)


class Outbox:
    """Collects observations, from any thread, and sends them to the parent."""

    def __init__(self, connection: Connection, finished: Callable[[], bool] = lambda: False) -> None:
        self._connection = connection
        self._finished = finished
        self._seen: deque[Observation] = deque()
        self._closed = threading.Event()
        self._said_at = 0.0
        self._said = (False, False)
        self.ready = False
        self.system: tuple[int, ...] = ()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        #: Never waits.
        self.put = self._seen.append

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Send what is left, as far as the parent takes it in time."""
        self._closed.set()
        self._thread.join(_FLUSH_S)

    def _run(self) -> None:
        # An OSError says that the parent has gone; whoever reads the orders ends the process then.
        try:
            while not self._closed.wait(_EVERY_S):
                self._send()
            self._send()
        except OSError:
            return

    def _send(self) -> None:
        # Asked before the observations are taken: what was seen before the end comes with it.
        state = (self.ready, self._finished())
        while self._seen or state != self._said or time.monotonic() - self._said_at > _SILENT_S:
            seen = [self._seen.popleft() for _ in range(min(_MOST, len(self._seen)))]
            last = not self._seen
            ready, finished = state
            self._connection.send(Report(seen, time.process_time(), ready, finished and last, self.system))
            self._said_at = time.monotonic()
            self._said = (ready, finished and last)
