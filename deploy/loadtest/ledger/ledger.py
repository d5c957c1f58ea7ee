"""The ledger: what was sent against what came, and what is wrong with it. Pure, without I/O.

Enter events and answers in any order: an answer may come into sight before the broker has told where its event stands.
Then `verdict` judges every event and every listing, and `totals` says where every event ended.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from deploy.loadtest.document import LedgerCounts
from deploy.loadtest.ledger.fates import Fates
from deploy.loadtest.ledger.roster import Entry, Roster
from deploy.loadtest.ledger.violations import Reason, Violation
from deploy.loadtest.measuring.observations import NOWHERE, Answer, Letter, Place, Visibility
from serve.schemas.outcome import Outcome

#: Events of listings that use several topics, whose result came after that of a newer revision: shown as `stale`.
OVERTAKEN = "overtaken between topics"
_BOTH = "dead letter and result"


class _Overtaken(NamedTuple):
    number: int
    listing: str
    revision: int


Matched = Callable[[int, Answer | Letter], None]


def _nobody(number: int, came: Answer | Letter) -> None:
    """Nobody wants to know."""


class Ledger:
    """Events, and what came for them."""

    def __init__(
        self,
        *,
        exactly_once: bool = False,
        endings: Callable[[str, bool], frozenset[str]] | None = None,
        matched: Matched = _nobody,
    ) -> None:
        """`exactly_once`: every message counts (transactional delivery); otherwise what the shipped reader shows.

        `endings`: how an event may end, from its kind and whether its listing uses several topics; None: anyhow.
        `matched`: called with the number of the event for everything that came for it.
        """
        self._exactly_once = exactly_once
        self._endings_of = None if endings is None else cache(endings)
        self.matched = matched
        self.roster = Roster()
        self.fates = Fates()
        self._early: dict[Place, list[Answer | Letter]] = {}
        self._overtaken: list[_Overtaken] = []
        #: The last visible revision of each listing that states its images.
        self._stands: dict[str, int] = {}
        self._found: list[Violation] = []
        self.counts: Counter[str] = Counter()

    # -- events --

    def plan(self, event: Entry) -> None:
        """Enter an event that is going to be sent."""
        self.roster.add(event)
        self.fates.grow(len(self.roster))

    def handed(self, number: int) -> None:
        """An event was given to its driver."""
        self.fates.hand(number)

    def unsent(self, number: int) -> None:
        """A driver could not send an event, as far as it knows."""
        if not self.roster.placed(number):
            self.fates.refuse(number)

    def placed(self, number: int, place: Place) -> None:
        """It is known where an event stands."""
        self.fates.take(number)
        self.roster.put(number, place)
        for came in self._early.pop(place, ()):
            self._enter(number, came)

    def sent(self, event: Entry) -> None:
        """Enter an event that stands at its place."""
        self.plan(event)
        self.counts["events"] += 1
        self.placed(event.number, event.place)

    # -- what came --

    def answer(self, answer: Answer) -> None:
        """Enter a message of the results topic, in the order of its partition."""
        self.counts["result messages"] += 1
        if answer.visibility is Visibility.REPEAT:
            self.counts["repeats hidden by the reader"] += 1
        elif answer.visibility is Visibility.SHOWN and answer.outcome.carries_images:
            self._stands[self.roster.same(answer.listing)] = answer.revision
        self._came(answer)

    def letter(self, letter: Letter) -> None:
        """Enter a dead letter."""
        self.counts["dead letter messages"] += 1
        self._came(letter)

    def _came(self, came: Answer | Letter) -> None:
        number = self.roster.find(came.place)
        if number is None:
            self._early.setdefault(came.place, []).append(came)
        else:
            self._enter(number, came)

    def _enter(self, number: int, came: Answer | Letter) -> None:
        if isinstance(came, Answer):
            self._enter_answer(number, came)
        elif self.fates.bury(number, came.dead_id, came.code):
            self.counts["repeats of dead letters"] += 1
            if self._exactly_once:
                self._found.append(self._violation(Reason.TWICE, "its dead letter is repeated", number))
        self.matched(number, came)

    def _enter_answer(self, number: int, answer: Answer) -> None:
        if answer.visibility is Visibility.REPEAT and not self._exactly_once:
            self.fates.hide(number)
            return
        ending = answer.outcome.value
        if answer.visibility is Visibility.OVERTAKEN:
            ending = Outcome.STALE.value
            self._overtaken.append(_Overtaken(number, answer.listing, answer.revision))
        if answer.event_id != self.roster.event_id(number):
            self.fates.mistake(number)
        self.fates.show(number, ending)

    def settle(self) -> None:
        """Once all has come: find by their ids the events whose acknowledgement was lost but which were answered."""
        if not self._early:
            return
        lost: dict[str, list[int]] = {}
        for number in self.roster.numbers():
            if self.fates.handed(number) and not self.roster.placed(number):
                lost.setdefault(self.roster.event_id(number), []).append(number)
        for place, came in list(self._early.items()):
            ids = [one.event_id for one in came if isinstance(one, Answer)]
            if place != NOWHERE and ids and lost.get(ids[0]):
                self.placed(lost[ids[0]].pop(0), place)

    # -- what it says --

    @property
    def strangers(self) -> list[Answer | Letter]:
        """Answers of nothing that was sent; of those for the same place the first."""
        return [one for place, came in self._early.items() for one in (came if place == NOWHERE else came[:1])]

    def is_sent(self, number: int) -> bool:
        """Whether somebody else than us may have seen the event."""
        return self.fates.is_sent(number)

    def ending(self, number: int) -> str:
        """How the event ended: an outcome, `dead`, `missing`, `unsent`."""
        return self.fates.ending(number)

    def expected(self, number: int) -> bool:
        """Whether it ended as this kind of event may."""
        if self._endings_of is None:
            return True
        return self.ending(number) in self._endings_of(self.roster.kind(number), self.roster.loose(number))

    def twice(self, number: int) -> bool:
        """Whether it ended more than once."""
        shown, letters = self.fates.shown(number), len(self.fates.letters(number))
        return shown > 1 or letters > 1 or (self._exactly_once and bool(shown) and bool(letters))

    def out(self) -> Iterator[int]:
        """The numbers of the events that were sent."""
        return (number for number in self.roster.numbers() if self.is_sent(number))

    @property
    def events(self) -> list[Entry]:
        """All that was sent."""
        return [self.roster.entry(number) for number in self.out()]

    @property
    def answered(self) -> int:
        """Events with a visible result or a dead letter."""
        return self.fates.answered

    @property
    def endings(self) -> Counter[str]:
        """How the events ended that have an answer."""
        return Counter(self.ending(number) for number in self.out() if self.fates.ended(number))

    def totals(self) -> LedgerCounts:
        """Where every event that was sent ended."""
        self.settle()
        ends: Counter[str] = Counter()
        twice = unexpected = 0
        for number in self.out():
            ends[self.ending(number)] += 1
            twice += self.twice(number)
            unexpected += self.fates.ended(number) and not self.expected(number)
        return LedgerCounts(
            sent=self.fates.sent,
            **ends,
            visible_twice=twice,
            repeats_hidden=self.counts["repeats hidden by the reader"],
            unknown=len(self.strangers),
            unsent=sum(1 for _ in self.roster.numbers()) - self.fates.sent,
            unexpected=unexpected,
        )

    def last_events(self) -> dict[str, Entry]:
        """The event with the newest revision of each listing; of several the first, the others are repeats of it."""
        return {listing: self.roster.entry(number) for listing, number in self._last().items()}

    def _last(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for number in self.out():
            listing = self.roster.listing(number)
            if listing is None or self.fates.letters(number):
                continue
            known = last.get(listing)
            if known is None or self.roster.revision(number) > self.roster.revision(known):
                last[listing] = number
        return last

    def verdict(self) -> list[Violation]:
        """What is wrong with single events and with the order of listings."""
        self.settle()
        for name in (_BOTH, OVERTAKEN):
            self.counts.pop(name, None)
        found = [
            *self._found,
            *(
                Violation(Reason.UNKNOWN, f"an answer for {one.place}, where nothing was sent")
                for one in self.strangers
            ),
        ]
        found += self._backwards()
        for number in self.out():
            found += self._judge(number)
        return [*found, *self._overwritten()]

    def _judge(self, number: int) -> Iterable[Violation]:
        visible, letters = self.fates.shown(number) > 0, self.fates.letters(number)
        good = self.roster.listing(number) is not None
        if not visible and not letters:
            yield self._violation(Reason.LOST, "no answer", number)
        if visible and letters and not self._exactly_once:
            # Promised otherwise nowhere: a worker that dies between dead letter and commit leaves both.
            self.counts[_BOTH] += 1
        if self.twice(number):
            ends = self.fates.endings(number)
            yield self._violation(Reason.TWICE, f"{len(ends)} answers: {', '.join(ends)}", number)
        if not good and visible:
            yield self._violation(Reason.WRONG, "is no event, and yet has a result", number)
        if good and letters and not visible:
            codes = ", ".join(letters.values())
            yield self._violation(Reason.SPOILED, f"a good event ended as a dead letter ({codes})", number)
        if self.fates.mistaken(number):
            yield self._violation(Reason.WRONG, "the answer is for another event", number)

    def _backwards(self) -> Iterable[Violation]:
        for one in self._overtaken:
            if self.roster.loose(one.number):
                self.counts[OVERTAKEN] += 1
            else:
                what = f"{one.listing}: revision {one.revision} came after a newer one"
                yield self._violation(Reason.ORDER, what, one.number)

    def _overwritten(self) -> Iterable[Violation]:
        for listing, number in self._last().items():
            stands, sent = self._stands.get(listing), self.roster.revision(number)
            if stands is None or stands < sent:
                what = f"{listing}: revision {stands} stands, {sent} was sent"
                yield self._violation(Reason.OVERWRITTEN, what, number)

    def _violation(self, reason: Reason, what: str, number: int) -> Violation:
        event = self.roster.entry(number)
        return Violation(reason, f"{event.kind} {event.event_id} at {event.place}: {what}", number)
