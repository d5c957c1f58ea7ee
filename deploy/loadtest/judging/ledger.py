"""The ledger: what was sent against what came, and what is wrong with it. Pure, without I/O.

Enter what the logs of the broker hold, each in its order; then `verdict` judges every event and every listing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from consumers.reader import Visible
from consumers.results import ResultEvent
from deploy.loadtest.judging.violations import Reason, Violation
from deploy.loadtest.measuring.observations import NOWHERE, Letter, Place
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult

DEAD = "dead letter"
#: Events of listings that use several topics, whose result came after that of a newer revision: shown as `stale`.
OVERTAKEN = "overtaken between topics"


class Stored(NamedTuple):
    """An object of a listing."""

    image: str
    variant: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event that the broker took."""

    number: int
    place: Place
    kind: str
    event_id: str
    #: None for what is no event: it must end as a dead letter.
    listing: str | None = None
    revision: int = 0
    #: The listing's events stand in several topics, between which no order is promised.
    loose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the group has come in a partition."""

    topic: str
    partition: int
    committed: int | None
    end: int
    #: Records from the committed offset on; not `end - committed`, because transaction markers take offsets too.
    unread: int


@dataclass(slots=True)
class _Answers:
    visible: list[ResultEvent] = field(default_factory=list)
    #: Not a repeat, and yet not visible: the reader had a newer revision already.
    overtaken: list[ResultEvent] = field(default_factory=list)
    letters: dict[str, Letter] = field(default_factory=dict)


class Ledger:
    """Events by the place where they stood first, which no two share."""

    def __init__(self, *, exactly_once: bool = False) -> None:
        """`exactly_once`: every message counts (transactional delivery); otherwise what the shipped reader shows."""
        self._exactly_once = exactly_once
        self._reader = Visible(remembered=1 << 40)
        self._sent: dict[Place, Entry] = {}
        self._answers: dict[Place, _Answers] = {}
        self._seen: set[str] = set()
        self._newest: dict[str, int] = {}
        self._found: list[Violation] = []
        #: The last visible result of each listing that states its images.
        self._stands: dict[str, ListingResult] = {}
        self.counts: Counter[str] = Counter()

    def sent(self, event: Entry) -> None:
        """Enter an event."""
        self._sent[event.place] = event
        self.counts["events"] += 1

    def result(self, event: ResultEvent) -> None:
        """Enter a message of the results topic, in the order of its partition."""
        self.counts["result messages"] += 1
        at = event.data.position
        place = Place(at.topic, at.partition, at.offset) if at else NOWHERE
        answers = self._answers.setdefault(place, _Answers())
        repeat, shown = event.id in self._seen, self._reader.show(event)
        self._seen.add(event.id)
        if repeat:
            self.counts["repeats hidden by the reader"] += 1
        if repeat and self._exactly_once:
            answers.visible.append(event)
        elif shown is not None:
            answers.visible.append(shown)
            if shown is not event:
                answers.overtaken.append(event)
            elif shown.data.outcome.carries_images:
                self._stands[listing_of(shown.data)] = shown.data

    def letter(self, letter: Letter) -> None:
        """Enter a dead letter."""
        self.counts["dead letter messages"] += 1
        letters = self._answers.setdefault(letter.place, _Answers()).letters
        if letter.dead_id in letters:
            self.counts["repeats of dead letters"] += 1
            if self._exactly_once:
                self._note(Reason.TWICE, f"dead letter of {letter.place} repeated", self._sent.get(letter.place))
        letters[letter.dead_id] = letter

    @property
    def events(self) -> list[Entry]:
        """All that was sent."""
        return list(self._sent.values())

    @property
    def answered(self) -> int:
        """Events with a visible result or a dead letter."""
        return sum(1 for answers in self._answers.values() if answers.visible or answers.letters)

    @property
    def standing(self) -> Mapping[str, ListingResult]:
        """The last visible result of each listing that states its images."""
        return self._stands

    @property
    def endings(self) -> Counter[str]:
        """How the events ended."""
        ends: Counter[str] = Counter()
        for answers in self._answers.values():
            if answers.visible:
                ends[answers.visible[0].data.outcome.value] += 1
            elif answers.letters:
                ends[DEAD] += 1
        return ends

    def last_events(self) -> dict[str, Entry]:
        """The event with the newest revision of each listing; of several the first, the others are repeats of it."""
        last: dict[str, Entry] = {}
        for event in sorted(self._sent.values(), key=lambda one: one.number):
            if event.listing is None or self._answers.get(event.place, _Answers()).letters:
                continue
            known = last.get(event.listing)
            if known is None or event.revision > known.revision:
                last[event.listing] = event
        return last

    def verdict(self) -> list[Violation]:
        """What is wrong with single events and with the order of listings."""
        found = list(self._found)
        for place, answers in self._answers.items():
            if place not in self._sent:
                found.append(Violation(Reason.UNKNOWN, f"an answer for {place}, where nothing was sent"))
            found += self._overtaken(self._sent.get(place), answers)
        for event in self._sent.values():
            found += self._judge(event, self._answers.get(event.place, _Answers()))
        return [*found, *self._overwritten()]

    def _judge(self, event: Entry, answers: _Answers) -> Iterable[Violation]:
        visible, letters = answers.visible, answers.letters
        if not visible and not letters:
            yield self._violation(Reason.LOST, "no answer", event)
        both = bool(visible) and bool(letters)
        if both and not self._exactly_once:
            # Promised otherwise nowhere: a worker that dies between dead letter and commit leaves both.
            self.counts["dead letter and result"] += 1
        if len(visible) > 1 or len(letters) > 1 or (both and self._exactly_once):
            ends = [one.data.outcome.value for one in visible] + [DEAD] * len(letters)
            yield self._violation(Reason.TWICE, f"{len(ends)} answers: {', '.join(ends)}", event)
        if event.listing is None and visible:
            yield self._violation(Reason.WRONG, "is no event, and yet has a result", event)
        if event.listing is not None and letters and not visible:
            codes = ", ".join(letter.code for letter in letters.values())
            yield self._violation(Reason.SPOILED, f"a good event ended as a dead letter ({codes})", event)
        if any(one.data.event_id != event.event_id for one in visible):
            yield self._violation(Reason.WRONG, "the answer is for another event", event)

    def _overtaken(self, event: Entry | None, answers: _Answers) -> Iterable[Violation]:
        for one in answers.overtaken:
            if event is not None and event.loose:
                self.counts[OVERTAKEN] += 1
            else:
                what = f"{listing_of(one.data)}: revision {one.data.revision} came after a newer one"
                yield self._violation(Reason.ORDER, what, event)

    def _overwritten(self) -> Iterable[Violation]:
        for listing, event in self.last_events().items():
            stands = self._stands.get(listing)
            revision = None if stands is None else stands.revision
            if revision is None or revision < event.revision:
                what = f"{listing}: revision {revision} stands, {event.revision} was sent"
                yield self._violation(Reason.OVERWRITTEN, what, event)

    def _note(self, reason: Reason, what: str, event: Entry | None) -> None:
        self._found.append(self._violation(reason, what, event))

    @staticmethod
    def _violation(reason: Reason, what: str, event: Entry | None) -> Violation:
        if event is None:
            return Violation(reason, what)
        return Violation(reason, f"{event.kind} {event.event_id} at {event.place}: {what}", event.number)


def listing_of(result: ListingResult) -> str:
    """`tenant:listing`, as in `Entry.listing`."""
    return f"{result.tenant_id}:{result.listing_id}"


def stored_objects(result: ListingResult | None) -> frozenset[Stored]:
    """The objects that a result names."""
    outputs = [] if result is None or result.outcome is Outcome.REMOVED else result.outputs
    return frozenset(Stored(one.source_image_id, one.variant, one.key, one.sha256) for one in outputs)


def object_faults(
    calm: Mapping[str, frozenset[Stored]], standing: Mapping[str, ListingResult], bucket: Mapping[str, str]
) -> Iterable[Violation]:
    """Where the objects of listings differ from those of a calm run, or from what the bucket holds (key -> sha256)."""
    for listing, expected in calm.items():
        found = stored_objects(standing.get(listing))
        if found != expected:
            what = f"{listing}: {len(found)} objects, {len(found ^ expected)} of them or of the calm run's differ"
            yield Violation(Reason.OBJECTS, what)
        for one in sorted(found):
            if bucket.get(one.key) != one.sha256:
                state = "missing" if one.key not in bucket else "of other bytes"
                yield Violation(Reason.OBJECTS, f"{listing}: {one.key} is {state} in the store")


def offset_faults(partitions: Iterable[Progress]) -> Iterable[Violation]:
    """Partitions that the group has not finished."""
    for one in partitions:
        if one.unread:
            what = f"{one.topic}[{one.partition}]: committed {one.committed}, end {one.end}, {one.unread} unread"
            yield Violation(Reason.OFFSETS, what)
