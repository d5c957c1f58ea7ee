"""What events ended in, on its way to the broker. An event is done when its message is acknowledged, not before.

Every message has a token; an acknowledgement is accepted only while its token is known, so one that belongs to an
older assignment finds nothing to change. A message that failed is sent again until it is acknowledged: its event was
answered, and an answer must not be lost.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from consumers.core.actions import Outgoing, Supersede
from consumers.core.task import Place, Task


@dataclass(slots=True)
class Parcel:
    """A message that the broker has not acknowledged."""

    task: Task
    message: Outgoing
    failures: int = 0


class Outbox:
    """The messages that are to be sent, those under way, and those that wait to be sent again."""

    def __init__(self) -> None:
        self._parcels: dict[int, Parcel] = {}
        self._fresh: list[Parcel] = []
        self._waiting: list[tuple[float, int]] = []
        self._tokens = 0
        self._superseded = 0

    @property
    def answers(self) -> int:
        """Messages that took work: while they pile up no new work begins. Of superseded events there may be many."""
        return len(self._parcels) - self._superseded

    def __len__(self) -> int:
        return len(self._parcels)

    def token(self) -> int:
        """A name for the next message."""
        self._tokens += 1
        return self._tokens

    def add(self, task: Task, message: Outgoing) -> None:
        """The message is to be sent."""
        task.place = Place.ANSWERED
        self._put(Parcel(task, message))

    def take(self, now: float, most: int | None = None) -> list[Parcel]:
        """The messages to send now, in the order in which they were added; those to be sent again come last."""
        while self._waiting and self._waiting[0][0] <= now:
            parcel = self._remove(heapq.heappop(self._waiting)[1])
            if parcel is not None:
                self._renew(parcel)
        # One that was dropped meanwhile is still in the list, but no longer known.
        fresh = [parcel for parcel in self._fresh if self._parcels.get(parcel.message.token) is parcel]
        most = len(fresh) if most is None else most
        self._fresh = fresh[most:]
        return fresh[:most]

    def put_back(self, parcels: Iterable[Parcel]) -> None:
        """These were taken and not sent: they go first next time."""
        again = []
        for parcel in parcels:
            if self._remove(parcel.message.token) is parcel:
                parcel.message = replace(parcel.message, token=self.token())
                self._store(parcel)
                again.append(parcel)
        self._fresh[:0] = again

    @property
    def fresh(self) -> int:
        """How many could be taken, about."""
        return len(self._fresh)

    def acknowledged(self, token: int) -> Parcel | None:
        """The broker has it; None if nobody waits for it any more."""
        return self._remove(token)

    def failed(self, token: int) -> Parcel | None:
        """The broker does not have it; None if nobody waits for it any more."""
        parcel = self._parcels.get(token)
        if parcel is not None:
            parcel.failures += 1
        return parcel

    def wait(self, parcel: Parcel, until: float) -> None:
        """Send it again at this time."""
        heapq.heappush(self._waiting, (until, parcel.message.token))

    def drop(self, tasks: Iterable[Task]) -> None:
        """Forget the messages of these tasks."""
        gone = set(map(id, tasks))
        for token in [token for token, parcel in self._parcels.items() if id(parcel.task) in gone]:
            self._remove(token)

    def _renew(self, parcel: Parcel) -> None:
        parcel.message = replace(parcel.message, token=self.token())
        self._put(parcel)

    def _put(self, parcel: Parcel) -> None:
        self._store(parcel)
        self._fresh.append(parcel)

    def _store(self, parcel: Parcel) -> None:
        self._parcels[parcel.message.token] = parcel
        self._superseded += isinstance(parcel.message, Supersede)

    def _remove(self, token: int) -> Parcel | None:
        parcel = self._parcels.pop(token, None)
        self._superseded -= parcel is not None and isinstance(parcel.message, Supersede)
        return parcel
