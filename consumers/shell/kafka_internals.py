"""Everything that reaches into the Kafka client, in one place. Written for kafka-python 3.0.12, hence the pin `<3.1`.

- A header name that is not UTF-8 raises where the client takes a batch apart. Kafka itself takes any bytes there, so
  one such record would stop its partition. Here the name is kept, its bad bytes written as `\\xff`.
- A batch that cannot be taken apart leaves its parser dead but in place, and the next `poll` spins on it for ever, also
  long after the error was raised. Here the parser is put away; the client fetches the batch again.
- A partition that is paused with fetched records left over waits for ever after it is resumed, if another partition was
  fetched meanwhile: the place for the records being read is never seen as free again. Here it is.
- What comes together with the end of a connection is thrown away unread: a broker that refuses a password says so and
  hangs up, and the client only tells that somebody has hung up. Here it is read first.
- A join that comes to its end between two polls is forgotten, and the next poll joins anew, which makes all other
  members do so as well; under load that can go on for a minute. Here its outcome is kept until a poll has taken it.
- A join that turns out to be needless while it is under way, because a topic that seemed to change did not, is never
  brought to its end: without heartbeats and commits, but with records. Here whoever has begun to join goes on.
- An answer to a question for a commit that came when nobody waited any more is kept, and given to whoever asks next,
  however old it is by then. `committed` forgets such answers.
- Offsets that the broker refuses within a transaction, after a rebalance say, are kept when it is aborted and travel
  with the next one: events would be marked as done whose results were aborted. Here they end with their transaction.
- A member that the group forgot while it joined keeps its partitions without a word, and claims them as its own, also
  where others have them by now. Here it loses them first, as one does that hears of it at another time.
- A topic that is named while metadata without it is on the way is taken for known when that arrives, and not asked for
  before `metadata_max_age_ms`: a consumer that subscribes while it connects, as its constructor does, may read nothing
  for five minutes. Here it is asked for next.
- The client's event loop is not asyncio, and has no public wait with a deadline.
- Where fetching goes on can be asked for only with a call that may wait and raise, and the ends of partitions only with
  one that waits. `next_offset` reads the one, `ask_for_ends` leaves the other to come.
- Clients have no end that cannot hang: `cut` and `abandon` end one that nobody waits for any more.
"""

import contextlib
import functools
import socket
import time
from collections.abc import Collection, Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.cluster import ClusterMetadata
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaError
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.producer.transaction_manager import TransactionManager
from kafka.protocol.consumer import OffsetSpec
from kafka.record.default_records import DefaultRecordBatch
from kafka.structs import OffsetAndMetadata

Parser = Fetcher.PartitionRecords


class _Lenient(bytes):
    """Bytes of which every slice can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        got = super().__getitem__(place)
        return _Lenient(got) if isinstance(place, slice) else got

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - that is the point
        return super().decode(encoding, "backslashreplace")


class _Join:
    """A join under way, or at its end; to the client it is under way until the outcome is taken."""

    def __init__(self, future: Any) -> None:
        self.add_callback = future.add_callback
        self.add_errback = future.add_errback
        self._future = future

    @property
    def is_done(self) -> bool:
        # Only after an error of Kafka the client puts it away by itself.
        error = self._future.exception
        return error is not None and not isinstance(error, KafkaError)


def _join_under_way(coordinator: Any) -> Any:
    return coordinator.__dict__["_join_task"]


def _set_join_under_way(coordinator: Any, future: Any) -> None:
    coordinator.__dict__["_join_task"] = None if future is None else _Join(future)


@functools.cache
def mend() -> None:
    """Mend the client in this process; call before a consumer or a transaction. Further calls do nothing."""
    DefaultRecordBatch._read_msg = _reading_any_header(DefaultRecordBatch._read_msg)
    Parser.take = _putting_away_the_dead(Parser.take)
    Fetcher.fetched_records = _taking_up_what_was_paused(Fetcher.fetched_records)
    ConsumerCoordinator.need_rejoin = _finishing_what_was_begun(ConsumerCoordinator.need_rejoin)
    BaseCoordinator._join_task = property(_join_under_way, _set_join_under_way)
    TransactionManager._complete_transaction = _forgetting_offsets(TransactionManager._complete_transaction)
    for transport in (KafkaTCPTransport, KafkaSSLTransport):
        transport._sock_recv = _reading_last_words(transport._sock_recv)
    BaseCoordinator.reset_generation = _losing_first(BaseCoordinator.reset_generation)
    ClusterMetadata._do_refresh_metadata = _asking_for_new_topics(ClusterMetadata._do_refresh_metadata)


def _losing_first(reset: Any) -> Any:
    @functools.wraps(reset)
    def lose(coordinator: Any, *given: Any, **named: Any) -> None:
        reset(coordinator, *given, **named)
        # What is done once per attempt to join, the loss of partitions among it, is done again.
        coordinator.rejoining = False

    return lose


def _asking_for_new_topics(refresh: Any) -> Any:
    @functools.wraps(refresh)
    async def ask(cluster: Any, node_id: Any) -> None:
        asked = _topics_to_ask_for(cluster)
        await refresh(cluster, node_id)
        if asked != _topics_to_ask_for(cluster):
            cluster.request_update()

    return ask


def _topics_to_ask_for(cluster: Any) -> tuple[bool, frozenset[str]]:
    return cluster.need_all_topic_metadata, frozenset(cluster._topics)


async def wait_for(consumer: KafkaConsumer, future: Any, timeout_s: float) -> None:
    """Await a future of the client on its own loop; raise `KafkaError` after `timeout_s`."""
    await consumer._manager.wait_for(future, timeout_s * 1000)


def sleep(consumer: KafkaConsumer, seconds: float) -> Any:
    """Await some time on the client's own loop."""
    return consumer._net.sleep(seconds)


