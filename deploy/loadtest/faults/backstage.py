"""A conductor in a thread of its own: striking and healing take up to a minute, and the run has other things to do."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from deploy.errors import ServiceFailed
from deploy.loadtest.faults.conductor import Conducting

_TICK_S = 0.2
#: The longest that healing takes: Serve gets its replicas back, or brokers their copies.
_HEAL_S = 180.0


class Backstage:
    """Lets a conductor work for the length of a block; at its end what is on is healed.

    The thread stays until the process ends: the consumers that it has started live no longer than it.
    """

    def __init__(self, conductor: Conducting) -> None:
        self._conductor = conductor
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)

    def check(self) -> None:
        """`ServiceFailed` where a fault could not be struck or healed."""
        if self._error is not None:
            raise ServiceFailed(f"the faults went wrong: {self._error}") from self._error

    def _run(self) -> None:
        self._attempt(self._play)
        self._attempt(self._conductor.heal)
        self._over.set()
        threading.Event().wait()

    def _play(self) -> None:
        while not self._stop.wait(_TICK_S):
            self._conductor.tick()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised again by `check`
            self._error = self._error or error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        healed = self._over.wait(_HEAL_S)
        if kind is None:
            self.check()
            if not healed:
                raise ServiceFailed(f"a fault could not be healed within {_HEAL_S:g} s")
