"""What of one partition is received and done, and the one offset that may be committed.

Only offsets that were received are tracked. An offset that Kafka skipped (compaction, transaction markers) never
arrives; the next received offset proves that there is nothing to do for it.
"""

from collections import deque
from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

from consumers.core import bitmap


class Snapshot(NamedTuple):
    """Offset and metadata of one instant: they belong together."""

    offset: int
    metadata: str


class Tracker:
    """The offsets of one partition under one assignment.

    Invariants: `position` never falls; every received offset below it is complete; an offset is complete once.
    """

    def __init__(self, committed: int | None = None, metadata: str = "", known: Snapshot | None = None) -> None:
        """Go on from a commit: its offset and the bitmap of those done beyond it. None: never committed.

        `known` is what this worker knows to be done, whether or not it could commit it.
        """
        self._base = committed
        self._received: deque[int] = deque()
        self._open: set[int] = set()
        self._next = committed if committed is not None else -1
        self._resumed = set(bitmap.decode(committed, metadata)) if committed is not None else set[int]()
        self._done_below = -1
        self._version = 0
        if committed is not None and known is not None:
            self._done_below = known.offset
            self._resumed |= {offset for offset in bitmap.decode(*known) if offset >= committed}

    @property
    def tracked(self) -> int:
        """Offsets received and not yet below `position`: the window in use."""
        return len(self._received)

    @property
    def open(self) -> int:
        """Offsets of the window that are not done."""
        return len(self._open)

    @property
    def position(self) -> int | None:
        """First offset that is not known to be done; None before anything is known."""
        return self._base

    @property
    def expected(self) -> int:
        """No offset below this one is new; -1 before anything is known."""
        return self._next

    @property
    def version(self) -> int:
        """Rises whenever a snapshot would change."""
        return self._version

    def deliver(self, offset: int) -> bool:
        """Take note of a received offset; whether there is work to do for it.

        False for an offset that was done before the last crash and for one that was received before.
        """
        if offset < self._next:
            return False
        if self._base is None:
            self._base = offset
        self._next = offset + 1
        self._received.append(offset)
        fresh = offset >= self._done_below and offset not in self._resumed
        if fresh:
            self._open.add(offset)
        else:
            self._resumed.discard(offset)
        self._advance()
        return fresh

    def beyond(self, offset: int) -> bool:
        """Whether the window cannot hold this offset yet: once done it would not fit into the bitmap.

        Counted in offsets, not records: a gap takes room as well. Where nothing is open the window moves along.
        """
        return bool(self._open) and self._base is not None and offset - self._base >= bitmap.MAX_WINDOW

    def complete(self, offset: int) -> None:
        """Mark a received offset as done. Raise ValueError where it is not in work."""
        if offset not in self._open:
            raise ValueError(f"offset {offset} is not in work")
        self._open.remove(offset)
        self._version += 1
        self._advance()

    def snapshot(self, also: Collection[int] = (), *, with_bitmap: bool = True) -> Snapshot | None:
        """What to commit now, or as soon as the offsets `also` are done; None before anything is known."""
        if self._base is None:
            return None
        open_ = self._open.difference(also) if also else self._open
        base = next((offset for offset in self._received if offset in open_), self._next)
        if not with_bitmap:
            return Snapshot(base, "")
        done = (offset for offset in self._received if offset not in open_)
        return Snapshot(base, bitmap.encode(base, chain(done, self._resumed)))

    def _advance(self) -> None:
        received = self._received
        while received and received[0] not in self._open:
            received.popleft()
        base = received[0] if received else self._next
        if base != self._base:
            self._base = base
            self._version += 1
            if self._resumed:
                self._resumed = {offset for offset in self._resumed if offset >= base}
