"""What Kafka can do to a worker beyond going away: each time a line in the log, a number, and nothing lost."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.structs import OffsetAndMetadata

from deploy.services.kafka_real import BrokerOptions, RealKafka
from deploy.settings import DeploySettings
from tests.support.fake_serve import FakeServe
from tests.support.worker_process import DEAD, EVENTS, RESULTS, RETRY, WorkerProcess

pytestmark = pytest.mark.real
Make = Callable[..., WorkerProcess]


@pytest.fixture
def make(real_kafka: str, tmp_path: Path) -> Iterator[Make]:
    made: list[WorkerProcess] = []

    def make(bootstrap: str = real_kafka, **more: object) -> WorkerProcess:
        made.append(WorkerProcess(bootstrap, tmp_path, **more))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()


@pytest.fixture
def admin(real_kafka: str) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=real_kafka)) as admin:
        yield admin


def fine(count: int, start: int = 0) -> dict[str, str]:
    return {f"e{n}": f"fine-{n}" for n in range(start, start + count)}


def limit(admin: KafkaAdminClient, topic: str, largest: int) -> None:
    """The topic takes no larger batch from now on."""
    config = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(largest)})
    admin.alter_configs([config])


# -- offsets that are not there --


def test_offsets_deleted_while_the_worker_is_down(make: Make, admin: KafkaAdminClient) -> None:
    worker = make(partitions=1)
    tp = TopicPartition(worker.names[EVENTS], 0)
    worker.produce(fine(5))
    with FakeServe() as serve:
        worker.start(serve)
        worker.visible(5)
        worker.wait(lambda: worker.lag() == 0)
        assert worker.stop() == 0
        worker.produce(fine(20, start=5))
        admin.delete_records({tp: 15})
        worker.start(serve)
        assert worker.visible(15) == Counter([*fine(5), *fine(10, start=15)])
        worker.wait(lambda: worker.lag() == 0)
        (line,) = worker.log(action="offset_missing")
        assert (line["topic"], line["partition"], line["offset"]) == (tp.topic, 0, 15)
        assert "does not have offset 5," in line["message"]
        assert worker.metric("offsets_missing_total", topic=tp.topic) == 1
    assert serve.tries == 15


def test_offsets_deleted_while_the_worker_runs(make: Make, admin: KafkaAdminClient) -> None:
    worker = make(partitions=1)
    tp = TopicPartition(worker.names[EVENTS], 0)
    with FakeServe(busy=True) as serve:
        # Small fetches, so that what is deleted is not in the client's memory already.
        worker.start(serve, poll_batch=2, buffered_high=4, buffered_low=2, fetch_max_bytes=1024)
        for event, listing in fine(60).items():
            worker.produce({event: listing})
        worker.wait(lambda: serve.refused)
        admin.delete_records({tp: 50})
        serve.busy = False
        worker.wait_said(action="offset_missing", offset=50)
        worker.wait(lambda: worker.lag() == 0)
        seen = {event.removeprefix("e") for event in serve.seen}
        assert worker.metric("offsets_missing_total", topic=tp.topic) == 1
    assert {*map(str, range(50, 60))} <= seen
    assert worker.visible(len(seen)) == Counter(serve.seen.keys())


def test_a_commit_past_the_end(make: Make) -> None:
    worker = make(partitions=1)
    tp = TopicPartition(worker.names[EVENTS], 0)
    with closing(KafkaConsumer(bootstrap_servers=worker.bootstrap, group_id=worker.group)) as consumer:
        consumer.assign([tp])
        consumer.commit({tp: OffsetAndMetadata(1000, "", -1)})
    worker.produce(fine(5))
    with FakeServe() as serve:
        worker.start(serve)
        assert worker.visible(5) == Counter(fine(5).keys())
        worker.wait(lambda: worker.lag() == 0)
        (line,) = worker.log(action="offset_missing")
        assert line["offset"] == 0
        assert "does not have offset 1000," in line["message"]


# -- topics that come, go and grow --


def test_a_topic_deleted_and_made_anew_under_a_running_worker(make: Make, admin: KafkaAdminClient) -> None:
    worker = make(partitions=1)
    topic = worker.names[EVENTS]
    worker.produce(fine(5))
    with FakeServe() as serve:
        worker.start(serve)
        worker.visible(5)
        worker.wait(lambda: worker.lag() == 0)
        admin.delete_topics([topic])
        worker.wait_said(action="topic_missing", topic=topic)
        worker.wait(lambda: worker.metric("topic_partitions", topic=topic) == 0)
        worker.make(EVENTS, partitions=1)
        # More than the old one had, so that the old offsets are valid again, for other events.
        worker.produce(fine(20, start=5))
        assert worker.visible(25) == Counter(fine(25).keys())
        worker.wait(lambda: worker.lag() == 0)
        assert worker.log(action="topic_present", topic=topic)
        assert worker.stop() == 0
    assert worker.dead() == []


def test_new_partitions_are_consumed_without_a_restart(make: Make, admin: KafkaAdminClient) -> None:
    worker = make(partitions=1)
    topic = worker.names[EVENTS]
    worker.produce(fine(3))
    with FakeServe() as serve:
        worker.start(serve)
        worker.visible(3)
        admin.create_partitions({topic: 3})
        worker.wait_said(action="topic_present", topic=topic, partitions=3)
        for number in range(3):
            worker.produce(fine(4, start=3 + 4 * number), partition=number)
        assert worker.visible(15) == Counter(fine(15).keys())
        worker.wait(lambda: worker.lag() == 0)
        assert worker.metric("topic_partitions", topic=topic) == 3


def test_a_results_topic_that_is_missing(make: Make) -> None:
    worker = make(make=(EVENTS, RETRY, DEAD))
    topic = worker.names[RESULTS]
    worker.produce({**fine(10), "b": "bad-1"})
    with FakeServe() as serve:
        worker.start(serve)
        worker.wait_said(action="topic_unreached", topic=topic)
        worker.wait_said(code="publish_failed")
        assert worker.metric("retries_total", code="publish_failed") > 0
        # Whatever goes to other topics is not held up for good.
        worker.wait(lambda: len(worker.dead()) == 1)
        worker.make(RESULTS)
        assert worker.visible(10) == Counter(fine(10).keys())
        worker.wait(lambda: worker.lag() == 0)
    assert all(len(tries) == 1 for tries in serve.seen.values())


# -- what the broker finds too large --


def test_commit_metadata_that_the_broker_does_not_take(make: Make, tmp_path: Path) -> None:
    options = BrokerOptions(properties={"offset.metadata.max.bytes": 4})
    broker = RealKafka(tmp_path / "kafka", {}, DeploySettings(), options=options)
    broker.start()
    try:
        worker = make(broker.bootstrap, partitions=1)
        # The slow one holds back the offset, so that what is done beyond it goes into the metadata.
        worker.produce({"s": "slow-1", **fine(50)})
        with FakeServe() as serve:
            worker.start(serve, commit_every_s=0.05)
            assert worker.visible(51) == Counter(["s", *fine(50)])
            worker.wait(lambda: worker.lag() == 0)
            assert worker.log(action="commit_failed", error="OffsetMetadataTooLargeError")
            assert worker.metric("commit_failures_total", error="OffsetMetadataTooLargeError") >= 1
            # Not each commit is refused: from then on they go without.
            worker.produce({"s2": "slow-2", **fine(50, start=50)})
            worker.visible(102)
            worker.wait(lambda: worker.lag() == 0)
            assert worker.metric("commit_failures_total") <= 3
            assert worker.stop() == 0
        assert serve.tries == 102
    finally:
        broker.stop()


def test_results_that_are_too_large_for_the_topic(make: Make, admin: KafkaAdminClient) -> None:
    worker = make()
    limit(admin, worker.names[RESULTS], 200)
    worker.produce(fine(3))
    with FakeServe() as serve:
        worker.start(serve)
        worker.wait(lambda: len(worker.dead()) == 3)
        worker.wait(lambda: worker.lag() == 0)
        assert worker.metric("dead_letters_total", code="result_unpublishable") == 3
    assert {letter["vitrine-error-code"] for letter in worker.dead()} == {b"result_unpublishable"}
    assert {letter["vitrine-event-id"].decode() for letter in worker.dead()} == set(fine(3))


def test_dead_letters_that_are_too_large_for_the_topic_wait(make: Make, admin: KafkaAdminClient) -> None:
    worker = make(partitions=1)
    limit(admin, worker.names[DEAD], 100)
    worker.produce({"b": "bad-1", **fine(3)})
    with FakeServe() as serve:
        worker.start(serve)
        assert worker.visible(3) == Counter(fine(3).keys())
        worker.wait_said(code="publish_failed")
        assert worker.lag() > 0
        limit(admin, worker.names[DEAD], 1_000_000)
        worker.wait(lambda: worker.lag() == 0)
        assert worker.stop() == 0
    (letter,) = worker.dead()
    assert letter["vitrine-event-id"] == b"b"


def test_a_retry_record_that_is_too_large_for_the_topic(make: Make, admin: KafkaAdminClient) -> None:
    worker = make()
    limit(admin, worker.names[RETRY], 200)
    worker.produce({"l": "late-1", **fine(3)})
    with FakeServe() as serve:
        worker.start(serve)
        # It waits in memory instead.
        assert worker.visible(4) == Counter(["l", *fine(3)])
        worker.wait(lambda: worker.lag() == 0)
    assert [len(serve.seen[event]) for event in ("l", "e0")] == [2, 1]
    assert worker.dead() == worker.records(RETRY) == []


# -- many events of one listing --


def test_three_thousand_events_of_one_listing(make: Make) -> None:
    worker = make()
    count = 3000
    with FakeServe(delay_s=0.05) as serve:
        worker.start(serve)
        worker.produce_revisions("fine-1", count)
        worker.produce({"other": "fine-2"})
        found = worker.visible(count + 1, 60)
        worker.wait(lambda: worker.lag() == 0)
        assert worker.metric("outcomes_total", outcome="superseded") > count * 0.5
    assert set(found) == {"other", *(f"r{n}" for n in range(count))}
    assert worker.dead() == []
    # In the order of their revisions, and the last one in any case.
    revisions = [item.listing.revision for event in serve.seen for item in serve.seen[event] if event != "other"]
    assert revisions == sorted(revisions)
    assert revisions[-1] == count - 1
