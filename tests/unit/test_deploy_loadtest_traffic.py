"""Events are what they are called, in the shares of their mix, and the same for the same seed."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from pathlib import Path
from random import Random

import pytest

from consumers.events import BadEvent, ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from deploy.errors import DeployError
from deploy.loadtest.workload.mix import BUILT_IN, Mix, load_mix
from deploy.loadtest.workload.planned import DEAD, ENDINGS, Kind, PhotoFault, Planned, endings_of
from deploy.loadtest.workload.poison import Poison, oversize, poison
from deploy.loadtest.workload.traffic import Traffic
from serve.doors.events import MAX_EVENT_BYTES, parse_items
from serve.errors import ServeError, SourceTooLarge
from serve.schemas.exchange import EnrichItem, EnrichRequest
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult, Position
from tests.support.photos import garment
from tests.support.small_studio import small_studio

#: What a broker takes by default, for a batch with its own 61 bytes.
KAFKA_BYTES = 1_048_588 - 61
MIXES = [load_mix(path) for path in BUILT_IN.values()]
EVERYTHING = Mix(
    new_listings=0.4,
    first=dict.fromkeys((Kind.PHOTOS, Kind.BARE, Kind.BROKEN, Kind.BAD, Kind.DELETE), 1.0) | {Kind.OVERSIZE: 0.05},
    further={kind: 1.0 for kind in Kind if kind is not Kind.OVERSIZE},
    hot_listings=3,
    several_topics=0.2,
    images={1: 1, 3: 1},
    edges={800: 1, 1600: 1},
)


class Photos:
    """A source that nobody asks."""

    def __init__(self, origin: str = "http://photos") -> None:
        self.origin = origin

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}"


def traffic(mix: Mix, seed: int = 1, count: int = 3000, namespace: str = "") -> list[Planned]:
    return list(Traffic(mix, seed, Photos(), namespace=namespace).events(count))


def read(event: Planned) -> ListingEvent | BadEvent:
    return parse(SourceRecord(TopicPartition(event.topic, 0), event.number, event.key, event.value))


def good(events: list[Planned]) -> list[tuple[Planned, ListingEvent]]:
    read_ones = ((event, read(event)) for event in events)
    return [(event, one) for event, one in read_ones if isinstance(one, ListingEvent)]


@pytest.mark.parametrize("mix", [*MIXES, EVERYTHING], ids=[*BUILT_IN, "everything"])
def test_the_same_seed_sends_the_same(mix: Mix) -> None:
    assert traffic(mix, 5, 800) == traffic(mix, 5, 800)
    assert traffic(mix, 5, 800) != traffic(mix, 6, 800)


@pytest.mark.parametrize("mix", [*MIXES, EVERYTHING], ids=[*BUILT_IN, "everything"])
def test_events_are_what_they_are_called(mix: Mix) -> None:
    seen: set[str] = set()
    newest: dict[str, int] = {}
    for event in traffic(mix):
        found = read(event)
        assert isinstance(found, BadEvent) == (event.kind is Kind.BAD)
        assert (event.listing is None) == (ENDINGS[event.kind] == {DEAD})
        if isinstance(found, BadEvent) or event.kind is Kind.OVERSIZE:
            continue
        listing = found.listing
        assert (listing.key, listing.revision, len(listing.images)) == (event.listing, event.revision, event.images)
        assert event.key == listing.key.encode()
        assert (found.id in seen) == (event.kind is Kind.DUPLICATE)
        before = newest.get(listing.key, 0)
        if event.kind is Kind.OLDER:
            assert event.revision < before
        elif event.kind is not Kind.DUPLICATE:
            assert event.revision > before
        assert (found.type is EventType.DELETED) == (event.kind is Kind.DELETE) or event.kind is Kind.DUPLICATE
        assert (found.type is EventType.CREATED) <= (listing.key not in newest or event.kind is Kind.DUPLICATE)
        if event.kind in (Kind.PHOTOS, Kind.HOT, Kind.BROKEN):
            assert listing.images
        assert event.kind is not Kind.BARE or not listing.images
        assert listing.recipe in (*mix.recipes_used, None)
        seen.add(found.id)
        newest[listing.key] = max(before, event.revision)


@pytest.mark.parametrize("mix", MIXES, ids=list(BUILT_IN))
def test_kinds_come_in_their_shares(mix: Mix) -> None:
    count = 30_000
    kinds = Counter(event.kind for event in traffic(mix, 3, count))

    def share(shares: dict[Kind, float], kind: Kind) -> float:
        return shares.get(kind, 0) / sum(shares.values())

    for kind in Kind:
        # The very first event always begins a listing, which does not show here.
        wanted = mix.new_listings * share(mix.first, kind) + (1 - mix.new_listings) * share(mix.further, kind)
        # Five standard deviations.
        assert abs(kinds[kind] - count * wanted) <= 5 * (count * wanted) ** 0.5


def test_numbers_go_up_by_one_over_several_calls() -> None:
    made = Traffic(EVERYTHING, 1, Photos())
    events = [*made.events(10), *made.events(10)]
    assert [event.number for event in events] == list(range(1, 21))
    assert events == traffic(EVERYTHING, 1, 20)


def test_most_listings_keep_to_one_topic_and_the_others_are_known() -> None:
    topics: dict[str, set[str]] = {}
    events = [event for event in traffic(EVERYTHING) if event.listing]
    for event in events:
        topics.setdefault(event.listing or "", set()).add(event.topic)
    loose = {event.listing for event in events if event.loose}
    assert loose == {event.listing for event in events} - {event.listing for event in events if not event.loose}
    assert all(len(used) == 1 for listing, used in topics.items() if listing not in loose)
    assert any(len(topics[listing]) > 1 for listing in loose if listing)
    assert {event.topic for event in events} == set(EVERYTHING.topics_used)


def test_hot_listings_are_few_and_busy_from_beginning_to_end() -> None:
    events = traffic(EVERYTHING)
    hot = [event for event in events if event.kind is Kind.HOT]
    assert len({event.listing for event in hot}) == EVERYTHING.hot_listings
    assert {event.listing for event in hot[:50]} == {event.listing for event in hot[-50:]}
    others = {event.listing for event in events if event.kind is not Kind.HOT}
    assert others.isdisjoint(event.listing for event in hot)


def photo_names(events: list[Planned]) -> list[str]:
    return [
        image.url.removeprefix("http://photos/")
        for event, one in good(events)
        if event.kind is not Kind.DUPLICATE
        for image in one.listing.images
    ]


def test_every_photo_is_a_new_file_unless_they_are_shared() -> None:
    names = photo_names(traffic(EVERYTHING))
    numbers = [name.partition("-")[0] for name in names]
    assert len(numbers) == len(set(numbers)) > 1000
    shared = set(photo_names(traffic(EVERYTHING.model_copy(update={"photo_reuse": 7}))))
    sound = {name for name in shared if name.count("-") == 1}
    assert len(sound) == 7
    assert {name.partition("-")[0] for name in shared} == {str(number) for number in range(7)}


def test_broken_listings_have_broken_photos_alone() -> None:
    kinds = Counter[str]()
    for event, one in good(traffic(EVERYTHING)):
        faults = [image.url.removesuffix(".jpg").split("-")[2:] for image in one.listing.images]
        if event.kind in (Kind.PHOTOS, Kind.HOT):
            assert not any(faults)
        if event.kind is Kind.BROKEN:
            assert all(faults)
            kinds.update(fault for [fault] in faults)
    assert kinds.keys() == set(PhotoFault)


def test_namespaces_do_not_meet() -> None:
    def identities(namespace: str) -> set[str]:
        events = traffic(EVERYTHING, 1, 500, namespace)
        tenants = {one.listing.tenant_id for _, one in good(events)}
        listings = {one.listing.listing_id for _, one in good(events)}
        photos = {name.partition("-")[0] for name in photo_names(events)}
        # Photo sources take them as file names and as seeds.
        assert max(map(int, photos)) < 10**18
        return {event.event_id for event in events} | tenants | listings | photos

    spaces = [identities(name) for name in ("", "a", "b-2")]
    for one, other in combinations(spaces, 2):
        assert one.isdisjoint(other)
    with pytest.raises(DeployError, match="no namespace"):
        Traffic(EVERYTHING, 1, Photos(), namespace="a b")


def test_memory_does_not_grow_with_the_load() -> None:
    made = Traffic(load_mix(BUILT_IN["light"]), 1, Photos())
    for _ in made.events(40_000):
        pass
    assert made.remembered == 10_000


CODES = {
    Poison.HALF: "invalid_json",
    Poison.BINARY: "invalid_json",
    Poison.EMPTY: "invalid_json",
    Poison.FOREIGN: "invalid_event",
    Poison.FIELDLESS: "invalid_event",
    Poison.WRONG_FIELD: "invalid_event",
    Poison.UNHEARD: "unknown_event_type",
}


@pytest.mark.parametrize("shape", Poison)
def test_each_poison_has_its_code(shape: Poison) -> None:
    found = parse(SourceRecord(TopicPartition("t", 0), 0, b"k", poison(shape, "event-1")))
    assert isinstance(found, BadEvent)
    assert found.code == CODES[shape]


def at_the_door(value: bytes) -> bytes:
    """The event as a consumer sends it to Serve."""
    found = parse(SourceRecord(TopicPartition("t", 0), 0, b"k", value))
    assert isinstance(found, ListingEvent)
    planned = Planned(number=1, topic="t", key=b"k", value=value, kind=Kind.OVERSIZE, event_id=found.id)
    return EnrichRequest(items=[item_of(planned, found, 0)]).model_dump_json(exclude_unset=True).encode()


def test_an_oversize_event_passes_kafka_and_not_the_door() -> None:
    value = oversize("event-1", "atelier", "sku-1", "studio")
    assert len(value) < KAFKA_BYTES / 2
    body = at_the_door(value)
    assert len(body) > MAX_EVENT_BYTES
    items, refused = parse_items(body)
    assert not items
    assert [one.error.code for one in refused] == ["request_too_large"]
    # Sent to the door as it came it is refused as well.
    items, refused = parse_items(b'{"items":[{"ref":1,"listing":' + value + b"}]}")
    assert [one.error.code for one in refused] == ["request_too_large"]


def test_every_kind_has_its_endings() -> None:
    assert ENDINGS.keys() == set(Kind)
    known = {one.value for one in Outcome} | {DEAD}
    assert all(endings and endings <= known for endings in ENDINGS.values())


@pytest.mark.parametrize("kind", Kind)
def test_without_an_order_more_endings_are_right(kind: Kind) -> None:
    usual, unordered = endings_of(kind), endings_of(kind, unordered=True)
    assert usual == ENDINGS[kind]
    assert usual <= unordered
    assert (DEAD in unordered) == (kind in (Kind.BAD, Kind.OVERSIZE))


class PhotoBook(Mapping[str, bytes | ServeError]):
    """What is behind the address of a photo, sound or broken as its name says."""

    def __init__(self) -> None:
        self.sound = garment(size=(60, 80))

    def __getitem__(self, url: str) -> bytes | ServeError:
        match url.removesuffix(".jpg").split("-")[2:]:
            case [PhotoFault.TRUNCATED]:
                return self.sound[: len(self.sound) // 2]
            case [PhotoFault.GARBAGE]:
                return b"not a picture" * 100
            case [PhotoFault.HUGE]:
                return SourceTooLarge()
            case [PhotoFault.MISSING]:
                raise KeyError(url)
        return self.sound

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def item_of(event: Planned, found: ListingEvent, offset: int) -> EnrichItem:
    return EnrichItem(
        ref=event.number,
        event_id=found.id,
        event_source=found.source,
        type=found.type,
        position=Position(topic=event.topic, partition=0, offset=offset),
        final=True,
        listing=found.listing,
    )


def answered(events: list[Planned], folder: Path) -> list[tuple[Kind, ListingResult]]:
    """What the pipeline answers that gets these events one after the other."""
    with small_studio(PhotoBook(), folder) as studio:

        async def answer() -> list[tuple[Kind, ListingResult]]:
            return [
                (event.kind, await studio.pipeline.answer(item_of(event, found, offset)))
                for offset, (event, found) in enumerate(good(events))
                if event.kind is not Kind.OVERSIZE
            ]

        return asyncio.run(answer())


def test_the_pipeline_ends_events_as_their_kind_may_end(tmp_path: Path) -> None:
    mix = EVERYTHING.model_copy(update={"several_topics": 0.0, "recipes": {"pair": 1.0}})
    ended = answered(traffic(mix, 1, 150), tmp_path)
    seen: dict[Kind, set[str]] = {}
    for kind, result in ended:
        seen.setdefault(kind, set()).add(result.outcome.value)
    # One after the other nothing is superseded, and nothing overtaken.
    assert seen == {
        Kind.BARE: {"rejected"},
        Kind.PHOTOS: {"enriched"},
        Kind.HOT: {"enriched"},
        Kind.BROKEN: {"failed"},
        Kind.DELETE: {"removed"},
        Kind.OLDER: {"stale"},
        Kind.DUPLICATE: {"duplicate"},
    }
    assert all(outcomes <= ENDINGS[kind] for kind, outcomes in seen.items())
    codes = {error.code for kind, result in ended if kind is Kind.BROKEN for error in result.errors}
    assert codes == {"corrupt_image", "unsupported_format", "source_too_large", "source_not_found"}


@pytest.mark.parametrize("seed", [1, 2])
def test_in_any_order_the_pipeline_ends_events_as_they_may_end_without_one(seed: int, tmp_path: Path) -> None:
    events = traffic(EVERYTHING.model_copy(update={"recipes": {"pair": 1.0}}), seed, 120)
    Random(seed).shuffle(events)
    ended = answered(events, tmp_path)
    assert [one for one in ended if one[1].outcome not in endings_of(one[0], unordered=True)] == []
    # Without the word of it, some would be taken for wrong.
    assert [one for one in ended if one[1].outcome not in ENDINGS[one[0]]]


def test_revisions_of_a_listing_are_sent_in_order() -> None:
    events = [event for event in traffic(EVERYTHING) if event.listing and event.kind is not Kind.DUPLICATE]
    newest: dict[str, list[int]] = {}
    for event in events:
        if event.kind is not Kind.OLDER:
            newest.setdefault(event.listing or "", []).append(event.revision)
    assert all(after == before + 2 for revisions in newest.values() for before, after in pairwise(revisions))
