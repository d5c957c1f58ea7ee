"""What the consumers rely on in Kafka and its client, as tests over a small protocol.

They run over the real broker and over the fake, so the fake cannot claim what is not so; those that one member
without transactions can do run over the embedded broker as well.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import pytest
from kafka import TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetMetadataTooLargeError,
    OffsetOutOfRangeError,
    ProducerFencedError,
    RebalanceInProgressError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import MemberState, OffsetAndMetadata

from consumers.shell import kafka_internals
from tests.support.servers import unique

SESSION_MS = 6000
POLL_MS = 50


class Cluster(Protocol):
    """A broker, its administrator, and time. Clients are closed by it in the end."""

    def topic(self, partitions: int = 1) -> str:
        """A new topic of this number of partitions, or more."""

    def consumer(self, **config: Any) -> Any:
        """A consumer; `group_id` is given where it is one of a group."""

    def producer(self, **config: Any) -> Any: ...

    def poll(self, *consumers: Any) -> list[Any]:
        """Let these poll for `POLL_MS`, all at the same time; the records that came.

        At the same time, because kafka-python 3.0.12 forgets the outcome of a join that comes to its end between two
        polls and joins anew: two members that poll in turns keep each other rebalancing for ever.
        """

    def pass_time(self, seconds: float) -> None:
        """Nobody is called for so long; heartbeats go on."""

    def silence(self, consumer: Any) -> None:
        """Its heartbeats end, as if the process stood still."""

    def delete_topic(self, topic: str) -> None: ...

    def recreate_topic(self, topic: str) -> None: ...

    def add_partitions(self, topic: str, total: int) -> None: ...

    def delete_records(self, tp: TopicPartition, before: int) -> None: ...


class Seen(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what the group does; `last_words` is called with the partitions that are being revoked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, set[TopicPartition]]] = []
        self.consumer: Any = None
        self.owned_at_revoke: set[TopicPartition] = set()
        self.position_at_assign: set[bool] = set()
        self.commit_at_revoke: Callable[[set[TopicPartition]], dict[TopicPartition, OffsetAndMetadata]] | None = None

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.calls.append(("assigned", set(assigned)))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.calls.append(("revoked", set(revoked)))
        self.owned_at_revoke = set(self.consumer.assignment())
        if self.commit_at_revoke is not None:
            future = self.consumer.commit_async(self.commit_at_revoke(set(revoked)))
            await kafka_internals.wait_for(self.consumer, future, 5.0)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self.calls.append(("lost", set(lost)))

    def names(self) -> list[str]:
        return [what for what, _ in self.calls]


def at(offset: int, metadata: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, metadata, -1)


def stored(consumer: Any, tp: TopicPartition) -> int | None:
    """The committed offset, as it is now."""
    found = kafka_internals.committed(consumer, tp, 5000)
    return None if found is None else found.offset


class _Base:
    """What the tests do over and over."""

    @classmethod
    def join(cls, cluster: Cluster, topic: str, group: str, **config: Any) -> tuple[Any, Seen]:
        """A member that has not polled yet."""
        consumer, seen = cluster.consumer(group_id=group, **config), Seen()
        seen.consumer = consumer
        cls.learn(cluster, consumer, topic)
        consumer.subscribe([topic], listener=seen)
        return consumer, seen

    @staticmethod
    def learn(cluster: Cluster, consumer: Any, topic: str) -> None:
        """The embedded broker makes a topic when it is asked for it, and may need a second question."""
        for _ in range(50):
            if consumer.partitions_for_topic(topic):
                return
            cluster.pass_time(0.1)

    @staticmethod
    def until(cluster: Cluster, done: Callable[[], bool], *consumers: Any) -> list[Any]:
        """Poll these in turn until it is so; the records that came."""
        records: list[Any] = []
        for _ in range(600):
            records += cluster.poll(*consumers)
            if done():
                return records
            cluster.pass_time(0.005)
        raise AssertionError("it did not come about")

    @classmethod
    def read(cls, cluster: Cluster, consumer: Any, count: int) -> list[Any]:
        """So many records, and no more."""
        records: list[Any] = []
        for _ in range(200):
            for batch in consumer.poll(timeout_ms=POLL_MS).values():
                records += batch
            if len(records) >= count:
                break
            cluster.pass_time(0.02)
        assert len(records) == count
        return records

    @staticmethod
    def silent(consumer: Any) -> None:
        """Nothing comes."""
        for _ in range(6):
            assert not consumer.poll(timeout_ms=POLL_MS)

    @staticmethod
    def reader(cluster: Cluster, tp: TopicPartition, **config: Any) -> Any:
        """A consumer of one partition, in no group."""
        consumer = cluster.consumer(**{"auto_offset_reset": "earliest", **config})
        consumer.assign([tp])
        return consumer

    @staticmethod
    def write(producer: Any, tp: TopicPartition, *values: bytes) -> list[int]:
        """Their offsets."""
        futures = [producer.send(tp.topic, value, partition=tp.partition) for value in values]
        producer.flush(10)
        return [future.get(10).offset for future in futures]


class SingleMemberContract(_Base):
    """One member or none, no transactions. Inherit and give a fixture `cluster`."""

    def test_a_record_comes_as_it_was_sent(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        producer = cluster.producer()
        headers = [("a", b"1"), ("a", b""), ("b", b"\xff")]
        stamp = int(time.time() * 1000) - 1234
        sent = producer.send(tp.topic, b"value", key=b"key", headers=headers, partition=0, timestamp_ms=stamp)
        producer.send(tp.topic, None, key=b"key", partition=0)
        producer.flush(10)
        first, second = self.read(cluster, self.reader(cluster, tp), 2)
        assert (first.topic, first.partition, first.offset) == (*tp, sent.get(10).offset)
        assert (first.key, first.value, list(first.headers)) == (b"key", b"value", headers)
        assert first.timestamp == stamp
        assert (second.offset, second.value) == (first.offset + 1, None)

    def test_poll_gives_no_more_than_asked_for_and_position_follows(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        offsets = self.write(cluster.producer(), tp, *[b"%d" % n for n in range(5)])
        consumer = self.reader(cluster, tp)
        assert consumer.highwater(tp) is None
        while not (batch := consumer.poll(timeout_ms=POLL_MS, max_records=2)):
            pass
        # It may give fewer: what has come by then.
        got = [record.offset for record in batch[tp]]
        assert got == offsets[: len(got)]
        assert 1 <= len(got) <= 2
        assert consumer.position(tp) == offsets[len(got)]
        # Whatever end the broker told with it lies between what it gave and the end of the log.
        assert offsets[len(got) - 1] < consumer.highwater(tp) <= offsets[-1] + 1

    def test_a_paused_partition_gives_nothing_and_loses_nothing(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        consumer, producer = self.reader(cluster, tp), cluster.producer()
        self.write(producer, tp, b"1")
        self.read(cluster, consumer, 1)
        consumer.pause(tp)
        self.write(producer, tp, b"2")
        self.silent(consumer)
        assert consumer.paused() == {tp}
        consumer.resume(tp)
        assert [record.value for record in self.read(cluster, consumer, 1)] == [b"2"]

    def test_seek_moves_to_a_place_and_back(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        offsets = self.write(cluster.producer(), tp, b"1", b"2", b"3")
        consumer = self.reader(cluster, tp)
        self.read(cluster, consumer, 3)
        consumer.seek(tp, offsets[1])
        assert consumer.position(tp) == offsets[1]
        assert [record.value for record in self.read(cluster, consumer, 2)] == [b"2", b"3"]
        with pytest.raises(ValueError, match="Unassigned"):
            consumer.seek(TopicPartition(tp.topic, 77), 0)

    def test_the_ends_of_a_log_can_be_asked_for(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        consumer = self.reader(cluster, tp)
        assert (consumer.beginning_offsets([tp]), consumer.end_offsets([tp])) == ({tp: 0}, {tp: 0})
        self.write(cluster.producer(), tp, b"1", b"2")
        assert (consumer.beginning_offsets([tp]), consumer.end_offsets([tp])) == ({tp: 0}, {tp: 2})

    def test_the_end_of_a_paused_partition_can_be_asked_for_without_waiting(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        producer, consumer = cluster.producer(), self.reader(cluster, tp)
        self.write(producer, tp, b"1", b"2", b"3")
        self.read(cluster, consumer, 3)
        consumer.pause(tp)
        self.write(producer, tp, b"4", b"5")
        asked = kafka_internals.ask_for_ends(consumer, [tp])
        self.until(cluster, lambda: asked.is_done, consumer)
        assert asked.exception is None
        offsets, again = asked.value
        assert ({place: found.offset for place, found in offsets.items()}, again) == ({tp: 5}, set())
        assert kafka_internals.next_offset(consumer, tp) == 3
        assert kafka_internals.next_offset(consumer, TopicPartition(tp.topic, 77)) is None

    def test_where_to_begin_without_a_commit(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        self.write(cluster.producer(), tp, b"old")
        early, _ = self.join(cluster, tp.topic, unique("group"), auto_offset_reset="earliest")
        assert [record.value for record in self.read(cluster, early, 1)] == [b"old"]
        late, _ = self.join(cluster, tp.topic, unique("group"), auto_offset_reset="latest")
        self.until(cluster, lambda: tp in late.assignment(), late)
        assert late.position(tp, timeout_ms=5000) == 1
        early.close()
        late.close()

    def test_without_a_commit_and_a_rule_poll_says_so(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        consumer = self.reader(cluster, tp, group_id=unique("group"), auto_offset_reset="none")
        for _ in range(2):
            with pytest.raises(NoOffsetForPartitionError):
                consumer.poll(timeout_ms=2000)
        consumer.seek(tp, 0)
        self.silent(consumer)

    def test_an_offset_beyond_the_log_is_an_error_that_stays(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        self.write(cluster.producer(), tp, b"1")
        consumer = self.reader(cluster, tp, group_id=unique("group"), auto_offset_reset="none")
        consumer.seek(tp, 1000)
        for _ in range(2):
            with pytest.raises(OffsetOutOfRangeError) as found:
                self.until(cluster, lambda: False, consumer)
            assert found.value.args == ({tp: 1000},)
        consumer.seek(tp, 0)
        assert [record.value for record in self.read(cluster, consumer, 1)] == [b"1"]

    def test_a_commit_is_answered_in_a_later_call_and_keeps_its_metadata(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp, answers = TopicPartition(topic, 0), list[Any]()
        consumer, _ = self.join(cluster, topic, group, auto_offset_reset="earliest")
        self.until(cluster, lambda: tp in consumer.assignment(), consumer)
        assert kafka_internals.committed(consumer, tp, 5000) is None
        offsets = {tp: at(7, "bitmap")}
        consumer.commit_async(offsets, callback=lambda *answer: answers.append(answer))
        assert answers == []
        self.until(cluster, lambda: bool(answers), consumer)
        assert answers == [(offsets, None)]
        found = kafka_internals.committed(consumer, tp, 5000)
        assert (found.offset, found.metadata) == (7, "bitmap")
        assert stored(consumer, tp) == 7

    def test_an_answer_that_nobody_waited_for_is_given_to_who_asks_next(self, cluster: Cluster) -> None:
        """A defect of the client: the answer may be older than commits made since."""
        topic = cluster.topic()
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, unique("group"))
        self.until(cluster, lambda: tp in consumer.assignment(), consumer)
        # What the client itself asked while it looked for a place to begin.
        consumer.position(tp, timeout_ms=5000)
        kafka_internals.committed(consumer, tp, 5000)
        with pytest.raises(KafkaTimeoutError):
            consumer.committed(tp, timeout_ms=0)
        consumer.commit({tp: at(3)}, timeout_ms=5000)
        assert consumer.committed(tp, timeout_ms=5000) is None
        assert consumer.committed(tp, timeout_ms=5000) == 3
        with pytest.raises(KafkaTimeoutError):
            consumer.committed(tp, timeout_ms=0)
        consumer.commit({tp: at(4)}, timeout_ms=5000)
        assert kafka_internals.committed(consumer, tp, 5000).offset == 4

    def test_a_commit_may_go_back(self, cluster: Cluster) -> None:
        topic = cluster.topic()
        consumer, _ = self.join(cluster, topic, unique("group"))
        tp = TopicPartition(topic, 0)
        self.until(cluster, lambda: tp in consumer.assignment(), consumer)
        for offset in (9, 3):
            consumer.commit({tp: at(offset)}, timeout_ms=5000)
        assert stored(consumer, tp) == 3

    def test_a_new_consumer_goes_on_from_the_commit(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp = TopicPartition(topic, 0)
        self.write(cluster.producer(), tp, b"1", b"2", b"3")
        for expected in ([b"1", b"2", b"3"], [b"3"]):
            consumer, _ = self.join(cluster, topic, group, auto_offset_reset="earliest")
            assert [record.value for record in self.read(cluster, consumer, len(expected))] == expected
            consumer.commit({tp: at(2)}, timeout_ms=5000)
            consumer.close()

    def test_the_listener_hears_of_partitions_inside_poll_and_may_commit_when_they_go(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp = TopicPartition(topic, 0)
        consumer, seen = self.join(cluster, topic, group)
        assert seen.calls == []
        self.until(cluster, lambda: bool(seen.calls), consumer)
        (what, assigned), *more = seen.calls
        assert (what, more) == ("assigned", [])
        assert tp in assigned == consumer.assignment()
        seen.commit_at_revoke = lambda tps: {each: at(5, "last") for each in tps}
        consumer.close()
        assert seen.calls[1:] == [("revoked", assigned)]
        second, _ = self.join(cluster, topic, group)
        found = kafka_internals.committed(second, tp, 5000)
        assert (found.offset, found.metadata) == (5, "last")

    def test_a_paused_partition_gives_nothing_before_its_commit_is_read(self, cluster: Cluster) -> None:
        topic = cluster.topic()
        tp = TopicPartition(topic, 0)
        self.write(cluster.producer(), tp, b"1")

        class Pausing(Seen):
            async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
                self.consumer.pause(*assigned)
                await super().on_partitions_assigned(assigned)

        consumer, seen = cluster.consumer(group_id=unique("group"), auto_offset_reset="earliest"), Pausing()
        seen.consumer = consumer
        self.learn(cluster, consumer, topic)
        consumer.subscribe([topic], listener=seen)
        assert self.until(cluster, lambda: bool(seen.calls), consumer) == []
        self.silent(consumer)
        consumer.resume(tp)
        assert len(self.read(cluster, consumer, 1)) == 1


class BrokerContract(_Base):
    """One member or none, of a broker that has more than the embedded one."""

    def test_metadata_have_a_limit_and_the_other_partitions_are_stored(self, cluster: Cluster) -> None:
        topic = cluster.topic(2)
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        consumer, _ = self.join(cluster, topic, unique("group"))
        self.until(cluster, lambda: len(consumer.assignment()) == 2, consumer)
        consumer.commit({first: at(1, "m" * 4096)}, timeout_ms=5000)
        with pytest.raises(OffsetMetadataTooLargeError):
            consumer.commit({first: at(2, "m" * 4097), second: at(3)}, timeout_ms=5000)
        assert (stored(consumer, first), stored(consumer, second)) == (1, 3)

    def test_a_partition_that_is_not_there_costs_the_others_nothing(self, cluster: Cluster) -> None:
        topic = cluster.topic()
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, unique("group"))
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        failed = consumer.commit_async({TopicPartition(topic, 7): at(2), tp: at(3)})
        self.until(cluster, lambda: failed.is_done, consumer)
        assert isinstance(failed.exception, UnknownTopicOrPartitionError)
        assert stored(consumer, tp) == 3

    def test_what_retention_took_is_out_of_range(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        self.write(cluster.producer(), tp, *[b"%d" % n for n in range(5)])
        cluster.delete_records(tp, 3)
        consumer = self.reader(cluster, tp, group_id=unique("group"), auto_offset_reset="none")
        consumer.seek(tp, 1)
        with pytest.raises(OffsetOutOfRangeError) as found:
            self.until(cluster, lambda: False, consumer)
        assert found.value.args == ({tp: 1},)
        assert consumer.beginning_offsets([tp]) == {tp: 3}
        consumer.seek(tp, 3)
        assert [record.value for record in self.read(cluster, consumer, 2)] == [b"3", b"4"]
        jumping = self.reader(cluster, tp)
        jumping.seek(tp, 1)
        assert [record.offset for record in self.read(cluster, jumping, 2)] == [3, 4]

    def test_a_topic_made_anew_has_no_commits_and_begins_at_zero(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp = TopicPartition(topic, 0)
        self.write(cluster.producer(), tp, b"old", b"old")
        consumer, _ = self.join(cluster, topic, group)
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        consumer.commit({tp: at(2)}, timeout_ms=5000)
        consumer.close()
        cluster.delete_topic(topic)
        cluster.recreate_topic(topic)
        self.write(cluster.producer(), tp, b"new")
        second, _ = self.join(cluster, topic, group, auto_offset_reset="earliest")
        record = self.read(cluster, second, 1)[0]
        assert (record.offset, record.value) == (0, b"new")
        assert stored(second, tp) is None

    def test_a_deleted_topic_is_taken_away_and_cannot_be_committed(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp = TopicPartition(topic, 0)
        consumer, seen = self.join(cluster, topic, group, metadata_max_age_ms=500)
        self.until(cluster, lambda: bool(seen.calls), consumer)
        cluster.delete_topic(topic)
        failed = consumer.commit_async({tp: at(1)})
        self.until(cluster, lambda: failed.is_done, consumer)
        assert isinstance(failed.exception, UnknownTopicOrPartitionError)
        self.until(cluster, lambda: not consumer.assignment(), consumer)
        assert seen.names() == ["assigned", "revoked"]

    def test_new_partitions_are_noticed_and_the_old_ones_stay(self, cluster: Cluster) -> None:
        topic = cluster.topic()
        consumer, seen = self.join(cluster, topic, unique("group"), metadata_max_age_ms=500)
        self.until(cluster, lambda: bool(seen.calls), consumer)
        cluster.add_partitions(topic, 3)
        self.until(cluster, lambda: len(consumer.assignment()) == 3, consumer)
        new = {TopicPartition(topic, 1), TopicPartition(topic, 2)}
        assert seen.calls == [("assigned", {TopicPartition(topic, 0)}), ("assigned", new)]

    def test_a_member_that_did_not_poll_in_time_loses_everything(self, cluster: Cluster) -> None:
        topic = cluster.topic()
        tp = TopicPartition(topic, 0)
        consumer, seen = self.join(cluster, topic, unique("group"), max_poll_interval_ms=SESSION_MS)
        self.until(cluster, lambda: bool(seen.calls), consumer)
        cluster.pass_time(SESSION_MS / 1000 + 3.2)
        with pytest.raises(CommitFailedError):
            consumer.commit({tp: at(1)}, timeout_ms=5000)
        assert seen.names() == ["assigned"]
        self.until(cluster, lambda: len(seen.calls) == 3, consumer)
        assert seen.names() == ["assigned", "lost", "assigned"]
        assert stored(consumer, tp) is None


class GroupContract(_Base):
    """Two members."""

    def pair(self, cluster: Cluster, topic: str, group: str, **config: Any) -> tuple[Any, Seen, Any, Seen]:
        """A member that has everything, and one that is about to join."""
        first, seen = self.join(cluster, topic, group, **config)
        self.until(cluster, lambda: len(first.assignment()) == 4, first)
        return first, seen, *self.join(cluster, topic, group, **config)

    def balance(self, cluster: Cluster, first: Any, second: Any) -> None:
        def calm() -> bool:
            shared = len(first.assignment()) == len(second.assignment()) == 2
            return shared and {c.group_metadata().state for c in (first, second)} == {MemberState.STABLE}

        self.until(cluster, calm, first, second)

    def test_partitions_move_in_two_steps_and_the_others_stay(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(4), unique("group")
        first, seen_first, second, seen_second = self.pair(cluster, topic, group)
        before = first.group_metadata()
        assert (before.group_id, before.state, bool(before.member_id)) == (group, MemberState.STABLE, True)
        together: list[set[TopicPartition]] = []

        def done() -> bool:
            together.append(first.assignment() & second.assignment())
            return len(first.assignment()) == len(second.assignment()) == 2

        self.until(cluster, done, first, second)
        assert not any(together)
        assert first.assignment() | second.assignment() == {TopicPartition(topic, n) for n in range(4)}
        moved = second.assignment()
        assert seen_first.calls[1:] == [("revoked", moved)]
        assert seen_first.owned_at_revoke == first.assignment()
        assert seen_second.calls == [("assigned", moved)]
        after = first.group_metadata()
        assert (after.generation_id, after.member_id) == (second.group_metadata().generation_id, before.member_id)
        assert after.generation_id >= before.generation_id + 2

    def test_what_is_committed_at_the_last_moment_is_what_the_next_owner_reads(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(4), unique("group")
        first, seen, second, _ = self.pair(cluster, topic, group)
        seen.commit_at_revoke = lambda tps: {tp: at(40 + tp.partition, "last") for tp in tps}
        self.balance(cluster, first, second)
        for tp in second.assignment():
            found = kafka_internals.committed(second, tp, 5000)
            assert (found.offset, found.metadata) == (40 + tp.partition, "last")

    def test_a_member_that_was_not_asked_yet_may_commit_and_one_that_waits_may_not(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(4), unique("group")
        first, seen, second, _ = self.pair(cluster, topic, group)
        tp = TopicPartition(topic, 0)
        for _ in range(4):
            assert second.poll(timeout_ms=POLL_MS) == {}
        first.commit({tp: at(3)}, timeout_ms=5000)
        assert seen.names() == ["assigned"]
        with pytest.raises(RebalanceInProgressError):
            second.commit({tp: at(9)}, timeout_ms=0)
        assert stored(first, tp) == 3

    def test_what_a_closed_member_had_goes_to_the_other(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(4), unique("group")
        first, seen_first, second, seen_second = self.pair(cluster, topic, group)
        self.balance(cluster, first, second)
        had = first.assignment()
        first.close()
        assert seen_first.calls[-1] == ("revoked", had)
        self.until(cluster, lambda: len(second.assignment()) == 4, second)
        assert seen_second.calls[1:] == [("assigned", had)]

    def test_a_silent_member_is_replaced_and_what_it_says_later_is_refused(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(4), unique("group")
        first, seen, second, _ = self.pair(cluster, topic, group)
        self.balance(cluster, first, second)
        had, stale = first.assignment(), first.group_metadata()
        cluster.silence(first)
        for _ in range(8):
            cluster.pass_time(1.0)
            second.poll(timeout_ms=POLL_MS)
        self.until(cluster, lambda: len(second.assignment()) == 4, second)
        tp = min(had)
        second.commit({tp: at(5)}, timeout_ms=5000)
        assert first.assignment() == had
        with pytest.raises(CommitFailedError):
            first.commit({tp: at(99)}, timeout_ms=5000)
        assert stored(second, tp) == 5
        producer = cluster.producer(transactional_id=unique("txn"))
        producer.init_transactions()
        producer.begin_transaction()
        with pytest.raises(CommitFailedError):
            producer.send_offsets_to_transaction({tp: at(99)}, stale)
        producer.abort_transaction()
        self.until(cluster, lambda: "lost" in seen.names(), first, second)
        assert dict(seen.calls)["lost"] == had

    def test_a_static_member_comes_back_without_a_rebalance_and_fences_its_past(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(4), unique("group")
        first, _ = self.join(cluster, topic, group, group_instance_id="one")
        self.until(cluster, lambda: len(first.assignment()) == 4, first)
        second, seen_second = self.join(cluster, topic, group, group_instance_id="two")
        self.balance(cluster, first, second)
        had, before, calls = first.assignment(), second.group_metadata(), len(seen_second.calls)
        again, seen_again = self.join(cluster, topic, group, group_instance_id="one")
        self.until(cluster, lambda: again.assignment() == had, again, second)
        assert seen_again.calls == [("assigned", had)]
        assert again.group_metadata().generation_id == before.generation_id
        assert again.group_metadata().member_id != first.group_metadata().member_id
        assert len(seen_second.calls) == calls
        with pytest.raises(FencedInstanceIdError):
            first.commit({min(had): at(99)}, timeout_ms=5000)
        again.close()
        self.silent(second)
        assert len(seen_second.calls) == calls

    def test_a_static_member_that_died_between_the_two_steps_leaves_partitions_to_nobody(
        self, cluster: Cluster
    ) -> None:
        """Nobody joins because of it, and what it gave up stays without an owner until somebody does."""
        topic, group = cluster.topic(4), unique("group")
        first, seen = self.join(cluster, topic, group, group_instance_id="one")
        self.until(cluster, lambda: len(first.assignment()) == 4, first)
        second, _ = self.join(cluster, topic, group, group_instance_id="two")
        self.until(cluster, lambda: "revoked" in seen.names(), first, second)
        cluster.silence(first)
        again, _ = self.join(cluster, topic, group, group_instance_id="one")
        self.until(cluster, lambda: len(again.assignment()) == 2, again, second)
        for _ in range(8):
            cluster.poll(again, second)
        assert not second.assignment()
        kafka_internals.rejoin(again)
        self.until(cluster, lambda: len(second.assignment()) == 2, again, second)
        assert again.assignment().isdisjoint(second.assignment())


class TransactionContract(_Base):
    """Transactions: what is visible when, and who may write."""

    def begin(self, cluster: Cluster, transactional_id: str | None = None, **config: Any) -> Any:
        producer = cluster.producer(transactional_id=transactional_id or unique("txn"), **config)
        producer.init_transactions()
        producer.begin_transaction()
        return producer

    def test_nothing_of_an_open_transaction_is_seen_and_nothing_behind_it(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        committed = self.reader(cluster, tp, isolation_level="read_committed")
        uncommitted = self.reader(cluster, tp, isolation_level="read_uncommitted")
        transactional = self.begin(cluster)
        self.write(transactional, tp, b"in")
        self.write(cluster.producer(), tp, b"behind")
        assert [r.value for r in self.read(cluster, uncommitted, 2)] == [b"in", b"behind"]
        self.silent(committed)
        assert committed.end_offsets([tp]) == {tp: 0}
        assert uncommitted.end_offsets([tp]) == {tp: 2}
        transactional.commit_transaction()
        assert [(r.offset, r.value) for r in self.read(cluster, committed, 2)] == [(0, b"in"), (1, b"behind")]
        # The marker takes an offset that nobody gets.
        assert self.write(cluster.producer(), tp, b"next") == [3]
        assert [r.offset for r in self.read(cluster, committed, 1)] == [3]

    def test_what_is_aborted_is_never_seen_and_leaves_a_gap(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        transactional = self.begin(cluster)
        self.write(transactional, tp, b"no", b"no")
        transactional.abort_transaction()
        transactional.begin_transaction()
        self.write(transactional, tp, b"yes")
        transactional.commit_transaction()
        committed = self.reader(cluster, tp, isolation_level="read_committed")
        assert [(r.offset, r.value) for r in self.read(cluster, committed, 1)] == [(3, b"yes")]
        self.silent(committed)
        assert committed.position(tp) == 5
        uncommitted = self.reader(cluster, tp, isolation_level="read_uncommitted")
        assert [r.value for r in self.read(cluster, uncommitted, 3)] == [b"no", b"no", b"yes"]

    def test_offsets_count_when_the_transaction_does_and_are_waited_for(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, group, isolation_level="read_committed")
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        consumer.commit({tp: at(1, "old")}, timeout_ms=5000)
        hasty = cluster.consumer(group_id=group, isolation_level="read_uncommitted")
        for number, end in enumerate(("abort_transaction", "commit_transaction")):
            producer = self.begin(cluster)
            producer.send_offsets_to_transaction({tp: at(8, "new")}, consumer.group_metadata())
            with pytest.raises(KafkaTimeoutError):
                kafka_internals.committed(consumer, tp, 300)
            assert stored(hasty, tp) == 1
            getattr(producer, end)()
            found = kafka_internals.committed(consumer, tp, 5000)
            assert (found.offset, found.metadata) == ((1, "old"), (8, "new"))[number]

    def test_a_second_producer_of_the_name_ends_and_fences_the_first(self, cluster: Cluster) -> None:
        topic, group, name = cluster.topic(), unique("group"), unique("txn")
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, group, isolation_level="read_committed", auto_offset_reset="earliest")
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        first = self.begin(cluster, name)
        self.write(first, tp, b"first")
        first.send_offsets_to_transaction({tp: at(4)}, consumer.group_metadata())
        second = self.begin(cluster, name)
        assert stored(consumer, tp) is None
        with pytest.raises(ProducerFencedError):
            first.commit_transaction()
        with pytest.raises(KafkaError):
            first.abort_transaction()
        self.write(second, tp, b"second")
        second.commit_transaction()
        assert [r.value for r in self.read(cluster, consumer, 1)] == [b"second"]
        self.silent(consumer)

    def test_a_fenced_producer_can_add_neither_offsets_nor_messages(self, cluster: Cluster) -> None:
        topic, name = cluster.topic(), unique("txn")
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, unique("group"))
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        first, third = self.begin(cluster, name), self.begin(cluster, name)
        second = third
        third = self.begin(cluster, name)
        with pytest.raises(ProducerFencedError):
            first.send_offsets_to_transaction({tp: at(4)}, consumer.group_metadata())
        with pytest.raises(KafkaError):
            second.send(topic, b"zombie", partition=0).get(10)
        with pytest.raises(KafkaError):
            second.commit_transaction()
        third.commit_transaction()
        assert stored(consumer, tp) is None
        assert consumer.end_offsets([tp]) == {tp: 0}

    def test_offsets_of_a_stale_member_are_refused_and_the_producer_goes_on(self, cluster: Cluster) -> None:
        topic, group = cluster.topic(), unique("group")
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, group)
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        stale = consumer.group_metadata()._replace(generation_id=consumer.group_metadata().generation_id - 1)
        if stale.generation_id == 0:
            stale = stale._replace(generation_id=77)
        producer = self.begin(cluster)
        self.write(producer, tp, b"no")
        with pytest.raises(CommitFailedError):
            producer.send_offsets_to_transaction({tp: at(4)}, stale)
        with pytest.raises(KafkaError):
            producer.commit_transaction()
        producer.abort_transaction()
        producer.begin_transaction()
        producer.send_offsets_to_transaction({tp: at(5)}, consumer.group_metadata())
        producer.commit_transaction()
        assert stored(consumer, tp) == 5

    def test_metadata_that_are_too_large_spoil_the_producer(self, cluster: Cluster) -> None:
        topic, name = cluster.topic(), unique("txn")
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, unique("group"))
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        producer = self.begin(cluster, name)
        self.write(producer, tp, b"no")
        with pytest.raises(KafkaError, match="OffsetMetadataTooLarge"):
            producer.send_offsets_to_transaction({tp: at(4, "m" * 4097)}, consumer.group_metadata())
        with pytest.raises(KafkaError):
            producer.abort_transaction()
        self.begin(cluster, name).commit_transaction()
        assert stored(consumer, tp) is None

    def test_a_transaction_that_takes_too_long_is_aborted_by_the_broker(self, cluster: Cluster) -> None:
        tp = TopicPartition(cluster.topic(), 0)
        producer = self.begin(cluster, transaction_timeout_ms=1000)
        self.write(producer, tp, b"no")
        committed = self.reader(cluster, tp, isolation_level="read_committed")
        cluster.pass_time(1.5)
        for _ in range(100):
            cluster.pass_time(0.2)
            if committed.end_offsets([tp]) == {tp: 2}:
                break
        self.silent(committed)
        assert committed.position(tp) == 2
        with pytest.raises(KafkaError):
            producer.commit_transaction()

    def test_the_commit_that_was_written_last_stands(self, cluster: Cluster) -> None:
        topic = cluster.topic()
        tp = TopicPartition(topic, 0)
        consumer, _ = self.join(cluster, topic, unique("group"))
        self.until(cluster, lambda: bool(consumer.assignment()), consumer)
        producer = self.begin(cluster)
        producer.send_offsets_to_transaction({tp: at(4)}, consumer.group_metadata())
        consumer.commit({tp: at(9)}, timeout_ms=5000)
        producer.commit_transaction()
        for _ in range(3):
            cluster.pass_time(0.1)
            assert stored(consumer, tp) == 9
