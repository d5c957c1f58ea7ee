"""Random histories of listings that share photos, played against a result index and a small model of the truth."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from serve.errors import ObjectBusy
from serve.index import SqlIndex
from serve.interfaces import Answered, Removal
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult
from tests.support.index_contract import answer, event, kept, output

LISTINGS = ("shirt", "hat", "shoe")
KEYS = ("k1", "k2", "k3")


@dataclass
class UnderWay:
    """An event between `begin` and `finish`."""

    item: EnrichItem
    removal: tuple[str, ...] | None
    claimed: set[str] = field(default_factory=set)


class IndexHistory(RuleBasedStateMachine):
    """Events begin, claim, delete, crash and finish in any order; the store is a set of keys."""

    index: SqlIndex

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0
        self.sent: list[EnrichItem] = []
        self.store: set[str] = set()
        self.answers: dict[int, ListingResult] = {}
        self.published: dict[str, tuple[int, frozenset[str]]] = {}
        self.tombstones: dict[str, int] = {}
        self.deleting: set[str] = set()

    under_way: Bundle[UnderWay] = Bundle("under_way")

    def make_index(self) -> SqlIndex:
        """A fresh, empty index."""
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        self.index = self.make_index()

    @rule(
        target=under_way,
        listing=st.sampled_from(LISTINGS),
        revision=st.integers(0, 6),
        kind=st.sampled_from(EventType),
    )
    def send(self, listing: str, revision: int, kind: EventType) -> UnderWay | None:
        self.offset += 1
        return self._begin(event(listing, revision, offset=self.offset, kind=kind))

    @rule(target=under_way, data=st.data())
    def repeat(self, data: st.DataObject) -> UnderWay | None:
        """The same event at the same place, as after a crash."""
        return self._begin(data.draw(st.sampled_from(self.sent))) if self.sent else None

    @rule(target=under_way, data=st.data())
    def duplicate(self, data: st.DataObject) -> UnderWay | None:
        """The same event at a new place."""
        if not self.sent:
            return None
        self.offset += 1
        first = data.draw(st.sampled_from(self.sent))
        place = first.position.model_copy(update={"offset": self.offset})
        return self._begin(first.model_copy(update={"position": place}))

    @rule(entry=under_way, key=st.sampled_from(KEYS))
    def claim(self, entry: UnderWay | None, key: str) -> None:
        """What a pipeline does with an output: claim, write unless it is known, record."""
        if entry is None or entry.removal is not None:
            return
        try:
            known = self.index.claim(entry.item, key)
        except ObjectBusy:
            return
        if known is None:
            self.store.add(key)
            assert self.index.record(output(key))
        else:
            assert key in self.store, "a record promises an object that is gone"
        entry.claimed.add(key)

    @rule(entry=consumes(under_way))
    def finish(self, entry: UnderWay | None) -> None:
        if entry is None:
            return
        item = entry.item
        if entry.removal is not None:
            self.store -= set(entry.removal)
        outcome = Outcome.ENRICHED if entry.removal is None else Outcome.REMOVED
        result = self.index.finish(item, answer(item, outcome))
        self._answered(item, result)
        listing, revision = item.listing.listing_id, item.listing.revision
        if entry.removal is not None:
            self.deleting.discard(listing)
        if result.outcome is Outcome.ENRICHED:
            assert revision > self.tombstones.get(listing, -1), "a deleted listing came back"
            self.published[listing] = (revision, frozenset(entry.claimed))

    @rule(entry=consumes(under_way))
    def crash(self, entry: UnderWay | None) -> None:
        """The worker dies; nobody finishes the event."""
        if entry is not None and entry.removal is not None:
            self.deleting.discard(entry.item.listing.listing_id)

    @invariant()
    def published_images_are_in_the_store(self) -> None:
        for listing, (_, keys) in self.published.items():
            assert keys <= self.store, f"{listing} shows an image that was removed"

    def _begin(self, item: EnrichItem) -> UnderWay | None:
        listing = item.listing.listing_id
        if item.type is EventType.DELETED and listing in self.deleting:
            return None  # the key lanes of the consumers keep deletions of a listing apart
        self.sent.append(item)
        decision = self.index.begin(item)
        if isinstance(decision, Answered):
            self._answered(item, decision.result)
            return None
        assert item.position.offset not in self.answers, "an answered place was given out as work"
        removal = decision.keys if isinstance(decision, Removal) else None
        if removal is not None:
            self.deleting.add(listing)
            if item.listing.revision >= self.published.get(listing, (-1,))[0]:
                self.published.pop(listing, None)
                self.tombstones[listing] = max(item.listing.revision, self.tombstones.get(listing, -1))
        return UnderWay(item=item, removal=removal)

    def _answered(self, item: EnrichItem, result: ListingResult) -> None:
        known = self.answers.setdefault(item.position.offset, kept(result))
        assert known == kept(result), "a place has two answers"
        assert result.position == item.position
