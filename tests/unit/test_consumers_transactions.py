"""Transactions step by step over a fake Kafka: what each fate of a call becomes for the engine."""

import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest
from kafka import TopicPartition as KafkaPartition
from kafka.errors import CommitFailedError, KafkaError, OffsetMetadataTooLargeError, ProducerFencedError
from kafka.structs import ConsumerGroupMetadata

from consumers.core.actions import PublishDead, Transact
from consumers.core.signals import Transacted, TransactionFailed, TransactionUnknown
from consumers.core.tracker import Snapshot
from consumers.events import parse
from consumers.records import SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell.deadlines import DeadlinePassed, within
from consumers.shell.inbox import Inbox
from consumers.shell.notices import TransactionEnded
from consumers.shell.transactions import Transactions
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.fake_kafka import EndFate, FakeBroker, Hung, SendFate

TP = TopicPartition("new", 0)
DEAD = KafkaPartition("dead", 0)
OUTSIDE = ConsumerGroupMetadata(group_id="g")


class Clients:
    """What transactions need of Kafka, from the fake broker."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.discarded: list = []
        #: Raised by the next calls.
        self.faults: list[BaseException] = []

    def connect(self):
        if self.faults:
            raise self.faults.pop(0)
        producer = self.broker.producer(transactional_id="t", transaction_timeout_ms=20_000)
        producer.init_transactions()
        return producer

    def discard(self, producer) -> None:
        self.discarded.append(producer)
        producer.close()

    def committed(self, tps):
        if self.faults:
            raise self.faults.pop(0)
        found = {tp: self.broker.group("g").fetch(KafkaPartition(*tp), stable=True) for tp in tps}
        return {tp: Snapshot(one.offset, one.metadata) for tp, one in found.items() if one is not None}


def at_once(_seconds: float, work, _discard=None):
    """Runs the work here; what hangs in the fake has passed its deadline."""
    try:
        return work()
    except Hung as error:
        raise DeadlinePassed(str(error)) from None


@pytest.fixture
def broker() -> FakeBroker:
    broker = FakeBroker()
    for topic in ("new", "dead"):
        broker.create_topic(topic, 1)
    return broker


@pytest.fixture
def transactions(broker) -> Transactions:
    settings = ConsumerSettings(delivery="transactional", dead_topic="dead", group="g")
    told: list[TransactionEnded] = []
    made = Transactions(settings, Inbox(), tell=told.append, client=Clients(broker), within=at_once)
    made.told = told
    made.client = made._client
    return made


def transact(txn_id: int, offset: int, tokens: tuple[int, ...] = (1, 2), size: int = 3) -> Transact:
    record = SourceRecord(TP, offset, b"k", b"v" * size)
    error = ErrorInfo(code="c", retry=RetryClass.PERMANENT, message="m")
    messages = [PublishDead(token, record, parse(record), error, 1, 0.0, 0.0) for token in tokens]
    return Transact(txn_id, messages, {TP: Snapshot(offset, f"m{offset}")})


def visible(broker: FakeBroker) -> int:
    log = broker.log(DEAD)
    return len(log.read(0, 100, committed=True)[0])


def committed(broker: FakeBroker) -> int | None:
    found = broker.group("g").fetch(KafkaPartition(*TP), stable=True)
    return None if found is None else found.offset


def test_messages_and_offsets_become_visible_together(broker, transactions):
    assert transactions.carry_out(transact(1, 4), OUTSIDE) == Transacted(1)
    assert transactions.carry_out(transact(2, 6, (3,)), OUTSIDE) == Transacted(2)
    assert (visible(broker), committed(broker)) == (3, 6)
    assert [(end.result, end.messages) for end in transactions.told] == [("committed", 2), ("committed", 1)]
    assert len(broker.producers) == 1


def test_a_message_that_fails_alone_aborts_all_of_it(broker, transactions):
    transactions.carry_out(transact(1, 4), OUTSIDE)
    broker.producers[0].faults.sends.extend([SendFate.FINE, SendFate.NOT_LANDED])
    answer = transactions.carry_out(transact(2, 6), OUTSIDE)
    assert (type(answer), answer.txn_id, answer.too_large) == (TransactionFailed, 2, None)
    assert (visible(broker), committed(broker)) == (2, 4)
    assert transactions.carry_out(transact(3, 6), OUTSIDE) == Transacted(3)
    assert len(broker.producers) == 1


@pytest.mark.parametrize("fates", [[SendFate.TOO_LARGE], []])
def test_the_message_that_is_too_large_is_named(broker, transactions, fates):
    transactions.carry_out(transact(1, 4), OUTSIDE)
    broker.producers[0].faults.sends.extend(fates)
    answer = transactions.carry_out(transact(2, 6, (7, 8), size=3 if fates else 2_000_000), OUTSIDE)
    assert answer.too_large == 7
    assert (visible(broker), committed(broker)) == (2, 4)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (CommitFailedError(), False),
        (ProducerFencedError(), False),
        (Hung("for ever"), False),
        (KafkaError(f"Unexpected error in TxnOffsetCommitResponse: {OffsetMetadataTooLargeError()}"), True),
    ],
)
def test_what_fails_before_the_commit_has_failed_for_sure(broker, transactions, error, refused):
    transactions.carry_out(transact(1, 4), OUTSIDE)
    broker.producers[0].faults.offsets.append(error)
    answer = transactions.carry_out(transact(2, 6), OUTSIDE)
    assert (type(answer), answer.metadata_refused) == (TransactionFailed, refused)
    assert transactions.carry_out(transact(3, 6), OUTSIDE) == Transacted(3)
    assert (visible(broker), committed(broker)) == (4, 6)


@pytest.mark.parametrize(
    ("fate", "offset"), [(EndFate.COMMITTED, 6), (EndFate.ABORTED, 4), (EndFate.OPEN, 4), (EndFate.PREPARED, 6)]
)
def test_a_commit_without_an_answer_is_followed_by_what_the_broker_has(broker, transactions, fate, offset):
    transactions.carry_out(transact(1, 4), OUTSIDE)
    broker.producers[0].faults.ends.append(fate)
    if fate is EndFate.PREPARED:
        # A new producer of the name waits until the old one's transaction is at its end.
        connect = transactions.client.connect

        def later():
            broker.finish_prepared("t")
            return connect()

        transactions.client.connect = later
    answer = transactions.carry_out(transact(2, 6), OUTSIDE)
    assert isinstance(answer, TransactionUnknown)
    assert answer.committed == {TP: Snapshot(offset, f"m{offset}")}
    assert transactions.client.discarded == broker.producers[:1]
    assert transactions.told[-1].result == "unknown"


def test_what_became_of_it_is_asked_until_somebody_knows(broker, transactions, monkeypatch):
    monkeypatch.setattr("consumers.shell.transactions._AGAIN_S", 0.0)
    transactions.carry_out(transact(1, 4), OUTSIDE)
    broker.producers[0].faults.ends.append(EndFate.COMMITTED)
    transactions.client.faults = [KafkaError("no broker"), DeadlinePassed("slow"), KafkaError("no broker")]
    answer = transactions.carry_out(transact(2, 6), OUTSIDE)
    assert answer.committed == {TP: Snapshot(6, "m6")}
    assert transactions.client.faults == []


def test_a_call_that_hangs_before_the_commit_never_commits_when_it_comes_back():
    """On real threads: the producer hangs in `flush`, is given up, and goes on afterwards."""
    held, committed_late = threading.Event(), threading.Event()
    calls: list[str] = []

    class Producer:
        def __getattr__(self, name: str):
            return partial(self._call, name)

        def _call(self, name: str, *_: object, **__: object):
            calls.append(name)
            if name == "flush":
                held.wait(10)
            if name == "commit_transaction":
                committed_late.set()
            return SimpleNamespace(add_errback=print, exception=None)

    client = SimpleNamespace(connect=Producer, discard=lambda _: calls.append("discard"), committed=None)
    settings = ConsumerSettings(delivery="transactional", transaction_deadline_s=0.2)
    transactions = Transactions(settings, Inbox(), client=client)
    answer = transactions.carry_out(transact(1, 4), OUTSIDE)
    assert isinstance(answer, TransactionFailed)
    held.set()
    assert not committed_late.wait(0.5)
    assert calls[-1] == "abort_transaction"
    assert "discard" in calls


def test_the_answer_is_in_the_inbox_before_it_stops_being_busy(broker):
    inbox = Inbox()
    transactions = Transactions(ConsumerSettings(dead_topic="dead"), inbox, client=Clients(broker))
    transactions.start()
    transactions.put(transact(1, 4), OUTSIDE)
    deadline = time.monotonic() + 10
    while transactions.busy:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert inbox.drain() == [Transacted(1)]
    transactions.stop(5)


def test_a_deadline_gives_what_comes_in_time_and_discards_what_does_not():
    assert within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
    release, discarded = threading.Event(), threading.Event()
    with pytest.raises(DeadlinePassed):
        within(0.01, lambda: release.wait(10), lambda _: discarded.set())
    release.set()
    assert discarded.wait(10)
