"""The events of a run as columns by their number: some 200 bytes an event, so that millions fit. Pure."""

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.loadtest.measuring.observations import NOWHERE, Place

_LOOSE, _KNOWN, _PLACED = 1, 2, 4
_HOLE = 4096
_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event, and where the broker put it."""

    number: int
    place: Place
    kind: str
    event_id: str
    #: None for what is no event: it must end as a dead letter.
    listing: str | None = None
    revision: int = 0
    #: The listing's events stand in several topics, between which no order is promised.
    loose: bool = False


class _Numbers:
    """Numbers by the offsets of a partition: 4 bytes each, as long as the offsets have few holes."""

    def __init__(self) -> None:
        self._base = 0
        self._dense = array("i")
        #: What lies before the first offset, or far beyond the others.
        self._far: dict[int, int] = {}

    def put(self, offset: int, number: int) -> None:
        if not self._dense:
            self._base = offset
        at = offset - self._base
        if not 0 <= at < len(self._dense) + _HOLE:
            self._far[offset] = number
            return
        self._dense.extend([_NONE] * (at + 1 - len(self._dense)))
        self._dense[at] = number

    def get(self, offset: int) -> int | None:
        at = offset - self._base
        number = self._dense[at] if 0 <= at < len(self._dense) else _NONE
        return self._far.get(offset) if number == _NONE else number


class Roster:
    """Events by number and by the place where they stand, which no two share. Numbers should be dense from 0 or 1."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._listings: list[str | None] = []
        self._kinds: list[str] = []
        self._revisions = array("q")
        self._flags = bytearray()
        self._offsets = array("q")
        self._partitions = array("i")
        #: By partition; partitions by their index.
        self._numbers: list[_Numbers] = []
        self._index: dict[tuple[str, int], int] = {}
        self._names: list[tuple[str, int]] = []
        self._same: dict[str, str] = {}

    def __len__(self) -> int:
        """One more than the largest number."""
        return len(self._flags)

    def add(self, entry: Entry) -> None:
        """Enter an event, with its place if it has one."""
        for _ in range(len(self._flags), entry.number + 1):
            self._grow()
        at = entry.number
        self._ids[at] = entry.event_id
        # Revisions of a listing and duplicates of an event share one string each.
        self._listings[at] = None if entry.listing is None else self.same(entry.listing)
        self._kinds[at] = sys.intern(str(entry.kind))
        self._revisions[at] = entry.revision
        self._flags[at] = _KNOWN | (_LOOSE if entry.loose else 0)
        if entry.place != NOWHERE:
            self.put(at, entry.place)

    def same(self, listing: str) -> str:
        """The one string that is kept of this name."""
        return self._same.setdefault(listing, listing)

    def _grow(self) -> None:
        self._ids.append("")
        self._listings.append(None)
        self._kinds.append("")
        self._revisions.append(0)
        self._flags.append(0)
        self._offsets.append(-1)
        self._partitions.append(-1)

    def put(self, number: int, place: Place) -> None:
        """Note where an event stands."""
        name = (place.topic, place.partition)
        index = self._index.get(name)
        if index is None:
            index = self._index[name] = len(self._names)
            self._names.append(name)
            self._numbers.append(_Numbers())
        self._numbers[index].put(place.offset, number)
        self._partitions[number], self._offsets[number] = index, place.offset
        self._flags[number] |= _PLACED

    def find(self, place: Place) -> int | None:
        """The number of the event that stands there."""
        index = self._index.get((place.topic, place.partition))
        return None if index is None else self._numbers[index].get(place.offset)

    def known(self, number: int) -> bool:
        """Whether there is an event of this number."""
        return 0 <= number < len(self._flags) and bool(self._flags[number])

    def placed(self, number: int) -> bool:
        """Whether it is known where the event stands."""
        return bool(self._flags[number] & _PLACED)

    def event_id(self, number: int) -> str:
        """The id of an event."""
        return self._ids[number]

    def kind(self, number: int) -> str:
        """The kind of an event."""
        return self._kinds[number]

    def listing(self, number: int) -> str | None:
        """The listing of an event."""
        return self._listings[number]

    def loose(self, number: int) -> bool:
        """Whether its listing uses several topics."""
        return bool(self._flags[number] & _LOOSE)

    def revision(self, number: int) -> int:
        """The revision of an event."""
        return self._revisions[number]

    def place(self, number: int) -> Place:
        """Where an event stands, `NOWHERE` where that is not known."""
        if not self.placed(number):
            return NOWHERE
        topic, partition = self._names[self._partitions[number]]
        return Place(topic, partition, self._offsets[number])

    def entry(self, number: int) -> Entry:
        """All of an event."""
        return Entry(
            number=number,
            place=self.place(number),
            kind=self._kinds[number],
            event_id=self._ids[number],
            listing=self._listings[number],
            revision=self._revisions[number],
            loose=self.loose(number),
        )

    def numbers(self) -> Iterator[int]:
        """The numbers of all events, in their order."""
        return (number for number, flags in enumerate(self._flags) if flags)
