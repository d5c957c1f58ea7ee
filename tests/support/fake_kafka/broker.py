"""The broker: topics, groups, transactions, and a clock that only the test moves."""

from typing import Any

from kafka import TopicPartition
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from tests.support.fake_kafka.consumer import FakeConsumer
from tests.support.fake_kafka.group import Group
from tests.support.fake_kafka.log import PartitionLog
from tests.support.fake_kafka.producer import FakeProducer
from tests.support.fake_kafka.transactions import Transactions

_START_MS = 1_800_000_000_000
#: Members are heard at least this often while time passes, as the client's heartbeats do.
_HEARTBEAT_S = 1.0


class FakeBroker:
    """A cluster of one. Nothing happens by itself: time passes in `advance`, clients act when they are called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.topics: dict[str, list[PartitionLog]] = {}
        self.groups: dict[str, Group] = {}
        self.transactions = Transactions(self)
        #: Every client that was made, also those that are closed or dead.
        self.consumers: list[FakeConsumer] = []
        self.producers: list[FakeProducer] = []
        #: Largest message that it takes.
        self.max_message_bytes = 1_048_588

    @property
    def now_ms(self) -> int:
        """What new records are stamped with."""
        return _START_MS + int(self.now * 1000)

    def advance(self, seconds: float) -> None:
        """Let time pass: heartbeats are sent, who is silent for too long is removed."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + _HEARTBEAT_S)
            for consumer in self.consumers:
                consumer.beat()
            for group in self.groups.values():
                group.expire(self.now)
            self.transactions.expire(self.now)

    # -- clients --

    def consumer(self, *topics: str, **config: Any) -> FakeConsumer:
        """In place of `KafkaConsumer(*topics, **config)`."""
        self.consumers.append(FakeConsumer(self, *topics, **config))
        return self.consumers[-1]

    def producer(self, **config: Any) -> FakeProducer:
        """In place of `KafkaProducer(**config)`."""
        self.producers.append(FakeProducer(self, **config))
        return self.producers[-1]

    # -- what an administrator does --

    def create_topic(self, topic: str, partitions: int = 1) -> None:
        """Make a topic; one that was deleted begins at 0 again."""
        if topic in self.topics:
            raise TopicAlreadyExistsError
        self.topics[topic] = [PartitionLog() for _ in range(partitions)]

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with its records and the offsets that groups committed for it."""
        del self.topics[topic]
        for group in self.groups.values():
            group.forget(topic)

    def add_partitions(self, topic: str, total: int) -> None:
        """Raise the number of partitions."""
        logs = self.topics[topic]
        logs.extend(PartitionLog() for _ in range(total - len(logs)))

    def delete_records(self, tp: TopicPartition, before: int) -> None:
        """What retention does: the partition begins at `before` from now on."""
        self.log(tp).trim(before)

    def compact(self, tp: TopicPartition, offsets: list[int]) -> None:
        """What compaction does: these offsets are empty from now on."""
        self.log(tp).compact(offsets)

    def finish_prepared(self, transactional_id: str) -> None:
        """Make a transaction seen that was `EndFate.PREPARED`."""
        self.transactions.finish(transactional_id)

    # -- for clients and for looking inside --

    def find(self, tp: TopicPartition) -> PartitionLog | None:
        """The log of a partition, if there is one."""
        logs = self.topics.get(tp.topic, [])
        return logs[tp.partition] if tp.partition < len(logs) else None

    def log(self, tp: TopicPartition) -> PartitionLog:
        """The log of a partition; raise UnknownTopicOrPartitionError where there is none."""
        found = self.find(tp)
        if found is None:
            raise UnknownTopicOrPartitionError
        return found

    def count(self, topic: str) -> int | None:
        """Number of partitions of a topic."""
        logs = self.topics.get(topic)
        return None if logs is None else len(logs)

    def group(self, name: str) -> Group:
        """A group; it begins to exist when it is asked for."""
        if name not in self.groups:
            self.groups[name] = Group(name, self.count)
        return self.groups[name]
