"""The mended Kafka client reads what Kafka may hold, and a batch that it cannot read does not hang it."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.cluster import ClusterMetadata
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import CorruptRecordError, KafkaConnectionError, KafkaTimeoutError
from kafka.future import Future
from kafka.net.transport import KafkaTCPTransport
from kafka.protocol.metadata import MetadataResponse
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

from consumers.shell import kafka_internals

PARTITION = TopicPartition("t", 0)
#: Where the first record of a batch starts, with its length.
FIRST = 61


def batch(*names: str, codec: int = 0) -> bytes:
    """A record per header name."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=100_000)
    for name in names:
        builder.append(timestamp=1, key=b"k", value=b"v", headers=[(name, b"x")])
    builder.close()
    return bytes(builder.buffer())


def sealed(raw: bytes) -> bytes:
    """With the checksum that belongs to these bytes."""
    return raw[:17] + struct.pack(">I", calc_crc32c(raw[21:])) + raw[21:]


@pytest.fixture
def fetcher():
    """Enough of the client's fetcher to hand out a parser's records; it holds what `poll` goes through."""
    kafka_internals.mend()
    fetcher = Fetcher.__new__(Fetcher)
    state = SimpleNamespace(position=SimpleNamespace(offset=0), highwater=9)
    fetcher._subscriptions = SimpleNamespace(
        assignment={PARTITION: state},
        is_paused=lambda _: False,
        is_assigned=lambda _: True,
        is_fetchable=lambda _: True,
        position=lambda _: state.position,
    )
    fetcher._next_in_line_exception_metadata = fetcher._next_partition_records = fetcher._sensors = None
    fetcher._completed_fetches = deque()
    fetcher._paused_completed_fetches, fetcher._paused_partition_records = {}, {}
    fetcher.config = {"max_poll_records": 500}
    return fetcher


def fetched(fetcher: Fetcher, raw: bytes) -> list:
    fetcher._next_partition_records = kafka_internals.Parser(0, PARTITION, MemoryRecords(raw))
    return fetcher.fetched_records(500)[0].get(PARTITION, [])


@pytest.mark.timeout(20)
def test_a_header_name_of_any_bytes_is_read(fetcher):
    # The client itself would not write such a name.
    raw = sealed(batch("ok", "NAME", "é").replace(b"NAME", b"\xffA\xc3("))
    records = fetched(fetcher, raw)
    names = [name for record in records for name, _ in record.headers]
    assert names == ["ok", "\\xffA\\xc3(", "é"]
    assert all(type(record.value) is bytes for record in records)


@pytest.mark.timeout(20)
def test_a_batch_that_cannot_be_read_raises_once_and_never_hangs_a_poll(fetcher):
    good = batch("ok")
    torn = sealed(good[:FIRST] + b"\x02" + good[FIRST + 1 :])
    with pytest.raises(CorruptRecordError):
        fetched(fetcher, torn)
    assert fetcher.fetched_records(500) == ({}, False)
    assert len(fetched(fetcher, good)) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_every_codec_of_kafka_is_read(fetcher, codec):
    assert len(fetched(fetcher, batch("ok", "else", codec=codec))) == 2


@pytest.mark.timeout(20)
def test_what_is_left_of_a_paused_partition_comes_when_it_is_resumed(fetcher):
    paused: set[TopicPartition] = set()
    other = TopicPartition("u", 0)
    fetcher._subscriptions.is_paused = paused.__contains__
    fetcher._subscriptions.assignment[other] = SimpleNamespace(position=SimpleNamespace(offset=0), highwater=0)
    fetcher._next_partition_records = kafka_internals.Parser(0, PARTITION, MemoryRecords(batch("a", "b", "c")))
    assert len(fetcher.fetched_records(1)[0][PARTITION]) == 1
    paused.add(PARTITION)
    assert fetcher.fetched_records(1)[0] == {}
    # Meanwhile another partition is read to its end.
    fetcher._next_partition_records = kafka_internals.Parser(0, other, MemoryRecords(b""))
    assert fetcher.fetched_records(1)[0] == {}
    paused.clear()
    assert len(fetcher.fetched_records(500)[0][PARTITION]) == 2


