"""The Kafka consumer: how it is set up, and its values as ours."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from consumers.core.tracker import Snapshot
from consumers.records import SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals

#: Also how long a join may hang before the client tries anew. The poll thread never works, so it may be short.
_MAX_POLL_INTERVAL_MS = 60_000
_BOOTSTRAP_S = 30.0

ConsumerFactory = Callable[[ConsumerSettings], KafkaConsumer]


def connect(settings: ConsumerSettings) -> KafkaConsumer:
    """A member of the group, once it subscribes; waits until a broker answers."""
    kafka_internals.mend()
    return KafkaConsumer(
        **settings.client(),
        group_id=settings.group,
        group_instance_id=settings.group_instance_id,
        partition_assignment_strategy=[CooperativeStickyAssignor],
        # Where to go on is decided in positions.py: the client would jump without a word.
        auto_offset_reset="none",
        isolation_level=settings.isolation_level,
        enable_auto_commit=False,
        # A deleted topic must stay deleted.
        allow_auto_create_topics=False,
        metadata_max_age_ms=int(settings.metadata_max_age_s * 1000),
        max_poll_records=settings.poll_batch,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=min(1024 * 1024, settings.fetch_max_bytes),
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.session_timeout_s * 300),
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        # Less than what counts as a stall.
        bootstrap_timeout_ms=int(min(_BOOTSTRAP_S, settings.stall_s * 0.6) * 1000),
    )


def source_records(tp: TopicPartition, batch: Iterable[Any], received_ns: int) -> list[SourceRecord]:
    """The client's records of one partition; it handed them over at `received_ns`."""
    return [SourceRecord(tp, r.offset, r.key, r.value, tuple(r.headers), r.timestamp, None, received_ns) for r in batch]


def client_offsets(offsets: Mapping[TopicPartition, Snapshot]) -> dict[KafkaPartition, OffsetAndMetadata]:
    """What is to be committed, as the client takes it."""
    return {KafkaPartition(*tp): OffsetAndMetadata(one.offset, one.metadata, -1) for tp, one in offsets.items()}


def own(partitions: Iterable[Any]) -> list[TopicPartition]:
    """The client's partitions as ours."""
    return [TopicPartition(partition.topic, partition.partition) for partition in partitions]
