"""What the pipeline needs from its parts, as protocols, and the values that pass between them.

Pictures are `uint8 [H, W, 3]` sRGB arrays, masks are `float32 [H, W]` in 0..1 with 1 on the product.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serve.catalog.recipe import Variant
from serve.errors import ServeError
from serve.schemas.exchange import EnrichItem
from serve.schemas.result import ListingResult, ModelRef, Output, Quality
from serve.schemas.subject import Subject

Picture = NDArray[np.uint8]
Mask = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedBytes:
    """A source file as it came, counted and hashed."""

    body: bytes
    sha256: str
    #: What the server said; never trusted, only reported.
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceImage:
    """A decoded source photo: upright, sRGB, opaque."""

    image_id: str
    sha256: str
    pixels: Picture
    format: str
    #: What had to be mended on the way: `icc_converted`, `icc_broken`, `alpha_flattened`, `orientation_applied`, ...
    flags: tuple[str, ...] = ()
    #: What the file said of its rights and origin, by the names in `images/notices.py`; texts of strangers, cleaned.
    notices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: What was done to the pixels besides reading the file; with `sha256` it names them.
    treatment: str = ""
    #: How many faces were made unrecognisable; None where nobody asked for it.
    faces_blurred: int | None = None
    #: Perceptual hash of the photo before any of that.
    phash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shot:
    """One output under way: a source photo, the variant to make of it, and the picture so far.

    Stages make new shots of those they are given, so a batch that fails can be tried again in parts.
    """

    source: SourceImage
    variant: Variant
    #: Object key; it also seeds everything random about this output.
    key: str
    seed: int
    pixels: Picture | None = None
    mask: Mask | None = None
    #: The product as the photo shows it, laid out like `pixels`: what fidelity is measured against.
    reference: Picture | None = None
    #: The mask's own confidence, 0..1.
    confidence: float = 1.0
    #: What only an earlier stage could measure: figures of the photo as it came. The quality filter judges them.
    figures: Mapping[str, float] = field(default_factory=dict)
    #: What the source photo shows.
    subject: Subject | None = None
    models: tuple[ModelRef, ...] = ()
    quality: Quality | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShotFailure:
    """A shot that a stage could not finish; the others of its batch are not touched."""

    shot: Shot
    stage: str
    error: ServeError


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom something is computed."""

    #: Tenants share the slots evenly, however many photos each of them sends.
    tenant: str
    #: On the event loop's clock: what has not begun by then is not begun at all.
    deadline: float


@dataclass(frozen=True, slots=True)
class Worked:
    """What a stage made of the shots, one entry for each, in order."""

    shots: Sequence[Shot | ShotFailure]
    #: The share of the computing time that these shots took of their batches.
    seconds: float


