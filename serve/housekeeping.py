"""Keeps the index from growing for ever: now and then, in a thread of its own, away from all that answers."""

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
        self, prune: Callable[[timedelta], int], keep: timedelta, *, every: timedelta = timedelta(hours=1)
    ) -> None:
        self._prune = prune
        self._keep = keep
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
            try:
                gone = self._prune(self._keep)
            except ServeError as error:
                log.warning("the index was not pruned", extra={"code": error.code, "reason": error.message})
            except Exception:
                log.exception("defect")
            else:
                log.info("index pruned", extra={"rows": gone})
