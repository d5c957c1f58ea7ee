"""Topics: made where the broker makes them, and a clear answer where it does not."""

import pytest

from consumers import topics
from consumers.settings import ConsumerSettings
from consumers.topics import TopicState
from tests.support.servers import KafkaServer, unique


def settings(kafka: KafkaServer) -> ConsumerSettings:
    return ConsumerSettings(
        bootstrap=kafka.bootstrap,
        api_version=".".join(map(str, kafka.api_version)) if kafka.api_version else None,
        topics=(unique("new"),),
        results_topic=unique("results"),
        dead_topic=unique("dead"),
    )


@pytest.mark.real
def test_missing_topics_are_made_once(real_kafka_server: KafkaServer) -> None:
    wanted = settings(real_kafka_server)
    assert {report.state for report in topics.check(wanted)} == {TopicState.MISSING}
    made = topics.create(wanted, partitions=3)
    assert [(report.name, report.state, report.partitions) for report in made] == [
        (name, TopicState.CREATED, 3) for name in topics.names(wanted)
    ]
    assert {(report.state, report.partitions) for report in topics.create(wanted, 5)} == {(TopicState.EXISTS, 3)}


def test_a_broker_that_makes_none_is_named(embedded_kafka: KafkaServer) -> None:
    for report in topics.create(settings(embedded_kafka), partitions=3):
        assert report.state in (TopicState.UNKNOWN, TopicState.EXISTS)
        assert report.state is TopicState.EXISTS or "by its own means" in (report.message or "")