def test_a_join_that_became_needless_is_brought_to_its_end():
    kafka_internals.mend()
    coordinator = ConsumerCoordinator.__new__(ConsumerCoordinator)
    coordinator._subscription = SimpleNamespace(partitions_auto_assigned=lambda: True, subscription={"t"})
    coordinator._auto_assign_all_partitions = lambda: False
    coordinator._assignment_snapshot = coordinator._metadata_snapshot = {"t": 1}
    coordinator._joined_subscription = {"t"}
    coordinator.rejoin_needed = coordinator.rejoining = False
    assert not coordinator.need_rejoin()
    # The topic seems to have gone; a join begins; it is there again.
    coordinator._metadata_snapshot = {}
    assert coordinator.need_rejoin()
    coordinator.rejoining, coordinator._metadata_snapshot = True, {"t": 1}
    assert coordinator.need_rejoin()


def test_the_last_words_of_a_broker_that_hangs_up_are_read():
    kafka_internals.mend()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport = KafkaTCPTransport.__new__(KafkaTCPTransport)
    transport._sock, transport._closed, transport.host = ours, False, None
    with ours:
        theirs.sendall(b"wrong password")
        theirs.close()
        assert transport._sock_recv() == (b"wrong password", None)
        nothing, error = transport._sock_recv()
    assert (nothing, type(error)) == (b"", KafkaConnectionError)


@pytest.mark.timeout(20)
def test_a_join_that_ends_between_two_polls_counts():
    kafka_internals.mend()
    coordinator = ConsumerCoordinator.__new__(ConsumerCoordinator)
    joins: list[Future] = []
    completed: list[bytes] = []

    async def nothing(*_: object, **__: object) -> bool:
        return True

    async def complete(_generation: int, _member: str, _protocol: str, assignment: bytes) -> None:
        completed.append(assignment)

    async def wait_for(join, _timeout_ms: float) -> bytes:
        answers: list[bytes] = []
        join.add_callback(answers.append)
        if not answers:
            raise KafkaTimeoutError
        return answers[0]

    def call_soon(_: object) -> Future:
        joins.append(Future())
        return joins[-1]

    coordinator.config = {"api_version": (4, 1)}
    coordinator._lock = threading.RLock()
    coordinator._join_task = None
    coordinator.rejoin_needed, coordinator.rejoining = True, False
    coordinator._generation = SimpleNamespace(generation_id=1, member_id="m", protocol="p")
    coordinator._manager = SimpleNamespace(call_soon=call_soon, wait_for=wait_for)
    coordinator.need_rejoin = lambda: coordinator.rejoin_needed
    coordinator.ensure_coordinator_ready_async = coordinator._on_join_prepare_async = nothing
    coordinator._disable_heartbeat = coordinator._enable_heartbeat = lambda: None
    coordinator._on_join_complete_async = complete

    def poll() -> bool:
        with pytest.raises(StopIteration) as end:
            coordinator.join_group_async(timeout_ms=10).send(None)
        return end.value.value

    assert poll() is False
    joins[0].success(b"assignment")
    assert poll() is True
    assert (len(joins), completed) == (1, [b"assignment"])


def test_a_topic_that_is_named_while_metadata_is_on_the_way_is_asked_for_next():
    kafka_internals.mend()
    sent: list[Future] = []
    asked: list[list[str]] = []

    def send(request: Any, _node: object) -> Future:
        asked.append([topic.name for topic in request.topics])
        sent.append(Future())
        return sent[-1]

    cluster = ClusterMetadata(bootstrap_servers="localhost:1")
    cluster._manager = SimpleNamespace(
        send=send, least_loaded_node=lambda: 1, reset_backoff=lambda _: None, connection_delay=lambda _: 0
    )
    cluster._wakeup = SimpleNamespace(notify=lambda: None)
    cluster.start_refresh_loop = lambda: None

    def refresh(meanwhile: Callable[[], object] = lambda: None) -> None:
        task = cluster.refresh_metadata()
        task.send(None)
        meanwhile()
        broker = MetadataResponse.MetadataResponseBroker(version=5, node_id=1, host="localhost", port=1, rack=None)
        answer = MetadataResponse(version=5, brokers=[broker])
        answer.topics = [
            MetadataResponse.MetadataResponseTopic(version=5, error_code=0, name=name, partitions=[])
            for name in asked[-1]
        ]
        sent[-1].success(answer)
        with pytest.raises(StopIteration):
            task.send(None)

    refresh(meanwhile=lambda: cluster.set_topics(["t"]))
    assert cluster.need_update
    refresh()
    assert not cluster.need_update
    assert asked == [[], ["t"]]
    assert cluster.topics() == {"t"}


def test_mending_twice_changes_nothing():
    kafka_internals.mend()
    before = kafka_internals.Parser.take
    kafka_internals.mend()
    assert kafka_internals.Parser.take is before
