"""What is known of the load at one moment. Values only: whoever reads them need not know where they come from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The load as all workers together tell it. Times of any monotonic clock, rates in events per second."""

    #: When it was looked at.
    at: float
    #: Events that are due and not done.
    backlog: float
    #: Those of them that are with Serve.
    in_flight: float = 0.0
    arrival_rate: float = 0.0
    #: Events that Serve brings to an end.
    service_rate: float = 0.0
    #: Those since the figures before; None where only the rate is known.
    served: float | None = None
    #: Age of the oldest event that waits.
    oldest_s: float = 0.0
    #: Whether the workers hold back because Serve, or what is behind it, refuses work.
    outage: bool = False
    #: Whether everybody who was heard of was heard of just now.
    complete: bool = True
