"""One worker of a group in memory: the real engine, poller and transactions; Serve and Kafka are the test's."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from kafka.errors import MessageSizeTooLargeError, RequestTimedOutError

from consumers.core import actions, signals
from consumers.core.engine import Engine
from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell import consumer, transactions
from consumers.shell.deadlines import DeadlinePassed
from consumers.shell.inbox import Inbox
from consumers.shell.outgoing import Writer
from consumers.shell.poll import Poller
from consumers.shell.transactions import Attempt, TransactionalClient, Transactions
from tests.support.fake_kafka import EndFate, FakeConsumer, FakeProducer, Hung, SendFate
from tests.support.group_truth import Place

if TYPE_CHECKING:
    from tests.support.group_world import GroupWorld


class WatchedEngine(Engine):
    """Shows the world what it is told and what it wants."""

    worker: "GroupWorker"

    def handle(self, now: float, happened: Sequence[signals.Signal] = ()) -> list[actions.Action]:
        self.worker.lost = {tp for signal in happened if isinstance(signal, signals.Lost) for tp in signal.tps}
        try:
            for signal in happened:
                self.worker.hears(signal)
            wanted = super().handle(now, happened)
            for action in wanted:
                self.worker.wants(action)
        except Exception as error:
            self.worker.world.broken = error
            raise
        return wanted


class _Client(TransactionalClient):
    def __init__(self, settings: ConsumerSettings, world: "GroupWorld") -> None:
        super().__init__(settings)
        self._world = world

    def connect(self) -> FakeProducer:
        with patch.object(transactions, "KafkaProducer", self._world.broker.producer):
            return super().connect()  # type: ignore[return-value]

    def committed(self, tps: Any) -> dict[TopicPartition, Snapshot]:
        with patch.object(transactions, "KafkaConsumer", self._world.broker.consumer):
            return super().committed(tps)


def _within(_seconds: float, work: Callable[[], Any], _discard: Any = None) -> Any:
    try:
        return work()
    except Hung as hung:
        raise DeadlinePassed(str(hung)) from None


class GroupWorker:
    """A process. Nothing in it moves unless it is told to."""

    def __init__(self, world: "GroupWorld", settings: ConsumerSettings, seed: int) -> None:
        self.world = world
        self.settings = settings
        self.inbox = Inbox()
        self.engine = WatchedEngine(world.limits, settings.policy(), Random(seed))
        self.engine.worker = self
        self.producer = world.broker.producer()
        self.transactions: Transactions | None = None
        if settings.delivery == "transactional":
            self.transactions = Transactions(settings, self.inbox, client=_Client(settings, world), within=_within)
        self.frozen = False
        #: With Serve: requests, and their items by ref.
        self.requests: dict[int, dict[int, actions.Item]] = {}
        #: Messages that the broker has not acknowledged, by token.
        self.outbox: dict[int, actions.Outgoing] = {}
        #: Signals that come too late to mean anything.
        self.stale: list[signals.Signal] = []
        #: Offsets that were known to be done when a partition came.
        self.resumed: dict[TopicPartition, tuple[int | None, frozenset[int]]] = {}
        #: Partitions that were lost just now.
        self.lost: set[TopicPartition] = set()
        #: Events that Serve answered, while somebody waited for it.
        self.succeeded: set[Place] = set()
        self.poller = self._poller()
        self.poller.open()

    # -- the process --

    @property
    def client(self) -> FakeConsumer:
        assert isinstance(self.poller.consumer, FakeConsumer)
        return self.poller.consumer

    @property
    def owned(self) -> set[TopicPartition]:
        return set(self.engine.status().window_used)

    def turn(self) -> None:
        """One round of the poll thread; a worker that has stopped leaves."""
        self.poller.turn()
        if self.world.broken is not None:
            # Raised inside a listener, where the client makes an error of its own of it.
            raise self.world.broken
        self.world.check(self)
        if self.poller.stopped:
            self.poller.close()

    def crash(self, *, landed: bool) -> None:
        """Kill -9. What was on its way arrives, or not."""
        if landed:
            for token in list(self.outbox):
                self._land(self.outbox.pop(token))
        self.client.crash(commits_arrive=landed)
        if self.transaction is not None:
            self._die_in_transaction(landed=landed)

    def replace_client(self, *, leave: bool) -> None:
        """What the watchdog does with a client that hangs."""
        old = self.poller
        old.lease.revoke()
        self.client.cut(leave=leave)
        self.poller = self._poller()
        self.poller.take_over()
        if old.unhanded is not None:
            self.inbox.put(signals.TransactionFailed(old.unhanded, "the client was replaced"))
        self.poller.open()

    def _poller(self) -> Poller:
        broker = self.world.broker
        return Poller(
            self.settings,
            self.engine,
            self.inbox,
            client=self,
            producer=self,
            transactions=self.transactions,
            consumer_factory=self._connect,
            clock=lambda: broker.now,
            wall=lambda: broker.now_ms / 1000,
            sleep=lambda _: None,
        )

    def _connect(self, settings: ConsumerSettings) -> Any:
        with patch.object(consumer, "KafkaConsumer", self.world.broker.consumer):
            client = consumer.connect(settings)
        client.on_wait = self._wait
        return client

    def _wait(self, seconds: float) -> None:
        """The listener waits: for its commit, or for a transaction. They come to an end, or their time does."""
        if self.transaction is not None and self.world.transactions_end_in_time:
            self.end_transaction(EndFate.FINE)
        elif self.client.delayed_commits and self.world.transactions_end_in_time:
            self.client.release_commit()
        else:
            self.world.broker.advance(max(seconds, 0.5))

    # -- Serve (the poller's `client`) --

    def send(self, request: actions.Send) -> None:
        self.requests[request.request_id] = {item.ref: item for item in request.items}

    def cancel(self, cancelled: actions.CancelItems) -> None:
        for ref in cancelled.refs:
            item = self.requests.get(cancelled.request_id, {}).pop(ref, None)
            if item is None:
                # Its answer came already, and was not read yet.
                continue
            self.world.failures[self.place(item)] += 1
            self.stale.append(signals.Answered(self.world.good_line(item, real=False)))
        self._forget_empty()

    def tries(self) -> list[tuple[int, actions.Item]]:
        return [(request_id, item) for request_id, items in self.requests.items() for item in items.values()]

    def answer(self, request_id: int, ref: int, line: Any) -> None:
        item = self.requests[request_id].pop(ref)
        if line.kind == "result":
            self.succeeded.add(self.place(item))
        self._forget_empty()
        self.inbox.put(signals.Answered(line))

    def end_stream(self, request_id: int, kind: signals.Break | None) -> None:
        left = self.requests.pop(request_id)
        for item in left.values():
            if kind is not signals.Break.REFUSED:
                self.world.failures[self.place(item)] += 1
            self.stale.append(signals.Answered(self.world.good_line(item, real=False)))
        ended = signals.StreamEnded(request_id)
        self.inbox.put(ended if kind is None else signals.StreamBroken(request_id, kind, "broken"))

    def _forget_empty(self) -> None:
        for request_id in [number for number, items in self.requests.items() if not items]:
            del self.requests[request_id]

    @staticmethod
    def place(item: actions.Item) -> Place:
        return item.record.tp, item.record.offset

    # -- messages (the poller's `producer`) --

    def put(self, outgoing: actions.Outgoing) -> None:
        assert self.transactions is None, "a message outside of a transaction"
        assert outgoing.token not in self.outbox
        self.outbox[outgoing.token] = outgoing

    def acknowledge(self, token: int) -> None:
        self._land(self.outbox.pop(token))
        self.inbox.put(signals.Published(token))

    def refuse(self, token: int, *, permanent: bool, landed: bool) -> None:
        outgoing = self.outbox.pop(token)
        if landed and not permanent:
            self._land(outgoing)
        error = MessageSizeTooLargeError if permanent else RequestTimedOutError
        self.inbox.put(signals.PublishFailed(token, error.__name__, permanent))

    def forget_messages(self, parcels: set[int]) -> None:
        """These are no longer the engine's; the producer cannot be called back, so they land all the same."""
        for token in [token for token in self.outbox if token not in parcels]:
            self._land(self.outbox.pop(token))
            self.stale.append(signals.Published(token))

    def _land(self, outgoing: actions.Outgoing) -> None:
        topic, message = Writer(self.settings).message(outgoing)
        self.producer.send(topic, message.value, message.key, list(message.headers))

    # -- transactions --

    @property
    def transaction(self) -> tuple[actions.Transact, Any] | None:
        """The one that waits to be carried out."""
        if self.transactions is None or self.transactions._queue.empty():
            return None
        job = self.transactions._queue.get_nowait()
        self.transactions._queue.put(job)
        return job

    def end_transaction(self, fate: EndFate, send: SendFate = SendFate.FINE) -> None:
        """Carry it out as its thread would; the commit meets this fate."""
        assert self.transactions is not None
        job = self.transactions._queue.get_nowait()
        assert job is not None
        self._prepare(fate, send)
        self.inbox.put(self.transactions.carry_out(*job))
        self.transactions.busy = False

    def _prepare(self, fate: EndFate, send: SendFate) -> None:
        assert self.transactions is not None
        producer: Any = self.transactions._connected(float("inf"))
        producer.faults.ends.clear()
        producer.faults.sends.clear()
        producer.faults.ends.append(fate)
        producer.faults.sends.append(send)

    def _die_in_transaction(self, *, landed: bool) -> None:
        """The process dies while a transaction is under way: before its end was asked for, or after."""
        assert self.transactions is not None
        job = self.transactions._queue.get_nowait()
        assert job is not None
        self._prepare(EndFate.PREPARED if landed else EndFate.OPEN, SendFate.FINE)
        producer: Any = self.transactions._connected(float("inf"))
        with suppress(Hung, Exception):
            Attempt(job[0], job[1], Writer(self.settings)).run(producer, 1.0)

    # -- what the engine is told, and wants --

    def hears(self, signal: signals.Signal) -> None:
        if isinstance(signal, signals.Assigned):
            self.world.assigned(self, signal)

    def wants(self, action: actions.Action) -> None:
        self.world.wanted(self, action)
