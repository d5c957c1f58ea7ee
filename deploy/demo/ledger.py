"""The ledger: every event that was sent, and the one answer or dead letter that it got. Pure, without I/O."""

from collections import Counter
from dataclasses import dataclass, field

from deploy.contracts.outcomes import DEAD_LETTER
from deploy.demo.script import PlannedEvent
from serve.schemas.result import ListingResult, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter as it was read back."""

    position: Position
    code: str
    message: str
    value: bytes | None
    event_id: str | None = None


@dataclass(slots=True, kw_only=True)
class Entry:
    """One event that was sent, and what came back for it."""

    number: int
    event: PlannedEvent
    position: Position
    results: list[ListingResult] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    @property
    def answers(self) -> int:
        """How many answers it got; 1 is right."""
        return len(self.results) + len(self.dead)

    @property
    def ending(self) -> str | None:
        """The outcome, `dead letter`, or None while it is open."""
        if self.results:
            return self.results[0].outcome.value
        return DEAD_LETTER if self.dead else None

    @property
    def code(self) -> str | None:
        """The reason that the answer gives."""
        if self.results:
            return self.results[0].code
        return self.dead[0].code if self.dead else None

    @property
    def problem(self) -> str | None:
        """What is wrong with how the event ended, if anything."""
        name = self.event.label or self.event.listing_id or "event"
        if self.ending is None:
            return f"event {self.number} ({name}) has no answer"
        if self.answers > 1:
            return f"event {self.number} ({name}) has {self.answers} answers"
        if not self.event.expected.met_by(self.ending, self.code):
            found = f"{self.ending} ({self.code})" if self.code else self.ending
            return f"event {self.number} ({name}) ended as {found}, expected {self.event.expected}"
        return None


class Ledger:
    """Matches answers with events by the Kafka position, which no two events share."""

    def __init__(self) -> None:
        self._entries: dict[Position, Entry] = {}
        #: Answers whose event is not entered yet: they may overtake the broker's acknowledgement.
        self._early: dict[Position, list[ListingResult | DeadLetter]] = {}

    def sent(self, event: PlannedEvent, position: Position) -> Entry:
        """Enter an event that the broker has."""
        entry = Entry(number=len(self._entries) + 1, event=event, position=position)
        self._entries[position] = entry
        for answer in self._early.pop(position, []):
            self._enter(entry, answer)
        return entry

    def answered(self, answer: ListingResult | DeadLetter) -> None:
        """Enter an answer; one without a position cannot be of this run."""
        if answer.position is None:
            return
        entry = self._entries.get(answer.position)
        if entry is None:
            self._early.setdefault(answer.position, []).append(answer)
        else:
            self._enter(entry, answer)

    @staticmethod
    def _enter(entry: Entry, answer: ListingResult | DeadLetter) -> None:
        if isinstance(answer, DeadLetter):
            entry.dead.append(answer)
        else:
            entry.results.append(answer)

    @property
    def entries(self) -> list[Entry]:
        """All entries in the order in which they were sent."""
        return list(self._entries.values())

    @property
    def open(self) -> int:
        """How many events have no answer yet."""
        return sum(1 for entry in self._entries.values() if not entry.answers)

    @property
    def endings(self) -> Counter[str]:
        """How many events ended in each way."""
        return Counter(entry.ending for entry in self._entries.values() if entry.ending is not None)

    @property
    def results(self) -> list[ListingResult]:
        """The first result of each answered event."""
        return [entry.results[0] for entry in self._entries.values() if entry.results]

    @property
    def problems(self) -> list[str]:
        """Everything that did not go as expected."""
        return [entry.problem for entry in self._entries.values() if entry.problem is not None]
