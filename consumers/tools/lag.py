"""How far a group is behind: numbers in, rows out. No I/O, no clock.

A commit names the offset below which everything is done and, in its metadata, what is done beyond. So lag is not all
of what is left: of the `lag` offsets up to the end, `done` are finished already and `open` are not.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consumers.core import bitmap
from consumers.records import TopicPartition
from consumers.tools.log_reader import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the brokers say about a partition."""

    tp: TopicPartition
    held: Span
    committed: int | None = None
    metadata: str = ""
    member: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A partition, and how far the group is in it."""

    tp: TopicPartition
    committed: int | None
    end: int
    lag: int
    done: int
    member: str | None
    #: The first offset that is not done; None where all is.
    oldest: int | None
    #: Age of the record there, in seconds; None where there is none, or it could not be read.
    age_s: float | None = None
    #: Offsets that retention removed before they were done.
    removed: int = 0
    note: str = ""

    @property
    def open(self) -> int:
        """Offsets that are not done."""
        return self.lag - self.done

    @property
    def progress(self) -> int:
        """Grows whenever something is done."""
        return (self.committed or 0) + self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Partitions taken together."""

    lag: int = 0
    done: int = 0
    open: int = 0
    removed: int = 0
    #: Age of the oldest of all that is not done.
    age_s: float | None = None

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Totals":
        """Sum up."""
        every = list(rows)
        return cls(
            lag=sum(row.lag for row in every),
            done=sum(row.done for row in every),
            open=sum(row.open for row in every),
            removed=sum(row.removed for row in every),
            age_s=max((row.age_s for row in every if row.age_s is not None), default=None),
        )


def row_of(reading: Reading, *, from_earliest: bool = True) -> Row:
    """The row of a partition, without its age. `from_earliest`: where a worker without a commit begins."""
    held, committed = reading.held, reading.committed
    base = (held.start if from_earliest else held.end) if committed is None else max(committed, held.start)
    beyond = done_of(reading)
    done = sum(base <= offset < held.end for offset in beyond)
    removed = 0
    if committed is not None and committed < held.start:
        removed = held.start - committed - sum(offset < held.start for offset in beyond)
    return Row(
        tp=reading.tp,
        committed=committed,
        end=held.end,
        lag=max(0, held.end - base),
        done=done,
        member=reading.member,
        oldest=next((offset for offset in range(base, held.end) if offset not in beyond), None),
        removed=removed,
        note=_note(reading, removed),
    )


def done_of(reading: Reading) -> frozenset[int]:
    """The offsets beyond the committed one that are done."""
    return frozenset() if reading.committed is None else bitmap.decode(reading.committed, reading.metadata)


class Idle:
    """For how long nothing was done, while somebody watches."""

    def __init__(self) -> None:
        self._seen: dict[TopicPartition, int] = {}
        self._since: float | None = None

    def seconds(self, now: float, rows: Iterable[Row]) -> float:
        """Seconds since a row last changed; 0 at first."""
        progress = {row.tp: row.progress for row in rows}
        if self._since is None or progress != self._seen:
            self._seen, self._since = progress, now
        return now - self._since


def _note(reading: Reading, removed: int) -> str:
    if reading.committed is None:
        return "no commit"
    if removed:
        return f"{removed} removed by retention before they were done"
    if reading.committed > reading.held.end:
        return "committed beyond the end: the topic was made anew, or lost data"
    return ""
