"""What Vitrine asks of a broker, of the real one and of the embedded one."""

import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from deploy.services.kafka_real import RealKafka
from deploy.services.kafka_topics import check_topics, delete_topics, ensure_topics
from tests.support.servers import KafkaServer, unique

pytestmark = pytest.mark.real
METADATA_CHARACTERS = 688  # the done-bitmap of a window of 4,096


@pytest.fixture(params=["real", "embedded"])
def server(request: pytest.FixtureRequest) -> KafkaServer:
    return request.getfixturevalue({"real": "real_kafka_server", "embedded": "embedded_kafka"}[request.param])


def consume(server: KafkaServer, topic: str, group: str, count: int) -> tuple[KafkaConsumer, list[bytes]]:
    consumer = KafkaConsumer(
        topic,
        **server.client(
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=[CooperativeStickyAssignor],
        ),
    )
    values: list[bytes] = []
    for _ in range(200):
        values += [record.value for records in consumer.poll(100).values() for record in records]
        if len(values) >= count:
            break
    return consumer, values


def test_idempotent_producer_group_and_commit_metadata(server: KafkaServer) -> None:
    topic, group = server.new_topic(partitions=4), unique("group")
    producer = KafkaProducer(**server.client(enable_idempotence=True, acks="all"))
    sent = [b"%d" % number for number in range(200)]
    for value in sent:
        producer.send(topic, value, key=value, headers=[("ce_id", value)])
    producer.flush(10)
    producer.close(timeout=5)

    consumer, values = consume(server, topic, group, len(sent))
    assert sorted(values) == sorted(sent)
    assert len(consumer.assignment()) == 4

    partition = TopicPartition(topic, 0)
    metadata = "m" * METADATA_CHARACTERS
    consumer.commit({partition: OffsetAndMetadata(7, metadata, -1)}, timeout_ms=5000)
    committed = consumer.committed(partition, metadata=True)
    assert (committed.offset, committed.metadata) == (7, metadata)
    consumer.close(timeout_ms=2000)


def test_three_brokers_lose_nothing_when_one_is_killed(real_kafka_cluster: RealKafka) -> None:
    server = KafkaServer(bootstrap=real_kafka_cluster.bootstrap, api_version=None)
    topic = unique("chaos")
    ensure_topics(server.bootstrap, {topic: 3}, copies=3)
    producer = KafkaProducer(**server.client(enable_idempotence=True, acks="all"))
    sent = [b"%d" % number for number in range(60)]
    for number, value in enumerate(sent):
        producer.send(topic, value, key=value)
        if number == 20:
            producer.flush(30)
            real_kafka_cluster.kill(2)
            assert not real_kafka_cluster.healthy()
        if number == 40:
            real_kafka_cluster.restart(2)
            assert real_kafka_cluster.healthy()
    producer.flush(60)
    producer.close(timeout=5)
    consumer, values = consume(server, topic, unique("group"), len(sent))
    consumer.close(timeout_ms=2000)
    assert sorted(values) == sorted(sent)


def test_topics_of_a_run_can_be_deleted(real_kafka: str) -> None:
    topics = [unique("run") for _ in range(2)]
    ensure_topics(real_kafka, dict.fromkeys(topics, 1))
    delete_topics(real_kafka, topics)
    deadline = time.monotonic() + 30
    while any(check.found for check in check_topics(real_kafka, dict.fromkeys(topics, 1))):
        assert time.monotonic() < deadline, "the topics are still there"
