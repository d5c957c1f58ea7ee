"""Results and dead letters on their way to the broker. An event is done when its message is acknowledged, not before.

Every message has a token; an acknowledgement is accepted only while its token is known, so one that belongs to an
older assignment finds nothing to change. A message that failed is sent again until it is acknowledged: its event was
answered, and an answer must not be lost.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from consumers.core.actions import Publish, PublishDead
from consumers.core.task import Task


@dataclass(slots=True)
class Parcel:
    """A message that the broker has not acknowledged."""

    task: Task
    message: Publish | PublishDead
    failures: int = 0


class Outbox:
    """The messages under way, and those that wait to be sent again."""

    def __init__(self) -> None:
        self._parcels: dict[int, Parcel] = {}
        self._waiting: list[tuple[float, int]] = []
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def token(self) -> int:
        """A name for the next message."""
        self._tokens += 1
        return self._tokens

    def add(self, task: Task, message: Publish | PublishDead) -> None:
        """The message is being sent."""
        self._parcels[message.token] = Parcel(task, message)

    def acknowledged(self, token: int) -> Parcel | None:
        """The broker has it; None if nobody waits for it any more."""
        return self._parcels.pop(token, None)

    def failed(self, token: int) -> Parcel | None:
        """The broker does not have it; None if nobody waits for it any more."""
        parcel = self._parcels.get(token)
        if parcel is not None:
            parcel.failures += 1
        return parcel

    def wait(self, parcel: Parcel, until: float) -> None:
        """Send it again at this time."""
        heapq.heappush(self._waiting, (until, parcel.message.token))

    def due(self, now: float) -> list[Publish | PublishDead]:
        """The messages to send again now, each under a new token."""
        messages = []
        while self._waiting and self._waiting[0][0] <= now:
            parcel = self._parcels.pop(heapq.heappop(self._waiting)[1], None)
            if parcel is None:
                continue
            parcel.message = replace(parcel.message, token=self.token())
            self._parcels[parcel.message.token] = parcel
            messages.append(parcel.message)
        return messages

    def drop(self, tasks: Iterable[Task]) -> None:
        """Forget the messages of these tasks."""
        gone = set(map(id, tasks))
        for token in [token for token, parcel in self._parcels.items() if id(parcel.task) in gone]:
            del self._parcels[token]
