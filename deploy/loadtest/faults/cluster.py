"""The brokers of a run, and who of them holds which office."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from consumers.settings import ConsumerSettings
from deploy.errors import ServiceFailed
from deploy.services.kafka_real import RealKafka
from deploy.services.processes import send_signal

_OFFSETS = "__consumer_offsets"
_TRANSACTIONS = "__transaction_state"
_ASK_EVERY_S = 0.5
_SYNC_S = 60.0
_PREFERRED = 0


class Cluster:
    """`Brokers` on a real Kafka. `transactional_ids` tells the names that the workers of the moment use."""

    def __init__(
        self, kafka: RealKafka, settings: ConsumerSettings, transactional_ids: Callable[[], Sequence[str]] = list
    ) -> None:
        self._kafka = kafka
        self._settings = settings
        self._transactional_ids = transactional_ids
        self._fallen: set[int] = set()

    def nodes(self) -> Sequence[int]:
        """Their numbers, from 1."""
        return range(1, len(self._kafka.processes()) + 1)

    @property
    def fallen(self) -> frozenset[int]:
        """Those that were killed and are not back yet."""
        return frozenset(self._fallen)

    def kill(self, node: int) -> None:
        """SIGKILL."""
        self._fallen.add(node)
        self._kafka.kill(node)

    def restart(self, node: int) -> None:
        """Start it and wait until every copy is in sync: the next broker may only fall when all are there."""
        self._kafka.restart(node)
        self._fallen.discard(node)
        self._wait_in_sync(node)

    def freeze(self, node: int) -> None:
        """SIGSTOP."""
        send_signal(self._kafka.processes()[node - 1], signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """SIGCONT, and wait until every copy is in sync."""
        send_signal(self._kafka.processes()[node - 1], signal.SIGCONT)
        self._wait_in_sync(node)

    def _wait_in_sync(self, node: int) -> None:
        deadline = time.monotonic() + _SYNC_S
        while behind := self._behind():
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{behind} partitions are out of sync {_SYNC_S:g} s after broker {node} came back")
            time.sleep(_ASK_EVERY_S)

    def group_coordinator(self) -> int:
        """The leader of the partition that holds the group's offsets."""
        return self._leader(_OFFSETS, self._settings.group)

    def transaction_coordinator(self) -> int:
        """The leader of the partition that holds the state of a worker's transactions."""
        return self._leader(_TRANSACTIONS, self._transactional_ids()[0])

    def move_group_coordinator(self) -> str:
        """Put another node first among the holders of the group's partition, and have that elected."""
        with self._admin() as admin:
            found = self._partition(admin, _OFFSETS, self._settings.group)
            place = TopicPartition(_OFFSETS, found["partition_index"])
            before = found["leader_id"]
            order = [node for node in found["replica_nodes"] if node != before]
            refused = admin.alter_partition_reassignments({place: [*order, before]})
            if any(refused.values()):
                raise ServiceFailed(f"{place} cannot be reassigned: {refused}")
            admin.elect_leaders(_PREFERRED, {_OFFSETS: [place.partition]}, raise_errors=False)
        return f"from broker {before} to {order[0]}"

    def _leader(self, topic: str, key: str) -> int:
        with self._admin() as admin:
            return int(self._partition(admin, topic, key)["leader_id"])

    @staticmethod
    def _partition(admin: KafkaAdminClient, topic: str, key: str) -> Any:
        [found] = admin.describe_topics([topic])
        partitions = sorted(found["partitions"], key=lambda one: int(one["partition_index"]))
        return partitions[office(key, len(partitions))]

    def _behind(self) -> int:
        try:
            with self._admin() as admin:
                partitions = [one for topic in admin.describe_topics() for one in topic["partitions"]]
        except KafkaError:
            return -1
        return sum(1 for one in partitions if len(one["isr_nodes"]) < len(one["replica_nodes"]))

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        with closing(KafkaAdminClient(**self._settings.client())) as admin:
            yield admin


def office(key: str, partitions: int) -> int:
    """The partition of an internal topic that is responsible for a group or a transactional id: Java's string hash."""
    value = 0
    raw = key.encode("utf-16-be")
    for at in range(0, len(raw), 2):
        number = int.from_bytes(raw[at : at + 2], "big")
        value = (31 * value + number) & 0xFFFFFFFF
    signed = value - 2**32 if value >= 2**31 else value
    # Kafka takes 0 for the one number whose absolute value Java cannot hold.
    return (0 if signed == -(2**31) else abs(signed)) % partitions
