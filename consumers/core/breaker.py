"""The circuit breaker between this worker and Serve, with the store behind it (Nygard, Release It!, 2007).

Every refusal closes the gate for a while, longer each time. After a few in a row the breaker is open: nothing is
fetched, and when the gate's time is over one single event is let through as a probe. The first success closes it.
"""

from enum import StrEnum

#: Refusals in a row after which it is an outage, not a moment without room.
TRIP_AFTER = 3


class BreakerState(StrEnum):
    """For metrics and logs."""

    CLOSED = "closed"  #: work flows, at most after a short wait
    OPEN = "open"  #: an outage: nothing is sent
    HALF_OPEN = "half_open"  #: an outage: one event may try


class Breaker:
    """Counts refusals in a row and says whether anything may be sent."""

    def __init__(self) -> None:
        self._open_at = 0.0
        self._of_request = False
        #: Refusals since the last success.
        self.waits = 0

    @property
    def tripped(self) -> bool:
        """Whether it is an outage."""
        return self.waits >= TRIP_AFTER

    def passes(self, now: float) -> bool:
        """Whether anything may be sent."""
        return now >= self._open_at

    def state(self, now: float) -> BreakerState:
        """For metrics."""
        if not self.tripped:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self.passes(now) else BreakerState.OPEN

    def refused(self, now: float, delay_s: float, *, request: bool) -> None:
        """Serve refused a whole request, or an event for want of something behind it.

        Refusals of what was already under way do not make the wait longer.
        """
        if self.passes(now):
            self._open_at = now + delay_s
            self.waits += 1
            self._of_request = request

    def accepted(self) -> None:
        """Serve took a request. That ends the refusal of requests, but shows nothing of what is behind Serve."""
        if self._of_request:
            self.waits = 0

    def answered(self) -> None:
        """Serve answered an event."""
        self.waits = 0
