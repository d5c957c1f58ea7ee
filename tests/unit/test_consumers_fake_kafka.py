"""The fake Kafka: the contract that it shares with the real one, and the faults that only it can do at will."""

from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RequestTimedOutError

from tests.support.fake_kafka import CommitFate, EndFate, FakeBroker, Hung, SendFate
from tests.support.kafka_contract import (
    POLL_MS,
    SESSION_MS,
    BrokerContract,
    GroupContract,
    Seen,
    SingleMemberContract,
    TransactionContract,
    at,
)
from tests.support.servers import unique


class FakeCluster:
    """The contract's view of the fake."""

    def __init__(self) -> None:
        self.broker = FakeBroker()

    def topic(self, partitions: int = 1) -> str:
        name = unique("topic")
        self.broker.create_topic(name, partitions)
        return name

    def consumer(self, **config: Any) -> Any:
        return self.broker.consumer(**{"session_timeout_ms": SESSION_MS, "enable_auto_commit": False, **config})

    def producer(self, **config: Any) -> Any:
        return self.broker.producer(**config)

    def poll(self, *consumers: Any) -> list[Any]:
        batches = [batch for consumer in consumers for batch in consumer.poll(timeout_ms=POLL_MS).values()]
        return [record for batch in batches for record in batch]

    def pass_time(self, seconds: float) -> None:
        self.broker.advance(seconds)

    def silence(self, consumer: Any) -> None:
        consumer.deaf = True

    def delete_topic(self, topic: str) -> None:
        self.broker.delete_topic(topic)

    def recreate_topic(self, topic: str) -> None:
        self.broker.create_topic(topic)

    def add_partitions(self, topic: str, total: int) -> None:
        self.broker.add_partitions(topic, total)

    def delete_records(self, tp: TopicPartition, before: int) -> None:
        self.broker.delete_records(tp, before)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


class TestFakeKafka(SingleMemberContract, BrokerContract, GroupContract, TransactionContract):
    """Everything."""


@pytest.fixture
def broker() -> FakeBroker:
    broker = FakeBroker()
    broker.create_topic("t", 2)
    return broker


TP = TopicPartition("t", 0)


def member(broker: FakeBroker, **config: Any) -> Any:
    consumer = broker.consumer("t", group_id="g", isolation_level="read_committed", **config)
    consumer.poll()
    assert TP in consumer.assignment()
    return consumer


@pytest.mark.parametrize(
    ("fate", "stored", "answer"),
    [
        (CommitFate.ANSWER_LOST, 5, RequestTimedOutError),
        (CommitFate.NOT_STORED, None, RequestTimedOutError),
        (CommitFate.NEVER, None, None),
        (CommitFate.STORED_NEVER, 5, None),
    ],
)
def test_a_commit_meets_its_fate(broker, fate, stored, answer):
    consumer, answers = member(broker), []
    consumer.faults.commits.append(fate)
    consumer.commit_async({TP: at(5)}, callback=lambda _, error: answers.append(type(error)))
    consumer.poll()
    assert consumer.committed(TP) == stored
    assert answers == ([] if answer is None else [answer])
    consumer.commit({TP: at(6)})
    assert consumer.committed(TP) == 6


def test_commits_that_are_delayed_arrive_in_order_or_not_at_all(broker):
    consumer, answers = member(broker), []
    consumer.faults.commits.append(CommitFate.DELAYED)
    for offset in (5, 6):
        consumer.commit_async({TP: at(offset)}, callback=lambda _, error: answers.append(error))
    with pytest.raises(KafkaTimeoutError):
        consumer.commit({TP: at(7)}, timeout_ms=1)
    assert consumer.committed(TP) is None
    consumer.release_commit()
    consumer.poll()
    assert (consumer.committed(TP), answers, consumer.delayed_commits) == (5, [None], 2)
    consumer.crash(commits_arrive=True)
    assert member_offset(broker) == 7


def member_offset(broker: FakeBroker) -> int | None:
    found = broker.group("g").fetch(TP, stable=False)
    return None if found is None else found.offset


