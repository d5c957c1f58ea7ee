"""What became of every event, as columns by its number: a few bytes an event. Pure."""

from collections.abc import Mapping

from serve.schemas.outcome import Outcome

DEAD = "dead"
MISSING = "missing"
UNSENT = "unsent"

_NAMES = (DEAD, *(one.value for one in Outcome))
_CODES = {name: code for code, name in enumerate(_NAMES)}
_OUT, _UNSENT, _WRONG, _HIDDEN = 1, 2, 4, 8
_FULL = 255


class Fates:
    """Whether events were sent, and how they ended."""

    def __init__(self) -> None:
        self._flags = bytearray()
        #: Code of the first visible result, and how many there are.
        self._first = bytearray()
        self._shown = bytearray()
        #: Endings of events that have several visible results.
        self._several: dict[int, list[str]] = {}
        #: Codes by dead id, by event.
        self._letters: dict[int, dict[str, str]] = {}
        #: Events that somebody else than us may have seen; that a driver could not send; that have an answer.
        self.sent = self.unsent = self.answered = 0

    def grow(self, size: int) -> None:
        """Make room for the numbers below `size`."""
        for column in (self._flags, self._first, self._shown):
            column.extend(bytes(size - len(column)))

    # -- what happens --

    def hand(self, number: int) -> None:
        """It was given to a driver."""
        self._mark(number, self._flags[number] | _OUT)

    def refuse(self, number: int) -> None:
        """The driver could not send it."""
        self._mark(number, self._flags[number] | _UNSENT)

    def take(self, number: int) -> None:
        """It was sent for sure."""
        self._mark(number, (self._flags[number] | _OUT) & ~_UNSENT)

    def _mark(self, number: int, flags: int) -> None:
        sent, unsent = self.is_sent(number), bool(self._flags[number] & _UNSENT)
        self._flags[number] = flags
        self.sent += self.is_sent(number) - sent
        self.unsent += bool(flags & _UNSENT) - unsent

    def hide(self, number: int) -> None:
        """The reader hid a repeat of its result."""
        self._flags[number] |= _HIDDEN

    def mistake(self, number: int) -> None:
        """A result at its place names another event."""
        self._flags[number] |= _WRONG

    def show(self, number: int, ending: str) -> None:
        """A result of it is visible."""
        self.answered += not self.ended(number)
        if self._shown[number]:
            self._several.setdefault(number, [_NAMES[self._first[number]]]).append(ending)
        else:
            self._first[number] = _CODES[ending]
        self._shown[number] = min(_FULL, self._shown[number] + 1)

    def bury(self, number: int, dead_id: str, code: str) -> bool:
        """It has a dead letter; whether one of this id was there."""
        self.answered += not self.ended(number)
        letters = self._letters.setdefault(number, {})
        repeat = dead_id in letters
        letters[dead_id] = code
        return repeat

    # -- what is known --

    def is_sent(self, number: int) -> bool:
        """Whether somebody else than us may have seen it."""
        return self._flags[number] & (_OUT | _UNSENT) == _OUT

    def handed(self, number: int) -> bool:
        """Whether it was given to a driver."""
        return bool(self._flags[number] & _OUT)

    def ended(self, number: int) -> bool:
        """Whether there is a visible result or a dead letter."""
        return bool(self._shown[number]) or number in self._letters

    def hidden(self, number: int) -> bool:
        """Whether the reader hid repeats of its result."""
        return bool(self._flags[number] & _HIDDEN)

    def mistaken(self, number: int) -> bool:
        """Whether a result at its place named another event."""
        return bool(self._flags[number] & _WRONG)

    def shown(self, number: int) -> int:
        """How many results are visible, up to 255."""
        return self._shown[number]

    def letters(self, number: int) -> Mapping[str, str]:
        """Codes of its dead letters, by their id."""
        return self._letters.get(number, {})

    def ending(self, number: int) -> str:
        """How it ended: an outcome, `dead`, `missing`, `unsent`."""
        if self._shown[number]:
            return _NAMES[self._first[number]]
        if number in self._letters:
            return DEAD
        return MISSING if self.is_sent(number) else UNSENT

    def endings(self, number: int) -> list[str]:
        """All its endings, results first."""
        shown = self._several.get(number) or [self.ending(number)] * self._shown[number]
        return [*shown, *[DEAD] * len(self.letters(number))]
