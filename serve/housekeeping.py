"""Forgets what is too old, in the index and elsewhere: now and then, in a thread away from all that answers."""

import logging
import random
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

from serve.errors import ServeError

log = logging.getLogger(__name__)


class Housekeeping:
    """Prunes about once an hour, at random moments, so that replicas that start together do not prune together."""

    def __init__(
        self,
        prune: Callable[[timedelta], int],
        keep: timedelta,
        *,
        every: timedelta = timedelta(hours=1),
        sources: Callable[[], int] | None = None,
    ) -> None:
        """`prune` is the index's; `sources` forgets the source photos whose time is over."""
        self._chores: dict[str, Callable[[], int]] = {"index": lambda: prune(keep)}
        if sources is not None:
            self._chores["sources"] = sources
        self._every_s = every.total_seconds()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin; the first round comes later, too."""
        self._thread.start()

    def stop(self) -> None:
        """Start no further round. One that runs is not waited for: its steps are short transactions."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(random.uniform(0, 2 * self._every_s)):  # noqa: S311 - spreads load, hides nothing
            for name, chore in self._chores.items():
                _do(name, chore)


def _do(name: str, chore: Callable[[], int]) -> None:
    try:
        gone = chore()
    except ServeError as error:
        log.warning("not pruned", extra={"what": name, "code": error.code, "reason": error.message})
    except Exception:
        log.exception("defect")
    else:
        log.info("pruned", extra={"what": name, "gone": gone})
