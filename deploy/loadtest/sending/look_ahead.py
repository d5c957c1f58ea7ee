"""Reads a schedule some way ahead in a thread of its own, so that unpacking and parsing never delay an event."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Self

from deploy.loadtest.workload.schedule_file import Due

_EVENTS = 2_000
_LOOK_S = 0.1


class LookAhead(Iterator[Due]):
    """The same events; at most so many wait. What the source raises is raised where its events end."""

    def __init__(self, source: Iterator[Due], events: int = _EVENTS) -> None:
        self._source = source
        self._queue: Queue[Due | None] = Queue(events)
        self._fault: Exception | None = None
        self._filled = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="look-ahead", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def filled(self, timeout_s: float) -> bool:
        """Wait until as many as may wait do so, or all; False where that took longer."""
        return self._filled.wait(timeout_s)

    def close(self) -> None:
        """Read no further."""
        self._closed.set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Due:
        while not self._closed.is_set():
            try:
                due = self._queue.get(timeout=_LOOK_S)
            except Empty:
                continue
            if due is not None:
                return due
            # For whoever asks once more.
            self._queue.put(None)
            if self._fault is not None:
                raise self._fault
            break
        raise StopIteration

    def _read(self) -> None:
        try:
            for due in self._source:
                self._put(due)
                if self._closed.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - raised again where the events end
            self._fault = error
        self._put(None)
        self._filled.set()

    def _put(self, due: Due | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(due, timeout=_LOOK_S)
            except Full:
                self._filled.set()
            else:
                return
