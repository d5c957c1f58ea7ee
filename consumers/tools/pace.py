"""A limit to how fast something is done."""

#: What was missed for less than this is made up for.
_SLACK_S = 0.1


class Pace:
    """At most so many a second, evenly spread; None is no limit. Time is given, as everywhere where it is decided."""

    def __init__(self, per_s: float | None) -> None:
        self._step_s = 0.0 if per_s is None else 1.0 / per_s
        self._next_at = float("-inf")

    def due_in(self, now: float) -> float:
        """Seconds until the next one may go; 0 for now."""
        return max(0.0, self._next_at - now)

    def went(self, now: float) -> None:
        """One went."""
        self._next_at = max(self._next_at, now - _SLACK_S) + self._step_s
