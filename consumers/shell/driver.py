"""Runs the engine for one Kafka client, and hands on what it wants from everybody but that client."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from kafka.structs import ConsumerGroupMetadata

from consumers.core import actions
from consumers.core.actions import Action, CancelItems, Outgoing, Publish, PublishDead, PublishRetry, Send, Supersede
from consumers.core.engine import Engine
from consumers.core.signals import Signal
from consumers.shell.inbox import Inbox
from consumers.shell.lease import Lease
from consumers.shell.notices import News

Watcher = Callable[[News], None]


class Serve(Protocol):
    """Who carries requests to Serve."""

    def send(self, request: Send) -> None:
        """Ask; never blocks."""

    def cancel(self, cancelled: CancelItems) -> None:
        """Forget these items; never blocks."""


class Publisher(Protocol):
    """Who carries messages to Kafka."""

    def put(self, outgoing: Outgoing) -> None:
        """Produce this; never blocks."""


class Transacting(Protocol):
    """Who carries out transactions."""

    busy: bool

    def put(self, transact: actions.Transact, group: ConsumerGroupMetadata) -> None:
        """Begin; the answer comes through the inbox, before `busy` falls."""


class Driver:
    """Every step happens under the lease, so a client that was replaced can make none."""

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        lease: Lease,
        *,
        clock: Callable[[], float],
        client: Serve,
        producer: Publisher,
        watchers: Sequence[Watcher],
    ) -> None:
        self.engine = engine
        self.lease = lease
        #: A transaction that the engine waits for and that nobody has begun; changed under the lease only.
        self.unhanded: int | None = None
        self._inbox = inbox
        self._clock = clock
        self._client = client
        self._producer = producer
        self._watchers = watchers

    def step(self, before: Iterable[Signal] = (), after: Iterable[Signal] = ()) -> list[Action]:
        """Tell the engine what happened, with the inbox in between; what is left for the consumer to do.

        Raise `LeaseLost` where another client has taken over.
        """
        left: list[Action] = []
        with self.lease:
            wanted = self.engine.handle(self._clock(), [*before, *self._inbox.drain(), *after])
            for action in wanted:
                match action:
                    case actions.Finished():
                        pass
                    case actions.Send():
                        self._client.send(action)
                    case actions.CancelItems():
                        self._client.cancel(action)
                    case Publish() | PublishDead() | PublishRetry() | Supersede():
                        self._producer.put(action)
                    case actions.Transact(txn_id):
                        self.unhanded = txn_id
                        left.append(action)
                    case _:
                        left.append(action)
        if self._watchers:
            for action in wanted:
                self.tell(action)
        return left

    @property
    def waiting(self) -> bool:
        """Whether signals are there that the engine has not heard of."""
        return self._inbox.waiting

    def put(self, signal: Signal) -> None:
        """Leave a signal for the next step, unless another client has taken over."""
        if self.lease.held:
            self._inbox.put(signal)

    def tell(self, news: News) -> None:
        """Tell logs and metrics."""
        for watch in self._watchers:
            watch(news)
