"""The head-of-line detector: a partition whose window is full although all but its head is done (after uForwarder).

Without it one slow event would stop its whole partition once the window is used up.
"""

from collections.abc import Iterable

from consumers.core.limits import Limits
from consumers.core.task import Assignment, Place, Task

#: One that is ready goes next anyway, and one that is answered is on its way out.
_STUCK = frozenset((Place.LANE, Place.SLEEPING, Place.WITH_SERVE))
_FULL = 0.9
_OPEN = 0.02


class Heads:
    """Finds events to divert, no more often than the limits allow."""

    def __init__(self, limits: Limits, window_high: int) -> None:
        self._limits = limits
        self._full = _FULL * window_high
        self._next_at = 0.0

    def blocked(self, now: float, assignments: Iterable[Assignment]) -> Task | None:
        """The event to divert now, if any."""
        if now < self._next_at:
            return None
        for home in assignments:
            if self._is_full(home, now) and 0 < home.tracker.open <= max(1.0, _OPEN * home.tracker.tracked):
                head = next(iter(home.tasks.values()))
                if head.place in _STUCK:
                    self._next_at = now + self._limits.divert_every_s
                    return head
        return None

    def _is_full(self, home: Assignment, now: float) -> bool:
        waits_for_room = home.too_far is not None and now - home.too_far_since > self._limits.divert_every_s
        return waits_for_room or home.tracker.tracked > self._full
