"""The poll thread, step by step, over a fake Kafka and an engine that says what the test wants."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest
from kafka import TopicPartition as KafkaPartition
from kafka.errors import LogTruncationError, OffsetMetadataTooLargeError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata

from consumers.core import actions, signals
from consumers.core.retry import Tries
from consumers.core.tracker import Snapshot
from consumers.events import parse
from consumers.records import SourceRecord, TopicPartition
from consumers.retries import retry_record
from consumers.settings import ConsumerSettings
from consumers.shell.inbox import Inbox
from consumers.shell.lease import LeaseLost
from consumers.shell.notices import CommitRefused, LogMadeAnew, OffsetMissing, PollFailed, StartedOver, TopicChanged
from consumers.shell.poll import Poller
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.fake_kafka import FakeBroker
from tests.support.listing_events import structured_bytes

TP = TopicPartition("new", 0)
RETRY = "retry.30s"


class Told:
    """An engine that keeps what it is told; `wants` is what it says next."""

    def __init__(self) -> None:
        self.signals: list[signals.Signal] = []
        self.wants: list[actions.Action] = []
        self.busy = False

    def handle(self, _now: float, happened: Sequence[signals.Signal] = ()) -> list[actions.Action]:
        self.signals += happened
        wants, self.wants = self.wants, []
        return wants

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(window_used={TP: 1})

    def of(self, kind: type) -> list:
        return [signal for signal in self.signals if isinstance(signal, kind)]


class Bench:
    """A broker with a topic, and a poller that has joined."""

    def __init__(self, **settings: object) -> None:
        self.broker = FakeBroker()
        self.broker.create_topic("new", 1)
        self.broker.create_topic(RETRY, 1)
        self.engine = Told()
        self.inbox = Inbox()
        self.news: list = []
        self.begun: list = []
        self.naps: list[float] = []
        transactions = SimpleNamespace(busy=False, put=lambda *begun: self.begun.append(begun))
        self.settings = ConsumerSettings(group="g", topics=("new",), retry_topics=(RETRY,), **settings)
        self.poller = Poller(
            self.settings,
            self.engine,
            self.inbox,
            client=SimpleNamespace(send=print, cancel=print),
            producer=SimpleNamespace(put=print),
            transactions=transactions,
            watchers=(self.news.append,),
            consumer_factory=lambda settings: self.broker.consumer(
                group_id="g", auto_offset_reset="none", isolation_level=settings.isolation_level
            ),
            clock=lambda: self.broker.now,
            wall=lambda: self.broker.now_ms / 1000,
            sleep=self.naps.append,
        )

    def join(self) -> "Bench":
        self.poller.open()
        for _ in range(5):
            self.turn()
        assert {signal.tp for signal in self.engine.of(signals.Assigned)} >= {TP}
        return self

    def turn(self, *wants: actions.Action) -> None:
        self.engine.wants = list(wants)
        self.poller.turn()
        self.broker.advance(0.1)

    def write(self, count: int, tp: TopicPartition = TP) -> None:
        for number in range(count):
            self.broker.log(tp).append(self.broker.now_ms, None, structured_bytes(f"e{number}"))

    def commit(self, offset: int, metadata: str = "", tp: TopicPartition = TP) -> None:
        admin = self.broker.consumer(group_id="g")
        admin.commit({KafkaPartition(*tp): OffsetAndMetadata(offset, metadata, -1)})
        admin.close()

    def resume(self) -> None:
        """As the engine does after each assignment."""
        self.turn(actions.Resume([TP]))
        self.turn()

    @property
    def received(self) -> list[int]:
        return [record.offset for batch in self.engine.of(signals.Received) for record in batch.records]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.poller.close()


def test_what_was_committed_is_told_with_its_metadata_before_anything_is_fetched(bench):
    bench.write(5)
    bench.commit(2, "AQ==")
    bench.join()
    assert signals.Assigned(TP, 2, "AQ==") in bench.engine.signals
    assert bench.received == []
    bench.resume()
    assert bench.received == [2, 3, 4]


def test_an_offset_that_retention_took_away_is_told_and_it_goes_on_at_the_start_of_the_log(bench):
    bench.write(9)
    bench.commit(2)
    bench.broker.delete_records(KafkaPartition(*TP), 6)
    bench.join()
    bench.resume()
    bench.turn()
    assert bench.engine.of(signals.Repositioned) == [], "a gap: what is known of the log stays true"
    assert [news for news in bench.news if isinstance(news, OffsetMissing)] == [OffsetMissing(TP, 2, 6)]
    assert bench.received == [6, 7, 8]
    assert bench.naps == []


def test_an_offset_past_the_end_of_a_log_that_was_made_anew_goes_on_at_its_start(bench):
    bench.write(3)
    bench.commit(8)
    bench.join()
    bench.resume()
    bench.turn()
    assert bench.engine.of(signals.Repositioned) == [signals.Repositioned(TP, 0)]
    assert bench.received == [0, 1, 2]


@pytest.mark.parametrize(("known", "offset"), [(OffsetAndMetadata(3, "", 1), 3), (None, 0)])
def test_a_log_that_was_cut_goes_on_where_it_was_cut(bench, known, offset):
    bench.write(5)
    bench.join()
    bench.broker.consumers[-1].faults.polls.append(LogTruncationError({KafkaPartition(*TP): known}))
    bench.resume()
    assert bench.engine.of(signals.Repositioned) == [signals.Repositioned(TP, offset)]
    assert bench.received == list(range(offset, 5))


def test_a_topic_that_was_made_anew_unnoticed_is_read_from_its_start(bench, monkeypatch):
    ids = {"new": 1}
    monkeypatch.setattr("consumers.shell.kafka_internals.topic_id", lambda _consumer, topic: ids.get(topic))
    bench.write(3)
    bench.join()
    bench.resume()
    # The new log holds more than the old one, so the old position is a valid one.
    bench.write(2)
    ids["new"] = 2
    bench.broker.advance(2)
    bench.turn()
    bench.turn()
    assert bench.engine.of(signals.Repositioned) == [signals.Repositioned(TP, 0)]
    assert [news for news in bench.news if isinstance(news, LogMadeAnew)] == [LogMadeAnew(TP)]
    assert bench.received[-5:] == [0, 1, 2, 3, 4]
    bench.broker.advance(2)
    bench.turn()
    assert len(bench.engine.of(signals.Repositioned)) == 1


def test_latest_is_committed_at_once_and_holds_neither_for_retries_nor_for_partitions_that_come_later():
    bench = Bench(offset_reset="latest")
    bench.write(5)
    bench.write(2, TopicPartition(RETRY, 0))
    bench.join()
    assert bench.broker.group("g").fetch(KafkaPartition(*TP), stable=True).offset == 5
    bench.broker.add_partitions("new", 2)
    bench.write(4, TopicPartition("new", 1))
    bench.broker.advance(400)
    for _ in range(12):
        bench.turn()
    assigned = {signal.tp: signal.offset for signal in bench.engine.of(signals.Assigned)}
    assert assigned == {TP: 5, TopicPartition(RETRY, 0): 0, TopicPartition("new", 1): 0}


def test_a_record_says_when_the_poll_returned_it(bench):
    bench.write(2)
    bench.join()
    bench.turn(actions.Resume([TP]))
    polled_ms = bench.broker.now_ms
    bench.turn()
    (batch,) = bench.engine.of(signals.Received)
    received_ns = [record.received_ns for record in batch.records]
    assert received_ns == [pytest.approx(polled_ms * 1_000_000, abs=1e8)] * 2
    assert all(record.timestamp_ms < polled_ms for record in batch.records)


def test_a_retry_record_says_where_it_stood_and_when_it_is_due(bench):
    origin = SourceRecord(TP, 7, b"k", structured_bytes("e7"), (), 1)
    error = ErrorInfo(code="c", retry=RetryClass.DELAYED, message="m")
    retry = actions.PublishRetry(1, origin, parse(origin), error, Tries(0, 1, 0), 0.0, 0)
    message = retry_record(retry, 0.0, "1")
    tp = TopicPartition(RETRY, 0)
    bench.broker.log(tp).append(bench.broker.now_ms, message.key, message.value, message.headers)
    written_at = bench.broker.now
    bench.join()
    bench.turn(actions.Resume([tp]))
    bench.turn()
    (batch,) = bench.engine.of(signals.Received)
    (record,) = batch.records
    assert (record.tp, record.retried.origin.tp, record.retried.origin.offset) == (tp, TP, 7)
    assert record.retried.due_at == pytest.approx(written_at + 30, abs=0.01)
    assert record.retried.origin.received_ns == record.received_ns
    bench.turn(actions.Pause([tp]), actions.SeekBack(tp, 0))
    bench.turn(actions.Resume([tp]))
    bench.turn()
    assert len(bench.engine.of(signals.Received)) == 2


def test_a_commit_is_answered_and_a_refused_bitmap_is_told_as_such(bench):
    bench.join()
    bench.turn(actions.Commit(1, {TP: Snapshot(0, "")}))
    assert bench.poller.stall(0.0) is not None
    bench.turn()
    bench.turn(actions.Commit(2, {TP: Snapshot(0, "x" * 5000)}))
    bench.turn()
    bench.turn()
    assert signals.CommitDone(1) in bench.engine.signals
    (failed,) = bench.engine.of(signals.CommitFailed)
    assert (failed.commit_id, failed.metadata_refused) == (2, True)
    assert [news.error for news in bench.news if isinstance(news, CommitRefused)] == [
        OffsetMetadataTooLargeError.__name__
    ]


def test_a_transaction_is_begun_with_the_membership_of_now_and_never_without_one(bench, monkeypatch):
    bench.join()
    transact = actions.Transact(4, (), {TP: Snapshot(0, "")})
    bench.turn(transact)
    ((begun, group),) = bench.begun
    assert (begun, group.group_id) == (transact, "g")
    assert group.generation_id > 0
    outside = type(group)(group_id="g", generation_id=-1, member_id="")
    monkeypatch.setattr(bench.broker.consumers[-1], "group_metadata", lambda: outside)
    bench.turn(actions.Transact(5, (), {}))
    bench.turn()
    assert len(bench.begun) == 1
    assert bench.engine.of(signals.TransactionFailed) == [signals.TransactionFailed(5, "not a member of the group")]
    assert bench.poller.unhanded is None


def test_partitions_start_over_when_the_group_took_the_member_in_anew_without_a_word(bench, monkeypatch):
    bench.write(5)
    bench.join()
    consumer = bench.broker.consumers[-1]
    group = consumer.group_metadata()
    stranger = type(group)(group_id="g", generation_id=group.generation_id, member_id="somebody-else")
    consumer.commit({KafkaPartition(*TP): OffsetAndMetadata(3, "", -1)})
    monkeypatch.setattr(consumer, "group_metadata", lambda: stranger)
    bench.turn()
    lost = [set(signal.tps) for signal in bench.engine.of(signals.Lost)]
    assert lost == [{TP, TopicPartition(RETRY, 0)}]
    assert bench.engine.of(signals.Lost)[0].replaced
    assert bench.engine.of(signals.Assigned)[-2:].count(signals.Assigned(TP, 3)) == 1
    assert StartedOver(2) in bench.news
    bench.turn()
    assert len(bench.engine.of(signals.Lost)) == 1


def test_a_poller_without_its_lease_touches_nothing(bench):
    bench.join()
    told = len(bench.engine.signals)
    bench.inbox.put(signals.Published(1))
    bench.poller.lease.revoke()
    with pytest.raises(LeaseLost):
        bench.turn(actions.Commit(9, {}))
    assert len(bench.engine.signals) == told
    assert bench.inbox.drain() == [signals.Published(1)]


def test_a_transaction_that_a_lost_client_could_not_begin_is_known(bench, monkeypatch):
    bench.join()
    client = bench.broker.consumers[-1]
    group = client.group_metadata()

    calls = []

    def hangs_until_replaced():
        # The first call of a turn looks at the membership, the second one is for the transaction.
        calls.append(True)
        if len(calls) == 2:
            bench.poller.lease.revoke()
        return group

    monkeypatch.setattr(client, "group_metadata", hangs_until_replaced)
    monkeypatch.setattr(client, "poll", lambda **_: {})
    with pytest.raises(LeaseLost):
        bench.turn(actions.Transact(6, (), {}))
    assert bench.poller.unhanded == 6
    assert bench.begun == []


def test_a_poller_that_takes_over_tells_that_the_partitions_of_the_one_before_are_gone(bench):
    bench.poller.take_over()
    assert bench.engine.signals == [signals.Lost([TP], replaced=True)]
    bench.join()


def test_what_does_not_move_is_noticed(bench):
    bench.join()
    assert bench.poller.stall(5.0) is None
    bench.broker.now += 6
    assert "has not moved for 6 s" in bench.poller.stall(5.0)


def test_polls_that_fail_are_told_and_given_up_after_a_minute(bench):
    bench.join()
    faults = bench.broker.consumers[-1].faults.polls
    faults.extend(TopicAuthorizationFailedError({"new"}) for _ in range(60))
    for _ in range(59):
        bench.turn()
    assert bench.naps == [1.0] * 59
    with pytest.raises(TopicAuthorizationFailedError):
        bench.turn()
    assert {news.error for news in bench.news if isinstance(news, PollFailed)} == {"TopicAuthorizationFailedError"}


def test_topics_that_come_and_go_are_told_once_each(bench):
    bench.join()
    bench.broker.delete_topic("new")
    for _ in range(40):
        bench.turn()
    bench.broker.create_topic("new", 3)
    for _ in range(40):
        bench.turn()
    assert [news for news in bench.news if isinstance(news, TopicChanged) and news.topic == "new"] == [
        TopicChanged("new", "present", 1),
        TopicChanged("new", "missing", 0),
        TopicChanged("new", "present", 3),
    ]
