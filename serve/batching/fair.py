"""Fair shares between tenants: start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) with equal weights.

Each tenant has a virtual time that grows with what it was given; the tenant with the least is next. One that comes
back after a rest starts at the present and not with what it saved up.
"""

from collections.abc import Iterable

#: Above this many tenants those that are not ahead of the present any more are forgotten.
_KEPT = 1024


class FairClock:
    """The tenants' virtual times. Pure."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ahead: dict[str, float] = {}

    def start_of(self, tenant: str) -> float:
        """The virtual time at which the tenant's next work starts."""
        return max(self._ahead.get(tenant, 0.0), self._now)

    def first(self, tenants: Iterable[str]) -> str:
        """The tenant that is next; of equals the one that is named first. Raise `ValueError` if there is none."""
        return min(tenants, key=self.start_of)

    def charge(self, tenant: str, amount: int) -> None:
        """The tenant was given so much."""
        self._ahead[tenant] = self.start_of(tenant) + amount

    def advance(self, waiting: Iterable[str]) -> None:
        """The present is where the tenant that waits with the least stands: nobody who waits loses by it."""
        self._now = max(self._now, min(map(self.start_of, waiting), default=self._now))
        if len(self._ahead) > _KEPT:
            self._ahead = {tenant: time for tenant, time in self._ahead.items() if time > self._now}