def rejoin(consumer: KafkaConsumer) -> None:
    """Join the group once more with the next poll; what is owned stays."""
    consumer._coordinator.request_rejoin()


def committed(consumer: KafkaConsumer, partition: TopicPartition, timeout_ms: float) -> OffsetAndMetadata | None:
    """The commit of a partition as it is now, not as it was when somebody asked before."""
    consumer._coordinator._offset_fetch_futures.clear()
    return consumer.committed(partition, metadata=True, timeout_ms=timeout_ms)


def known_topics(consumer: KafkaConsumer) -> tuple[Mapping[str, int], Collection[str]] | None:
    """Partitions per topic, and the topics that may not be read, as the client last heard; None before it did."""
    cluster = consumer._cluster
    if not cluster.brokers():
        return None
    return {
        topic: len(partitions) for topic, partitions in list(cluster._partitions.items())
    }, cluster.unauthorized_topics


def topic_id(consumer: KafkaConsumer, topic: str) -> Any:
    """The id of a topic, as the client last heard: another one if it is made anew. None where it has none."""
    return consumer._cluster.topic_id(topic)


def next_offset(consumer: KafkaConsumer, partition: TopicPartition) -> int | None:
    """Where fetching goes on, past markers and gaps that were seen; None where the client does not know."""
    state = consumer._subscription.assignment.get(partition)
    return None if state is None or state.position is None else int(state.position.offset)


def ask_for_ends(consumer: KafkaConsumer, partitions: Collection[TopicPartition]) -> Any:
    """Ask the brokers for the ends of these; a future of (offsets by partition, those to ask for again)."""
    wanted = dict.fromkeys(partitions, OffsetSpec.LATEST)
    return consumer._manager.call_soon(consumer._fetcher._send_list_offsets_requests, wanted)


def cut(consumer: KafkaConsumer, within_s: float) -> None:
    """End a client whatever its threads are waiting for: out of the group, its loop stopped, its sockets closed.

    Frees a thread that waits for the loop, with an error. Takes about twice `within_s` at most.
    """
    net, coordinator, manager = consumer._net, consumer._coordinator, consumer._manager
    consumer._closed = coordinator._heartbeat_closed = True
    # Its poll thread may be awake, and would join again.
    coordinator.need_rejoin = lambda: False
    with contextlib.suppress(Exception):
        leaving = manager.call_soon(coordinator.maybe_leave_group_async)
        until = time.monotonic() + within_s
        while not leaving.is_done and time.monotonic() < until:
            time.sleep(0.01)
    # Before the loop stops: without it the refresh of metadata goes on for ever, as fast as it can.
    with contextlib.suppress(Exception):
        manager.close()
    with contextlib.suppress(Exception):
        net.stop(timeout_ms=within_s * 1000)
    for connection in list(manager._conns.values()):
        with contextlib.suppress(Exception):
            connection.transport._sock.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(Exception):
        net.close()


def abandon(producer: KafkaProducer) -> None:
    """End a producer without waiting for anything, also when the process ends."""
    producer._unregister_cleanup()
    producer._closed = True
    producer._sender.force_close()


def _reading_any_header(strict: Any) -> Any:
    @functools.wraps(strict)
    def read(batch: Any) -> Any:
        try:
            return strict(batch)
        except UnicodeDecodeError:
            # For the rest of the batch: such names seldom come alone.
            batch._buffer = _Lenient(batch._buffer)
            return strict(batch)

    return read


def _forgetting_offsets(complete: Any) -> Any:
    @functools.wraps(complete)
    def forget(manager: Any) -> None:
        with manager._lock:
            manager._pending_txn_offset_commits.clear()
            complete(manager)

    return forget


def _putting_away_the_dead(take: Any) -> Any:
    @functools.wraps(take)
    def put_away(parser: Any, most: int | None = None) -> Any:
        try:
            return take(parser, most)
        except Exception:
            parser.drain()
            raise

    return put_away


def _taking_up_what_was_paused(fetched: Any) -> Any:
    @functools.wraps(fetched)
    def take_up(fetcher: Any, *args: Any, **more: Any) -> Any:
        # Read to its end it is false, but not None; the client looks for None.
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None
        return fetched(fetcher, *args, **more)

    return take_up


def _finishing_what_was_begun(needed: Any) -> Any:
    @functools.wraps(needed)
    def need(coordinator: Any) -> bool:
        return bool(coordinator.rejoining or needed(coordinator))

    return need


def _reading_last_words(receive: Any) -> Any:
    @functools.wraps(receive)
    def read(transport: Any) -> Any:
        data, error = receive(transport)
        # The end is still there at the next call.
        return data, None if data else error

    return read
