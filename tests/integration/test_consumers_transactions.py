"""Transactional delivery against a real Kafka: whoever reads committed records sees each result once."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from pathlib import Path

import pytest
from kafka import TopicPartition as KafkaPartition
from kafka.errors import CommitFailedError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.shell.transactions import TransactionalClient
from deploy.errors import ToolMissing
from deploy.services.interface import Endpoints
from deploy.services.kafka_real import RealKafka
from deploy.settings import DeploySettings
from tests.support.consumer_bench import Bench
from tests.support.fake_serve import FakeServe
from tests.support.servers import KafkaServer, missing, unique

pytestmark = pytest.mark.real

#: Lets the third transaction meet `{fate}` at its commit. `original` commits.
_AT_THE_THIRD = """
import os, signal, time
from kafka import KafkaProducer
original, count = KafkaProducer.commit_transaction, 0

def commit_transaction(self):
    global count
    count += 1
    if count == 3:
        {fate}
    original(self)

KafkaProducer.commit_transaction = commit_transaction
"""
_KILLED_BEFORE = "os.kill(os.getpid(), signal.SIGKILL)"
_KILLED_AFTER = "original(self); os.kill(os.getpid(), signal.SIGKILL)"
_KILLED_MEANWHILE = (
    "self._transaction_manager.begin_commit(); self._sender.wakeup(); time.sleep(0.002); "
    "os.kill(os.getpid(), signal.SIGKILL)"
)
_HANGS = "time.sleep(600)"
_COMMITS_AND_HANGS = "original(self); time.sleep(600)"


@pytest.fixture
def bench(real_kafka_server: KafkaServer, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(real_kafka_server, tmp_path)
    yield bench
    bench.stop()


def events(count: int) -> dict[str, tuple[str, int]]:
    return {f"e{n}": (f"fine-{n}", 1) for n in range(count)}


def wanted(bench: Bench) -> dict[str, object]:
    return {
        "delivery": "transactional",
        "transactional_id": bench.settings.group,
        "transaction_every_s": 0.2,
        "transaction_deadline_s": 4,
    }


@pytest.mark.parametrize("fate", [_KILLED_BEFORE, _KILLED_MEANWHILE, _KILLED_AFTER])
def test_a_worker_that_is_killed_at_its_commit_tears_nothing(bench: Bench, fate: str) -> None:
    sent = events(200)
    bench.produce(sent)
    with FakeServe(delay_s=0.2, capacity=10) as serve:
        first = bench.worker(serve, patch=_AT_THE_THIRD.format(fate=fate), **wanted(bench))
        first.wait(60)
        assert 0 < serve.tries < len(sent)
        second = bench.worker(serve, **wanted(bench))
        bench.wait(lambda: bench.lag() == 0)
        second.terminate()
        assert second.wait(20) == 0
    assert bench.committed_results() == Counter(sent.keys())
    assert serve.tries <= len(sent) + 100


@pytest.mark.parametrize("fate", [_HANGS, _COMMITS_AND_HANGS])
def test_a_commit_that_never_returns_is_resolved_within_its_deadline(bench: Bench, fate: str) -> None:
    sent = events(200)
    bench.produce(sent)
    with FakeServe(delay_s=0.2, capacity=10) as serve:
        began = time.monotonic()
        worker = bench.worker(serve, patch=_AT_THE_THIRD.format(fate=fate), **wanted(bench))
        bench.wait(lambda: bench.lag() == 0)
        assert time.monotonic() - began < 30
        worker.terminate()
        assert worker.wait(20) == 0
    assert bench.committed_results() == Counter(sent.keys())
    assert "transaction_unknown" in bench.log(0)
    # What was answered is not worked on again, whatever became of its transaction.
    assert serve.tries == len(sent)


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    broker = RealKafka(tmp_path_factory.mktemp("kafka"), {}, DeploySettings())
    try:
        broker.start()
        yield broker
    except ToolMissing as error:
        missing(str(error))
    finally:
        for process in broker.processes():
            os.kill(process.pid, signal.SIGCONT)
        broker.stop()


def test_no_transaction_waits_beyond_its_deadline_for_a_broker_that_stands_still(
    own_broker: RealKafka, tmp_path: Path
) -> None:
    bench = Bench(KafkaServer.of(own_broker.describe(Endpoints())), tmp_path)
    sent = events(300)
    bench.produce(sent)
    try:
        with FakeServe(delay_s=0.2, capacity=10) as serve:
            worker = bench.worker(serve, **wanted(bench))
            bench.wait(lambda: bench.log(0).count("event is answered") >= 60)
            for stop in (signal.SIGSTOP, signal.SIGCONT):
                for process in own_broker.processes():
                    os.kill(process.pid, stop)
                if stop == signal.SIGSTOP:
                    bench.wait(lambda: '"action": "transaction_' in bench.log(0), timeout_s=20)
                    time.sleep(2)
            bench.wait(lambda: bench.lag() == 0)
            worker.terminate()
            assert worker.wait(20) == 0
    finally:
        bench.stop()
    assert bench.committed_results() == Counter(sent.keys())
    ends = [json.loads(line) for line in bench.log(0).splitlines() if '"action": "transaction_' in line]
    failed = [end["seconds"] for end in ends if end["action"] == "transaction_failed"]
    assert ends
    assert all(seconds < 4 + 2 for seconds in failed)


def test_offsets_of_an_open_transaction_are_waited_for(real_kafka_server: KafkaServer) -> None:
    topic = real_kafka_server.new_topic("txn")
    settings = ConsumerSettings(
        bootstrap=real_kafka_server.bootstrap, group=unique("group"), transaction_deadline_s=20, results_topic=topic
    )
    tp = TopicPartition(topic, 0)
    client = TransactionalClient(settings)
    producer = client.connect()
    with ThreadPoolExecutor() as pool:
        for offset in (3, 5):
            producer.begin_transaction()
            producer.send(topic, b"x").get(10)
            offsets = {KafkaPartition(*tp): OffsetAndMetadata(offset, f"m{offset}", -1)}
            producer.send_offsets_to_transaction(offsets, ConsumerGroupMetadata(group_id=settings.group))
            found = pool.submit(client.committed, [tp])
            with pytest.raises(Late):
                found.result(1.5)
            producer.commit_transaction()
            assert found.result(10) == {tp: Snapshot(offset, f"m{offset}")}
        producer.begin_transaction()
        offsets = {KafkaPartition(*tp): OffsetAndMetadata(7, "", -1)}
        producer.send_offsets_to_transaction(offsets, ConsumerGroupMetadata(group_id=settings.group))
        # Who comes after a dead producer of the same name ends its transaction.
        successor = client.connect()
        assert client.committed([tp]) == {tp: Snapshot(5, "m5")}
    client.discard(producer)
    client.discard(successor)


def test_refused_offsets_do_not_travel_with_the_next_transaction(real_kafka_server: KafkaServer) -> None:
    topic = real_kafka_server.new_topic("txn", partitions=2)
    settings = ConsumerSettings(bootstrap=real_kafka_server.bootstrap, group=unique("group"), results_topic=topic)
    lost, kept = TopicPartition(topic, 0), TopicPartition(topic, 1)
    client = TransactionalClient(settings)
    producer = client.connect()

    def transact(tp: TopicPartition, group: ConsumerGroupMetadata) -> None:
        producer.begin_transaction()
        producer.send_offsets_to_transaction({KafkaPartition(*tp): OffsetAndMetadata(7, "", -1)}, group)

    with pytest.raises(CommitFailedError):
        transact(lost, ConsumerGroupMetadata(settings.group, generation_id=9, member_id="gone"))
    producer.abort_transaction()
    transact(kept, ConsumerGroupMetadata(settings.group))
    producer.commit_transaction()
    assert client.committed([lost, kept]) == {kept: Snapshot(7, "")}
    client.discard(producer)
