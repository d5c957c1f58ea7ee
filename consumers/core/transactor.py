"""When to make what visible, in transactional delivery: messages and offsets together, one transaction at a time.

The offsets of a transaction are those that are done once its messages are visible. Whether it was committed is told
by the shell, or follows from what the broker has as committed offsets.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from consumers.core.actions import Transact
from consumers.core.limits import Limits
from consumers.core.outbox import Outbox, Parcel
from consumers.core.task import Assignment
from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition


@dataclass(frozen=True, slots=True)
class _UnderWay:
    txn_id: int
    parcels: tuple[Parcel, ...]
    snapshots: tuple[tuple[Assignment, Snapshot], ...]


class Transactor:
    """Forms transactions; at most one is under way."""

    def __init__(self, limits: Limits, outbox: Outbox) -> None:
        self._limits = limits
        self._outbox = outbox
        self._last_id = 0
        self._due_at = 0.0
        self._not_before = 0.0
        self._under_way: _UnderWay | None = None
        self._stored: tuple[tuple[Assignment, Snapshot], ...] = ()
        self.with_bitmap = True
        #: Failures in a row.
        self.failures = 0

    @property
    def under_way(self) -> bool:
        """Whether a transaction waits for its answer."""
        return self._under_way is not None

    def due(self, now: float, assignments: Collection[Assignment], *, at_once: bool = False) -> Transact | None:
        """The transaction to make now, if it is time and there is anything to make visible."""
        full = self._outbox.fresh >= self._limits.transaction_messages
        if self.under_way or now < self._not_before or not (at_once or full or now >= self._due_at):
            return None
        self._due_at = now + self._limits.transaction_every_s
        if self.with_bitmap:
            parcels = self._outbox.take(now, self._limits.transaction_messages)
        else:
            parcels = self._contiguous(self._outbox.take(now))
        answered = _offsets(parcels)
        snapshots = []
        for home in assignments:
            also = answered.get(home.epoch, ())
            if also or home.tracker.version != home.committed_version:
                snapshot = home.tracker.snapshot(also, with_bitmap=self.with_bitmap)
                if snapshot is not None:
                    snapshots.append((home, snapshot))
        if not snapshots:
            return None
        self._last_id += 1
        self._under_way = _UnderWay(self._last_id, tuple(parcels), tuple(snapshots))
        offsets = {home.tp: snapshot for home, snapshot in snapshots}
        return Transact(self._last_id, tuple(parcel.message for parcel in parcels), offsets)

    def _contiguous(self, parcels: list[Parcel]) -> list[Parcel]:
        """Those that the committed offset alone can mark as done; the others wait until it can."""
        answered = _offsets(parcels)

        def covered(parcel: Parcel) -> bool:
            home = parcel.task.home
            snapshot = home.tracker.snapshot(answered[home.epoch], with_bitmap=False)
            return snapshot is not None and parcel.task.record.offset < snapshot.offset

        verdicts = [covered(parcel) for parcel in parcels]
        self._outbox.put_back(parcel for parcel, fits in zip(parcels, verdicts, strict=True) if not fits)
        return [parcel for parcel, fits in zip(parcels, verdicts, strict=True) if fits]

    def committed(self, txn_id: int) -> tuple[Parcel, ...]:
        """It was committed; what it made visible. Call `stored` when the tasks are done."""
        if (over := self._over(txn_id)) is None:
            return ()
        self.failures = 0
        self._stored = over.snapshots
        return over.parcels

    def stored(self) -> None:
        """The offsets of the last committed transaction are the broker's, unless more is done already."""
        for home, snapshot in self._stored:
            if home.tracker.snapshot(with_bitmap=self.with_bitmap) == snapshot:
                home.committed_version = home.tracker.version
        self._stored = ()

    def failed(self, txn_id: int, delay_s: float, now: float) -> bool:
        """It was aborted: everything in it goes again, later. False for one that is long over."""
        if (over := self._over(txn_id)) is None:
            return False
        self.failures += 1
        self._not_before = now + delay_s
        self._outbox.put_back(over.parcels)
        return True

    def was_committed(
        self, txn_id: int, found: Mapping[TopicPartition, Snapshot], owned: Mapping[TopicPartition, Assignment]
    ) -> bool:
        """Whether the broker's offsets say that it was committed.

        Only this worker commits for partitions that it still owns, so there its snapshot is found or it is not; all
        partitions of a transaction share its fate. Where none is owned any more nobody waits for the answer.
        """
        over = self._under_way
        if over is None or over.txn_id != txn_id:
            return False
        ours = [(home, snapshot) for home, snapshot in over.snapshots if owned.get(home.tp) is home]
        return bool(ours) and all(found.get(home.tp) == snapshot for home, snapshot in ours)

    def _over(self, txn_id: int) -> _UnderWay | None:
        over = self._under_way
        if over is None or over.txn_id != txn_id:
            return None
        self._under_way = None
        return over


def _offsets(parcels: Iterable[Parcel]) -> dict[int, list[int]]:
    """The offsets of these parcels by the epoch of their assignment."""
    found: dict[int, list[int]] = {}
    for parcel in parcels:
        found.setdefault(parcel.task.home.epoch, []).append(parcel.task.record.offset)
    return found
