"""Make things in a thread ahead of their use: the photos are drawn while the services start."""

import os
import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
_NICENESS = 10


class _End:
    """Marks the end; carries the error that ended the source, if one did."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class Prefetched(Generic[T]):
    """Iterates over the source, which runs in a thread at most `ahead` items in front; its error is raised here."""

    def __init__(self, source: Iterable[T], ahead: int = 64) -> None:
        self._items: queue.Queue[T | _End] = queue.Queue(ahead)
        threading.Thread(target=self._fill, args=(source,), name="prefetch", daemon=True).start()

    def _fill(self, source: Iterable[T]) -> None:
        with suppress(OSError):
            # On Linux a thread has a priority of its own: what works beside it goes first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        try:
            for item in source:
                self._items.put(item)
        except Exception as error:  # noqa: BLE001 - raised again where the items are used
            self._items.put(_End(error))
        else:
            self._items.put(_End())

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._items.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
