"""What stubs of Vitrine answer, when, and where they misbehave on purpose. Pure but for the counts that they keep."""

import argparse
import heapq
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import EventType
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult

_CODES = {
    Outcome.DUPLICATE: "duplicate_event",
    Outcome.STALE: "stale_revision",
    Outcome.REJECTED: "no_images",
    Outcome.FAILED: "source_not_found",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mischief:
    """How a stub behaves. One in `lose`, `twice`, `wrong`, `refuse` is treated so; 0 for never. Seconds, events/s."""

    #: Time for one event, and how many are worked on at once (0: all): a capacity of workers / service_ms.
    service_ms: float = 0.0
    workers: int = 0
    #: The same, said otherwise: one worker that does so many events per second.
    cap: float = 0.0
    lose: int = 0
    twice: int = 0
    wrong: int = 0
    refuse: int = 0
    #: Kafka alone: the same message once more, as after a crash; readers hide it.
    repeat: int = 0
    #: Counted from the first event: nothing is answered for so long, then everything at once.
    freeze_at: float = 0.0
    freeze_for: float = 0.0
    #: The same again and again, at the end of every period.
    slow_every: float = 0.0
    slow_for: float = 0.0

    @classmethod
    def parse(cls, parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> tuple["Mischief", str]:
        """From the command line: `--lose 500`, and the file to which the stub writes that it is ready."""
        parser.add_argument("file")
        for name, shipped in cls.defaults().items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(shipped), default=shipped)
        found = vars(parser.parse_args(arguments))
        return cls(**{name: found[name] for name in cls.defaults()}), found["file"]

    @classmethod
    def defaults(cls) -> dict[str, float | int]:
        """By name."""
        plain = cls()
        return {name: getattr(plain, name) for name in cls.__dataclass_fields__}

    def arguments(self) -> list[str]:
        """What `parse` reads."""
        return [f"--{name.replace('_', '-')}={getattr(self, name)}" for name in self.defaults()]


class Timing:
    """When events are answered that come at given times. Seconds of any clock; queues are first in, first out."""

    def __init__(self, mischief: Mischief) -> None:
        self._set = mischief
        workers = 1 if mischief.cap else mischief.workers
        self._service_s = 1 / mischief.cap if mischief.cap else mischief.service_ms / 1000
        self._free = [0.0] * workers
        self._began: float | None = None

    def due(self, now: float) -> float:
        """When the event that comes now is answered."""
        if self._began is None:
            self._began = now
        if not self._free:
            return self.thawed(now + self._service_s)
        done = max(now, self._free[0]) + self._service_s
        heapq.heapreplace(self._free, done)
        return self.thawed(done)

    def thawed(self, at: float) -> float:
        """The first moment from `at` on at which nothing is frozen."""
        if self._began is None:
            return at
        since, one = at - self._began, self._set
        if one.freeze_for and one.freeze_at <= since < one.freeze_at + one.freeze_for:
            return self._began + one.freeze_at + one.freeze_for
        if one.slow_every and (phase := since % one.slow_every) >= one.slow_every - one.slow_for:
            return at + one.slow_every - phase
        return at


class Answers:
    """One answer per event, as Vitrine would give it without looking at photos; and the mischief."""

    def __init__(self, mischief: Mischief) -> None:
        self._set = mischief
        self._known: dict[str, ListingResult] = {}
        self._newest: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def refuses(self) -> bool:
        """Whether to turn this request away."""
        self.counts["requests"] += 1
        return self._hit("refuse", self.counts["requests"])

    def repeats(self) -> bool:
        """Whether to say this answer again, word for word."""
        return self._hit("repeat", self.counts["taken"])

    def to(self, item: EnrichItem) -> list[ListingResult]:
        """What is answered: one result as a rule, none where the event is lost, two where it is answered twice."""
        self.counts["taken"] += 1
        result = self._right(item)
        if self._hit("lose", self.counts["taken"]):
            return []
        if self._hit("wrong", self.counts["taken"]):
            result = self._result(item, Outcome.FAILED)
        both = self._hit("twice", self.counts["taken"])
        return [result, self._result(item, Outcome.FAILED)] if both else [result]

    def _hit(self, what: str, number: int) -> bool:
        every = getattr(self._set, what)
        hit = bool(every) and number % every == 0
        self.counts[what] += hit
        return hit

    def _right(self, item: EnrichItem) -> ListingResult:
        known = self._known.get(item.event_id)
        if known is not None and known.position == item.position:
            return known
        if known is not None:
            return self._result(item, Outcome.DUPLICATE)
        listing = item.listing
        newest = self._newest.get(listing.key, -1)
        self._newest[listing.key] = max(newest, listing.revision)
        result = self._known[item.event_id] = self._result(item, _outcome(item, newest))
        return result

    @staticmethod
    def _result(item: EnrichItem, outcome: Outcome) -> ListingResult:
        return ListingResult(
            event_id=item.event_id,
            event_source=item.event_source,
            position=item.position,
            tenant_id=item.listing.tenant_id,
            listing_id=item.listing.listing_id,
            revision=item.listing.revision,
            outcome=outcome,
            code=_CODES.get(outcome),
            finished_at=datetime.now(UTC),
            vitrine_version="stub",
        )


def _outcome(item: EnrichItem, newest: int) -> Outcome:
    if item.listing.revision < newest:
        return Outcome.STALE
    if item.type is EventType.DELETED:
        return Outcome.REMOVED
    return Outcome.ENRICHED if item.listing.images else Outcome.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A running stub, as a test sees it."""

    pid: int
    mischief: Mischief
    #: Address of the ingress.
    url: str = ""
    #: Where the worker writes what it did.
    counts_file: Path | None = None

    def counts(self) -> dict[str, float]:
        """What it did by now: `taken`, `lose`, `twice`, `cpu_s` and so on. The worker tells with a delay of 0.2 s."""
        if self.counts_file is not None:
            return dict(json.loads(self.counts_file.read_text())["counts"])
        return dict(httpx.get(f"{self.url}/stats", trust_env=False, verify=False).json())