class Stage(Protocol):
    """A step of the pipeline that computes: batch in, batch out, in the order given, never on the event loop."""

    @property
    def name(self) -> str:
        """One of `STAGE_ORDER`."""
        ...

    def models(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The models and algorithms that this stage would use for the variant: part of the object key."""
        ...

    def bucket(self, shot: Shot) -> Hashable | None:
        """Shots with equal buckets may share a batch: same model, same shape. None: there is nothing to do here."""
        ...

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """One entry per shot, in order; the shots that were given stay as they are.

        May raise: the batch is then tried again in parts, until the shot that causes it is alone.
        """
        ...

    def warm_up(self) -> None:
        """Load what is needed and compute once, so that the first photo does not wait; raise if that fails."""
        ...


@dataclass(frozen=True, slots=True)
class Developed:
    """What the stages made of the shots, one entry for each, in order."""

    shots: Sequence[Shot | ShotFailure]
    #: Computing time of these shots by stage.
    seconds: Mapping[str, float]


class Development(Protocol):
    """The way of shots through the stages, wherever these compute."""

    async def develop(self, stages: Sequence[Stage], shots: Sequence[Shot], caller: Caller) -> Developed:
        """Take the shots through the stages; a shot that fails goes no further, the others do.

        Raise `DeadlineExceeded` if the caller's deadline passes first.
        """
        ...


class Slots(Protocol):
    """Where stages compute."""

    async def run(self, stage: Stage, shots: Sequence[Shot], caller: Caller) -> Worked:
        """Run the stage on the shots, in batches with those of others, when a slot is free.

        Shots without a bucket pass untouched. Raise `DeadlineExceeded` if the caller's deadline passes first.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOwner:
    """Whose photo is fetched: copies that are kept belong to the listing, and are shared with no other."""

    tenant: str
    listing: str


class SourceCache(Protocol):
    """Source photos that are kept for a while. Blocking; raises a `ServeError` rather than leave what should go."""

    def erase(self, owner: SourceOwner, urls: Iterable[str] | None = None) -> int:
        """Forget the listing's photos, of these addresses or all; give how many there were."""
        ...

    def prune(self, max_age_s: float | None = None) -> int:
        """Forget what was fetched longer ago, in seconds; give how many there were."""
        ...


class Fetcher(Protocol):
    """Brings a source photo, within limits of size, time and address."""

    async def fetch(self, url: str, *, owner: SourceOwner | None = None, sha256: str | None = None) -> FetchedBytes:
        """Raise `AddressRefused`, `SourceNotFound`, `SourceUnreachable` or `SourceTooLarge` if it cannot be had.

        With an owner a copy may be kept and used again; with a `sha256`, other bytes are `SourceChanged`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What lies under a key in the store."""

    key: str
    uri: str
    sha256: str
    bytes: int
    #: False where the key was already taken: the first write wins.
    created: bool


class ObjectStore(Protocol):
    """Content-addressed objects in one bucket. Blocking: call it from a worker thread."""

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """Write unless the key is taken; either way tell what is stored.

        Raise `StoreUnavailable`, `StoreRefused`, and `ObjectBusy` where other writers never let go of the key.
        """
        ...

    def head(self, key: str) -> StoredObject | None:
        """What is stored under the key, or None."""
        ...

    def get(self, key: str) -> bytes:
        """The object's bytes; `KeyError` where there is none."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove the objects; missing ones are no error."""
        ...

    def check(self) -> None:
        """Raise `StoreUnavailable` or `StoreRefused` unless the bucket can be used."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The index already knows the answer: no work is needed."""

    result: ListingResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The event is new and not stale: do the work, then `finish`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A deleted listing: these objects belonged to it alone and must go before `finish`."""

    keys: tuple[str, ...] = field(default=())


class ResultIndex(Protocol):
    """What was answered: last revision, outcome, result and object keys per tenant and listing. Blocking.

    A replay (`EnrichItem.replay`) is told to do the work though its event was answered or is stale, and changes no
    answer and no revision. It removes nothing, and never brings back what was deleted: an event of a deleted listing
    stays `stale`. Its objects belong to the listing and go with it.

    Every method raises `IndexUnavailable` when the database does not answer, `IndexBusy` when it cannot do this now,
    and `IndexFailed` when it refuses.
    """

    def begin(self, item: EnrichItem) -> Answered | Accepted | Removal:
        """Decide what an event needs.

        The same position again gives the stored result; a known event id at another position is a `duplicate`; an
        older revision is `stale`. A deletion drops the listing's references and names the objects that nothing else
        refers to; they stay condemned (see `claim`) until `finish`, so a crash in between is repeated safely.
        """
        ...

    def claim(self, item: EnrichItem, key: str) -> Output | None:
        """Note that the listing refers to the object, before it is written; give its record if it is known.

        Raise `ObjectBusy` while a deletion removes the same key.
        """
        ...

    def record(self, output: Output) -> bool:
        """Keep the record of a stored object, so that a repeat needs no work.

        False if the object was condemned or forgotten meanwhile: then whoever created it must take it away again,
        between `condemn` and `forget`.
        """
        ...

    def condemn(self, key: str) -> str | None:
        """Keep others from claiming the key until `forget` gets this ticket; None if somebody holds it anew."""
        ...

    def forget(self, ticket: str) -> None:
        """What was condemned under the ticket is gone from the store."""
        ...

    def finish(self, item: EnrichItem, result: ListingResult) -> ListingResult:
        """Store the answer and return the one that counts: the first for this position, or `stale` if overtaken."""
        ...
