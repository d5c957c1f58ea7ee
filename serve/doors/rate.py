"""How often somebody may come: a bucket of tokens that fills evenly. Pure; the clock is the caller's."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Lets `burst` through at once and `per_second` for long."""

    per_second: float
    burst: int
    _level: float = -1.0
    _seen_s: float = float("-inf")

    def __post_init__(self) -> None:
        self._level = float(self.burst)

    def take(self, now_s: float) -> float:
        """0 where one may pass, else the seconds until the next one may; whoever is refused costs nothing."""
        # A clock that went back fills nothing.
        passed_s = now_s - self._seen_s
        if passed_s > 0:
            self._level = min(float(self.burst), self._level + min(passed_s * self.per_second, self.burst))
            self._seen_s = now_s
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self.per_second
