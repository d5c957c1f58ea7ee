"""One partition: entries, transactions that are open in it, and what a reader sees."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from kafka.errors import OffsetOutOfRangeError


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, or the marker that ends a transaction: it takes an offset and nobody reads it."""

    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    #: Id of the transactional producer.
    producer: int | None = None
    control: bool = False


class PartitionLog:
    """An append-only log from which retention and compaction may take away."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.start = 0
        self.end = 0
        self._open: dict[int, int] = {}
        self._aborted: list[tuple[int, int, int]] = []

    @property
    def stable(self) -> int:
        """The last stable offset: what lies beyond may still be aborted."""
        return min(self._open.values(), default=self.end)

    def append(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes]] = (),
        producer: int | None = None,
    ) -> int:
        """Write a record; `producer` makes it part of that producer's transaction. Return its offset."""
        if producer is not None:
            self._open.setdefault(producer, self.end)
        return self._write(Entry(self.end, timestamp, key, value, tuple(headers), producer))

    def end_transaction(self, producer: int, timestamp: int, *, commit: bool) -> None:
        """Write the marker of a transaction that wrote here."""
        first = self._open.pop(producer, None)
        if first is None:
            return
        if not commit:
            self._aborted.append((producer, first, self.end))
        self._write(Entry(self.end, timestamp, producer=producer, control=True))

    def read(self, position: int, most: int, *, committed: bool) -> tuple[list[Entry], int]:
        """Records from `position` on and where reading goes on; raise OffsetOutOfRangeError outside the log."""
        if not self.start <= position <= self.end:
            raise OffsetOutOfRangeError
        limit = self.stable if committed else self.end
        found: list[Entry] = []
        place = bisect_left(self.entries, position, key=lambda entry: entry.offset)
        for entry in self.entries[place:]:
            if entry.offset >= limit:
                break
            if len(found) == most:
                return found, found[-1].offset + 1
            if not entry.control and not (committed and self._is_aborted(entry)):
                found.append(entry)
        return found, max(position, limit)

    def fate(self, entry: Entry) -> bool | None:
        """Whether the entry counts: False where it was aborted, None while nobody knows."""
        if entry.producer is not None and entry.offset >= self._open.get(entry.producer, self.end):
            return None
        return not self._is_aborted(entry)

    def compact(self, offsets: Iterable[int]) -> None:
        """Take records out; their offsets stay empty."""
        gone = set(offsets)
        self.entries = [entry for entry in self.entries if entry.offset not in gone]

    def skip(self, count: int) -> None:
        """So many offsets are used up by what nobody will ever read."""
        self.end += count

    def trim(self, start: int) -> None:
        """Retention: the log begins at `start` from now on."""
        self.start = max(self.start, min(start, self.end))
        self.entries = [entry for entry in self.entries if entry.offset >= self.start]

    def _is_aborted(self, entry: Entry) -> bool:
        return any(p == entry.producer and first <= entry.offset < last for p, first, last in self._aborted)

    def _write(self, entry: Entry) -> int:
        self.entries.append(entry)
        self.end += 1
        return entry.offset
