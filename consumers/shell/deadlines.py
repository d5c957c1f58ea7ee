"""Calls that may never return, with a deadline all the same."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

Value = TypeVar("Value")


class DeadlinePassed(Exception):
    """The call has not returned in time. Its thread is left behind; nobody waits for what it does from now on."""


def within(seconds: float, work: Callable[[], Value], discard: Callable[[Value], None] | None = None) -> Value:
    """What `work` returns or raises, on a thread of its own; `discard` takes what it returns too late."""
    call = _Call(work, discard)
    Thread(target=call.run, name="deadline", daemon=True).start()
    return call.result(seconds)


class _Call(Generic[Value]):
    def __init__(self, work: Callable[[], Value], discard: Callable[[Value], None] | None) -> None:
        self._work = work
        self._discard = discard
        self._answers: SimpleQueue[tuple[Value | None, BaseException | None]] = SimpleQueue()
        self._lock = Lock()
        self._late = False

    def run(self) -> None:
        try:
            value = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self._answers.put((None, error))
            return
        with self._lock:
            if not self._late:
                self._answers.put((value, None))
                return
        if self._discard is not None:
            self._discard(value)

    def result(self, seconds: float) -> Value:
        try:
            value, error = self._answers.get(timeout=max(seconds, 0.0))
        except Empty:
            with self._lock:
                self._late = self._answers.empty()
            if self._late:
                raise DeadlinePassed(f"no answer within {seconds:.1f} s") from None
            value, error = self._answers.get()
        if error is not None:
            raise error
        return value  # type: ignore[return-value]
