"""Back-pressure that an event meets by itself: an outage, or its own fault?

From one event both look alike: the store is away, says the answer, and nothing was tried. In an outage nobody gets
through. Where others do while one event is refused for long, it is the event.
"""

from dataclasses import dataclass

from consumers.core.limits import Limits


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one event for a reason that only its own try showed."""

    count: int = 0
    #: Time of the first one, and how many events of this worker had got through by then.
    since: float = 0.0
    proofs: int = 0

    def plus(self, now: float, proofs: int) -> "Waits":
        """The count after one more wait."""
        return Waits(self.count + 1, self.since, self.proofs) if self.count else Waits(1, now, proofs)

    def stubborn(self, now: float, proofs: int, limits: Limits) -> bool:
        """Whether it is the event: it waited often and long, and others overtook it.

        When an outage begins, what is under way may still get through; more than that cannot. A window is larger than
        what can be under way, so an event that holds back its partition has been overtaken before the window is full.
        """
        return (
            self.count >= limits.stubborn_waits
            and now - self.since > limits.stubborn_after_s
            and proofs - self.proofs > limits.max_in_flight
        )
