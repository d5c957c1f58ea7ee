"""Where the other threads leave what happened, for the poll thread to pick up."""

from queue import Empty, SimpleQueue

from consumers.core.signals import Signal


class Inbox:
    """Many writers, one reader; the order of each writer is kept. Bounded by the engine's credit, not by itself."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Signal] = SimpleQueue()

    def put(self, signal: Signal) -> None:
        """Leave a signal; from any thread, never blocks."""
        self._queue.put(signal)

    @property
    def waiting(self) -> bool:
        """Whether anything is there."""
        return not self._queue.empty()

    def drain(self) -> list[Signal]:
        """Take everything that is there."""
        taken = []
        try:
            while True:
                taken.append(self._queue.get_nowait())
        except Empty:
            return taken
