"""The contract of the fake Kafka over the real broker, and what one member can do of it over the embedded one."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from consumers.shell import kafka_internals
from deploy.services.kafka_topics import delete_topics, ensure_topics
from tests.support.kafka_contract import (
    POLL_MS,
    SESSION_MS,
    BrokerContract,
    GroupContract,
    SingleMemberContract,
    TransactionContract,
)
from tests.support.servers import KafkaServer

pytestmark = pytest.mark.real


class RealCluster:
    """The contract's view of a broker."""

    def __init__(self, server: KafkaServer) -> None:
        self._server = server
        self._clients: list[Any] = []
        self._pool = ThreadPoolExecutor(2)

    def topic(self, partitions: int = 1) -> str:
        return self._server.new_topic("contract", partitions)

    def consumer(self, **config: Any) -> Any:
        kafka_internals.mend()
        options = {
            "session_timeout_ms": SESSION_MS,
            "heartbeat_interval_ms": 300,
            "enable_auto_commit": False,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
            # The embedded broker makes topics in no other way.
            "allow_auto_create_topics": self._server.api_version is not None,
            **config,
        }
        self._clients.append(KafkaConsumer(**self._server.client(**options)))
        return self._clients[-1]

    def producer(self, **config: Any) -> Any:
        self._clients.append(KafkaProducer(**self._server.client(**config)))
        return self._clients[-1]

    def poll(self, *consumers: Any) -> list[Any]:
        polls = self._pool.map(lambda consumer: consumer.poll(timeout_ms=POLL_MS), consumers)
        return [record for batches in polls for batch in batches.values() for record in batch]

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def silence(self, consumer: Any) -> None:
        consumer._coordinator._close_heartbeat()

    def delete_topic(self, topic: str) -> None:
        delete_topics(self._server.bootstrap, [topic])
        time.sleep(1.0)

    def recreate_topic(self, topic: str) -> None:
        ensure_topics(self._server.bootstrap, {topic: 1})

    def add_partitions(self, topic: str, total: int) -> None:
        self._admin("create_partitions", {topic: total})

    def delete_records(self, tp: TopicPartition, before: int) -> None:
        self._admin("delete_records", {tp: before})

    def _admin(self, what: str, how: Any) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self._server.bootstrap)
        try:
            getattr(admin, what)(how)
        finally:
            admin.close()

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients:
            if isinstance(client, KafkaProducer):
                client.close(timeout=1)
            else:
                client.close(autocommit=False, timeout_ms=500)


class TestRealKafka(SingleMemberContract, BrokerContract, GroupContract, TransactionContract):
    """Apache Kafka."""

    @pytest.fixture
    def cluster(self, real_kafka_server: KafkaServer) -> Iterator[RealCluster]:
        cluster = RealCluster(real_kafka_server)
        yield cluster
        cluster.close()


class TestEmbeddedKafka(SingleMemberContract):
    """librdkafka's mock broker."""

    @pytest.fixture
    def cluster(self, embedded_kafka: KafkaServer) -> Iterator[RealCluster]:
        cluster = RealCluster(embedded_kafka)
        yield cluster
        cluster.close()
