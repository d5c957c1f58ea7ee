"""The right of one Kafka client's threads to touch what outlives the client: the engine, the inbox, the producer.

A client that hangs is replaced, but its threads cannot be ended: one may wake up hours later, in the middle of a turn.
Whatever it does then must change nothing. So all of that happens inside `with lease:`, which raises once the lease is
revoked. What happens inside never waits, so revoking it never waits for long.
"""

from threading import Lock


class LeaseLost(Exception):
    """Another client has taken over; leave, and touch nothing."""


class Lease:
    """Held from its birth until it is revoked."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held = True

    def __enter__(self) -> None:
        self._lock.acquire()
        if not self._held:
            self._lock.release()
            raise LeaseLost

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def held(self) -> bool:
        """Whether it was still held a moment ago."""
        return self._held

    def revoke(self) -> None:
        """Take it away; when this returns, nobody is inside, and nobody will be."""
        with self._lock:
            self._held = False