def test_a_commit_that_arrives_after_its_member_was_replaced_is_refused(broker):
    consumer = member(broker, session_timeout_ms=SESSION_MS)
    consumer.faults.commits.append(CommitFate.DELAYED)
    future = consumer.commit_async({TP: at(5)})
    consumer.frozen = True
    broker.advance(7)
    assert member(broker).assignment() == {TP, TopicPartition("t", 1)}
    consumer.release_commit()
    assert future.failed()
    assert member_offset(broker) is None


def test_a_poll_and_a_look_at_commits_fail_as_told(broker):
    consumer = member(broker)
    consumer.faults.polls.append(KafkaError("poll"))
    consumer.faults.committed.append(KafkaTimeoutError("committed"))
    with pytest.raises(KafkaError, match="poll"):
        consumer.poll()
    with pytest.raises(KafkaTimeoutError, match="committed"):
        consumer.committed(TP)
    consumer.poll()


def test_messages_meet_their_fates(broker):
    producer, reader = broker.producer(), broker.consumer(auto_offset_reset="earliest")
    reader.assign([TP])
    producer.faults.sends.extend([SendFate.LANDED_BUT_FAILED, SendFate.NOT_LANDED, SendFate.TOO_LARGE])
    failed = [producer.send("t", b"%d" % n, partition=0).exception for n in range(3)]
    assert [type(error) for error in failed] == [RequestTimedOutError, RequestTimedOutError, MessageSizeTooLargeError]
    producer.faults.sends.append(SendFate.DELAYED)
    late = [producer.send("t", b"late%d" % n, partition=0) for n in range(2)]
    with pytest.raises(KafkaTimeoutError):
        producer.flush(1)
    producer.release()
    assert [future.is_done for future in late] == [True, False]
    producer.close()
    assert late[1].failed()
    assert [record.value for record in reader.poll()[TP]] == [b"0", b"late0"]


@pytest.mark.parametrize(
    ("fate", "seen_before", "seen_after"),
    [
        (EndFate.COMMITTED, True, True),
        (EndFate.ABORTED, False, False),
        (EndFate.PREPARED, False, True),
        (EndFate.OPEN, False, False),
    ],
)
def test_a_hanging_commit_of_a_transaction_meets_its_fate(broker, fate, seen_before, seen_after):
    consumer = member(broker, auto_offset_reset="earliest")
    producer = broker.producer(transactional_id="x")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send("t", b"1", partition=0)
    producer.send_offsets_to_transaction({TP: at(9)}, consumer.group_metadata())
    producer.faults.ends.append(fate)
    with pytest.raises(Hung):
        producer.commit_transaction()
    assert bool(consumer.poll()) is seen_before
    if fate in (EndFate.PREPARED, EndFate.OPEN):
        with pytest.raises(KafkaTimeoutError):
            consumer.committed(TP, timeout_ms=1)
        with pytest.raises(Hung):
            consumer.committed(TP)
    broker.producer(transactional_id="x").init_transactions()
    assert (bool(consumer.poll()) or seen_before) is seen_after
    assert consumer.committed(TP, timeout_ms=1) == (9 if seen_after else None)


def test_compaction_leaves_gaps_that_reading_passes_over(broker):
    producer, reader = broker.producer(), broker.consumer(auto_offset_reset="earliest")
    reader.assign([TP])
    for n in range(4):
        producer.send("t", b"%d" % n, partition=0)
    broker.compact(TP, [1, 3])
    assert [record.offset for record in reader.poll()[TP]] == [0, 2]
    assert reader.position(TP) == 4


def test_a_listener_that_fails_is_an_error_of_poll(broker):
    class Bad(Seen):
        async def on_partitions_assigned(self, assigned):
            raise ValueError("bad")

    consumer = broker.consumer(group_id="g", auto_offset_reset="earliest")
    consumer.subscribe(["t"], listener=Bad())
    with pytest.raises(KafkaError, match="callback"):
        consumer.poll()
    assert consumer.assignment()
