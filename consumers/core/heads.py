"""The head-of-line detector: a partition whose window is full although all but its head is done (after uForwarder).

Without it one slow event would stop its whole partition once the window is used up.
"""

from collections.abc import Iterable

from consumers.core.limits import Limits
from consumers.core.task import WAITING, Assignment, Place, Task

_FULL = 0.9
_DONE = 0.98


class Heads:
    """Finds events to divert, no more often than the limits allow."""

    def __init__(self, limits: Limits, window_high: int) -> None:
        self._limits = limits
        self._full = _FULL * window_high
        self._next_at = 0.0

    def blocked(self, now: float, assignments: Iterable[Assignment]) -> Task | None:
        """The event to divert now, if any. One that is answered already is on its way out."""
        if now < self._next_at:
            return None
        for home in assignments:
            tracked = home.tracker.tracked
            if tracked > self._full and tracked - home.tracker.open > _DONE * tracked:
                head = next(iter(home.tasks.values()))
                if head.place in WAITING or head.place is Place.WITH_SERVE:
                    self._next_at = now + self._limits.divert_every_s
                    return head
        return None
