"""What to do about an error, as a value. The policy decides; it never sleeps, sends or counts.

Backoff with full jitter after Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from dataclasses import dataclass

from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo


@dataclass(frozen=True, slots=True)
class RetryNow:
    """Try again after a short wait in memory; an attempt is spent."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Try again after a long wait, in the retry topic of this tier; an attempt is spent."""

    delay_s: float
    tier: int


@dataclass(frozen=True, slots=True)
class Wait:
    """No room: send nothing for a while; no attempt is spent."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Give the event up."""

    code: str


RetryDecision = RetryNow | RetryLater | Wait | DeadLetter


@dataclass(frozen=True, slots=True)
class Tries:
    """How often an event was tried in vain, by the class of what went wrong."""

    transient: int = 0
    delayed: int = 0
    #: Those of the transient ones in which the answer stream broke or the try took too long.
    broken: int = 0

    @property
    def attempt(self) -> int:
        """Number of the next try, from 1."""
        return self.transient + self.delayed + 1

    def plus(self, retry: RetryClass, *, broken: bool = False) -> "Tries":
        """The count after one more failure of this class."""
        if retry is RetryClass.DELAYED:
            return Tries(self.transient, self.delayed + 1, self.broken)
        return Tries(self.transient + 1, self.delayed, self.broken + broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits and waits, in seconds."""

    max_attempts: int = 3
    base_s: float = 0.5
    cap_s: float = 20.0
    #: Waits before the second, third, ... try of an event with a delayed error.
    delayed_s: tuple[float, ...] = (30.0, 300.0, 1800.0)
    wait_base_s: float = 0.2
    wait_cap_s: float = 10.0

    def is_final(self, tries: Tries) -> bool:
        """Whether the next try is the last one."""
        return tries.transient >= self.max_attempts - 1 or tries.delayed >= len(self.delayed_s)

    def decide(self, error: ErrorInfo, tries: Tries, random: float, waits: int = 0) -> RetryDecision:
        """Treat an error of the next try after `tries` failed ones.

        `random` is uniform in 0..1; `waits` counts the back-pressure answers without a success between them.
        """
        match error.retry:
            case RetryClass.BACK_PRESSURE:
                return self.wait(waits, random, error.retry_after_s)
            case RetryClass.PERMANENT:
                return DeadLetter(error.code)
            case _ if self.is_final(tries):
                return DeadLetter(error.code)
            case RetryClass.TRANSIENT:
                delay = random * min(self.cap_s, self.base_s * 2.0**tries.transient)
                return RetryNow(max(delay, min(error.retry_after_s or 0.0, self.cap_s)))
            case RetryClass.DELAYED:
                return RetryLater(self.delayed_s[tries.delayed], tries.delayed)

    def wait(self, waits: int, random: float, retry_after_s: float | None = None) -> Wait:
        """How long to hold everything back; at least half of the full wait, so that a refused sender never spins."""
        full = min(self.wait_cap_s, self.wait_base_s * 2.0 ** min(waits, 30))
        return Wait(max(full * (1.0 + random) / 2.0, min(retry_after_s or 0.0, self.wait_cap_s)))
