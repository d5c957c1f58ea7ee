"""The ledger finds nothing wrong with a right run, and names each planted fault."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.reader import Visible
from consumers.results import SOURCE, ResultEvent, result_id
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.objects import Progress, Stored, object_faults, offset_faults, stored_objects
from deploy.loadtest.ledger.roster import Entry, Roster
from deploy.loadtest.ledger.violations import Reason
from deploy.loadtest.measuring.observations import Letter, Place
from deploy.loadtest.sending.answers import result_seen
from deploy.loadtest.workload.mix import BUILT_IN, load_mix
from deploy.loadtest.workload.planned import Kind, Planned
from deploy.loadtest.workload.traffic import Traffic
from serve.schemas.result import ListingResult, Position

EVENTS = 150
MIX = load_mix(BUILT_IN["chaos"])


class Photos:
    """A source that nobody asks."""

    def url(self, name: str) -> str:
        return f"http://photos/{name}"


@dataclass
class World:
    """A right run: every event answered as it should be, results as they lie in the log."""

    sent: list[Entry] = field(default_factory=list)
    results: list[ResultEvent] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    def ledger(self, *, exactly_once: bool = False) -> Ledger:
        ledger = Ledger(exactly_once=exactly_once)
        for event in self.sent:
            ledger.sent(event)
        visible = Visible()
        for result in self.results:
            ledger.answer(result_seen(result, (), visible, 0))
        for letter in self.letters:
            ledger.letter(letter)
        return ledger

    def reasons(self, *, exactly_once: bool = False) -> set[Reason]:
        return {violation.reason for violation in self.ledger(exactly_once=exactly_once).verdict()}


def result_of(event: Entry, outcome: str) -> ResultEvent:
    at = Position(topic=event.place.topic, partition=event.place.partition, offset=event.place.offset)
    tenant, _, name = (event.listing or "t:none").partition(":")
    data = {
        "event_id": event.event_id,
        "event_source": "//loadtest",
        "position": at,
        "tenant_id": tenant,
        "listing_id": name,
        "revision": event.revision,
        "outcome": outcome,
        "finished_at": datetime(2026, 1, 1, tzinfo=UTC),
        "vitrine_version": "0",
    }
    return ResultEvent(
        specversion="1.0",
        id=result_id("//loadtest", event.event_id, at),
        source=SOURCE,
        type="org.vitrine.test",
        causationid=event.event_id,
        data=ListingResult.model_validate(data),
    )


def sent_of(planned: Planned, offset: int) -> Entry:
    return Entry(
        number=planned.number,
        place=Place(planned.topic, 0, offset),
        kind=planned.kind.value,
        event_id=planned.event_id,
        listing=planned.listing,
        revision=planned.revision,
        loose=planned.loose,
    )


def right_run(seed: int, events: int = EVENTS) -> World:
    world, newest, known = World(), dict[str, int](), set[str]()
    traffic = Traffic(MIX, seed, Photos())
    for offset, planned in enumerate(traffic.events(events)):
        event = sent_of(planned, offset)
        world.sent.append(event)
        if event.listing is None:
            world.letters.append(Letter(place=event.place, dead_id=f"dead-{offset}", code="invalid_event"))
            continue
        if event.event_id in known:
            outcome = "duplicate"
        elif event.revision < newest.get(event.listing, -1):
            outcome = "stale"
        else:
            newest[event.listing] = event.revision
            outcome = "removed" if planned.kind is Kind.DELETE else "rejected"
        known.add(event.event_id)
        world.results.append(result_of(event, outcome))
    return world


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.booleans())
def test_a_right_run_has_no_violation(seed: int, exactly_once: bool) -> None:
    world = right_run(seed)
    assert world.reasons(exactly_once=exactly_once) == set()
    assert world.ledger().answered == EVENTS


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_repeats_with_the_same_id_are_hidden_anywhere_after_the_first(seed: int, chance: random.Random) -> None:
    world = right_run(seed)
    for _ in range(10):
        at = chance.randrange(len(world.results))
        world.results.insert(chance.randint(at + 1, len(world.results)), world.results[at])
    world.letters += world.letters[:2]
    assert world.reasons() == set()
    assert Reason.TWICE in world.reasons(exactly_once=True)


def lose_a_result(world: World, chance: random.Random) -> None:
    del world.results[chance.randrange(len(world.results))]


def lose_a_letter(world: World, chance: random.Random) -> None:
    del world.letters[chance.randrange(len(world.letters))]


def answer_under_another_id(world: World, chance: random.Random) -> None:
    once = chance.choice([one for one in world.results if not one.data.outcome.carries_images])
    world.results.append(once.model_copy(update={"id": "another"}))


def answer_a_bad_event(world: World, chance: random.Random) -> None:
    event = chance.choice([one for one in world.sent if one.listing is None])
    world.results.append(result_of(event, "rejected"))


def answer_nothing(world: World, chance: random.Random) -> None:
    event = world.sent[0]
    elsewhere = Place(event.place.topic, 9, 999)
    world.results.append(result_of(Entry(number=0, place=elsewhere, kind="x", event_id="x"), "stale"))


def bury_a_good_event(world: World, chance: random.Random) -> None:
    place = chance.choice([one for one in world.results if one.data.outcome == "stale"]).data.position
    assert place is not None
    world.results = [one for one in world.results if one.data.position != place]
    where = Place(place.topic, place.partition, place.offset)
    world.letters.append(Letter(place=where, dead_id="new", code="worker_lost"))


def go_back(world: World, chance: random.Random) -> None:
    """The results of two revisions of a listing change places."""
    strict = {event.listing for event in world.sent if not event.loose}
    last: dict[str, int] = {}
    for number, one in enumerate(world.results):
        name = f"{one.data.tenant_id}:{one.data.listing_id}"
        if name in strict and one.data.outcome.carries_images:
            before = last.setdefault(name, number)
            if world.results[before].data.revision < one.data.revision:
                world.results[before], world.results[number] = one, world.results[before]
                return
    pytest.fail("no listing with two revisions")


def forget_the_newest(world: World, chance: random.Random) -> None:
    """The newest revision of a listing is called stale."""
    newest = world.ledger().last_events()
    event = chance.choice([one for one in newest.values() if one.revision > 2])
    at = next(number for number, one in enumerate(world.results) if one.data.event_id == event.event_id)
    world.results[at] = result_of(event, "stale")


PLANTED: list[tuple[Callable[[World, random.Random], None], Reason]] = [
    (lose_a_result, Reason.LOST),
    (lose_a_letter, Reason.LOST),
    (answer_under_another_id, Reason.TWICE),
    (answer_a_bad_event, Reason.WRONG),
    (answer_nothing, Reason.UNKNOWN),
    (bury_a_good_event, Reason.SPOILED),
    (go_back, Reason.ORDER),
    (forget_the_newest, Reason.OVERWRITTEN),
]


@pytest.mark.parametrize(("plant", "reason"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
@settings(max_examples=15)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False), st.booleans())
def test_each_planted_fault_is_named(
    plant: Callable[[World, random.Random], None], reason: Reason, seed: int, chance: random.Random, once: bool
) -> None:
    world = right_run(seed, 400)
    plant(world, chance)
    assert reason in world.reasons(exactly_once=once)


def test_a_result_beside_a_dead_letter_is_noted_or_wrong() -> None:
    world = right_run(3)
    position = world.results[0].data.position
    assert position is not None
    place = Place(position.topic, position.partition, position.offset)
    world.letters.append(Letter(place=place, dead_id="d", code="worker_lost"))
    ledger = world.ledger()
    assert ledger.verdict() == []
    assert ledger.counts["dead letter and result"] == 1
    assert world.reasons(exactly_once=True) == {Reason.TWICE}


def test_listings_across_topics_may_be_overtaken_but_not_end_wrong() -> None:
    def event(number: int, revision: int) -> Entry:
        place = Place("listings.new", number, 0)
        return Entry(
            number=number, place=place, kind="bare", event_id=f"e{number}", listing="t:l", revision=revision, loose=True
        )

    older, newer = event(1, 1), event(2, 3)
    world = World(sent=[older, newer], results=[result_of(newer, "rejected"), result_of(older, "rejected")])
    ledger = world.ledger()
    assert ledger.verdict() == []
    assert ledger.counts["overtaken between topics"] == 1
    world.results[0] = result_of(newer, "stale")
    assert world.reasons() == {Reason.OVERWRITTEN}


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2**62)), unique=True), st.integers(0, 20_000))
def test_events_are_found_by_the_place_where_they_stand(places: list[tuple[int, int]], begin: int) -> None:
    # A dense stretch as brokers give it, and whatever else.
    places += [(2, begin + 3 * one) for one in (5, 0, 1, 2, 4, 3)]
    roster = Roster()
    for number, (partition, offset) in enumerate(places):
        roster.add(Entry(number=number, place=Place("t", partition, offset), kind="bare", event_id=f"e{number}"))
    for number, (partition, offset) in enumerate(places):
        assert roster.find(Place("t", partition, offset)) == number
        assert roster.place(number) == Place("t", partition, offset)
    assert roster.find(Place("t", 2, begin + 1)) is None
    assert roster.find(Place("u", 0, 0)) is None


OUTPUT = {
    "image_id": "i",
    "source_image_id": "photo-1",
    "source_sha256": "0",
    "variant": "tiny",
    "operations": [],
    "s3_uri": "s3://b/k",
    "key": "k",
    "sha256": "aa",
    "phash": "0",
    "width": 1,
    "height": 1,
    "format": "jpeg",
    "content_type": "image/jpeg",
    "bytes": 1,
    "seed": 1,
    "digital_source_type": "x",
    "quality": {"verdict": "publish", "score": 1},
}


def enriched(**changes: object) -> ListingResult:
    event = Entry(number=1, place=Place("t", 0, 0), kind="photos", event_id="e", listing="t:l", revision=1)
    result = result_of(event, "enriched").data
    return ListingResult.model_validate({**result.model_dump(), "outputs": [OUTPUT | changes]})


CALM = {"t:l": frozenset({Stored("photo-1", "tiny", "k", "aa")})}


def test_objects_are_compared_with_the_calm_run_and_with_the_store() -> None:
    assert list(object_faults(CALM, {"t:l": enriched()}, {"k": "aa"})) == []
    assert len(list(object_faults(CALM, {"t:l": enriched()}, {}))) == 1
    assert len(list(object_faults(CALM, {"t:l": enriched()}, {"k": "bb"}))) == 1
    assert len(list(object_faults(CALM, {"t:l": enriched(sha256="bb")}, {"k": "bb"}))) == 1
    assert len(list(object_faults(CALM, {}, {"k": "aa"}))) == 1
    assert stored_objects(None) == frozenset()


def test_partitions_must_be_read_to_their_end_but_for_markers() -> None:
    def partition(committed: int | None, unread: int) -> Progress:
        return Progress(topic="t", partition=0, committed=committed, end=10, unread=unread)

    assert list(offset_faults([partition(10, 0), partition(9, 0)])) == []
    [fault] = offset_faults([partition(None, 10)])
    assert fault.reason is Reason.OFFSETS
