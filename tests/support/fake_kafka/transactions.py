"""The transaction coordinator: ids and epochs of transactional producers, and what each has open."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kafka import TopicPartition
from kafka.errors import InvalidTxnStateError, ProducerFencedError

if TYPE_CHECKING:
    from tests.support.fake_kafka.broker import FakeBroker

#: The broker writes the markers of a decided transaction by itself, at the latest after this time.
_FINISH_S = 5.0


@dataclass(slots=True)
class Transaction:
    """The state behind one transactional id."""

    producer: int
    timeout_s: float
    epoch: int = 0
    opened_at: float | None = None
    #: The decision, while its markers are not written yet.
    prepared: bool | None = None
    prepared_at: float = 0.0
    partitions: set[TopicPartition] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


class Transactions:
    """All transactional ids of a broker."""

    def __init__(self, broker: "FakeBroker") -> None:
        self._broker = broker
        self._by_id: dict[str, Transaction] = {}

    def begin(self, transactional_id: str, timeout_s: float) -> tuple[int, int]:
        """A producer starts: end what its predecessor left, fence it. Producer id and epoch."""
        found = self._by_id.get(transactional_id)
        if found is None:
            found = self._by_id[transactional_id] = Transaction(len(self._by_id) + 1000, timeout_s)
            return found.producer, found.epoch
        found.epoch += 1
        found.timeout_s = timeout_s
        if found.prepared is None:
            self._finish(found, commit=False)
        else:
            self._finish(found, commit=found.prepared)
        return found.producer, found.epoch

    def add_partition(self, transactional_id: str, epoch: int, tp: TopicPartition) -> int:
        """The transaction writes there; return the producer id."""
        found = self._open(transactional_id, epoch)
        found.partitions.add(tp)
        return found.producer

    def add_group(self, transactional_id: str, epoch: int, group: str) -> int:
        """The transaction has offsets of this group; return the producer id."""
        found = self._open(transactional_id, epoch)
        found.groups.add(group)
        return found.producer

    def prepare(self, transactional_id: str, epoch: int, *, commit: bool) -> None:
        """Take the decision; `finish` makes it seen."""
        found = self._current(transactional_id, epoch)
        if found.opened_at is None:
            return
        if found.prepared not in (None, commit):
            raise InvalidTxnStateError
        found.prepared, found.prepared_at = commit, self._broker.now

    def finish(self, transactional_id: str) -> None:
        """Write the markers of a decision that was taken."""
        found = self._by_id[transactional_id]
        if found.prepared is not None:
            self._finish(found, commit=found.prepared)

    def expire(self, now: float) -> None:
        """Abort what is open for too long, and fence who had it open; finish what was decided a while ago."""
        for found in self._by_id.values():
            if found.prepared is not None and now - found.prepared_at > _FINISH_S:
                self._finish(found, commit=found.prepared)
            if found.opened_at is not None and found.prepared is None and now - found.opened_at > found.timeout_s:
                found.epoch += 1
                self._finish(found, commit=False)

    def is_open(self, transactional_id: str) -> bool:
        """Whether the id has a transaction whose markers are not written."""
        found = self._by_id.get(transactional_id)
        return found is not None and found.opened_at is not None

    def _current(self, transactional_id: str, epoch: int) -> Transaction:
        found = self._by_id[transactional_id]
        if found.epoch != epoch:
            raise ProducerFencedError
        return found

    def _open(self, transactional_id: str, epoch: int) -> Transaction:
        found = self._current(transactional_id, epoch)
        if found.opened_at is None:
            found.opened_at = self._broker.now
        return found

    def _finish(self, found: Transaction, *, commit: bool) -> None:
        for tp in sorted(found.partitions):
            log = self._broker.find(tp)
            if log is not None:
                log.end_transaction(found.producer, self._broker.now_ms, commit=commit)
        for group in sorted(found.groups):
            self._broker.group(group).end_transaction(found.producer, commit=commit)
        found.opened_at = found.prepared = None
        found.partitions.clear()
        found.groups.clear()
