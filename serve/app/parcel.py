"""What crosses a handle between deployments: shots without what the far side has no use for. Pure.

One parcel holds all shots of a photo, so their common source, and every array that they share, travels once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from serve.errors import ServeError
from serve.interfaces import Shot, ShotFailure, SourceImage
from serve.schemas.result import ModelRef

Parts = frozenset[str]
#: The arrays of a shot; the rest of it is small.
SOURCE, PIXELS, MASK, REFERENCE = "source", "pixels", "mask", "reference"
ALL: Parts = frozenset((SOURCE, PIXELS, MASK, REFERENCE))
#: What encoding needs, after all stages.
FINISHED: Parts = frozenset((PIXELS,))
#: Which arrays a stage reads, and which it makes anew. One that is not listed gets and gives everything.
_READS: Mapping[str, Parts] = {
    "generation": frozenset((SOURCE,)),
    "style_transfer": frozenset((PIXELS, MASK)),
    "quality_filter": frozenset((PIXELS, MASK, REFERENCE)),
}
_MAKES: Mapping[str, Parts] = {
    "generation": frozenset((PIXELS, MASK, REFERENCE)),
    "style_transfer": frozenset((PIXELS,)),
    "quality_filter": frozenset(),
}
_NOTHING = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Shots on the way, each in its place from the first hop to the last."""

    shots: tuple[Shot | ShotFailure, ...]
    tenant: str
    #: Seconds that are left to the caller; `inf` for no limit. Clocks of machines differ, so no time of day travels.
    remaining_s: float
    #: Computing time by stage so far.
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays, each counted once."""
        arrays = {
            id(array): array.nbytes
            for shot in self.shots
            if isinstance(shot, Shot)
            for array in (shot.source.pixels, shot.pixels, shot.mask, shot.reference)
            if array is not None
        }
        return sum(arrays.values())


@dataclass(frozen=True, slots=True)
class Refused:
    """What comes instead of a parcel; whoever gets it in place of shots hands it on."""

    error: ServeError


@dataclass(frozen=True, slots=True)
class Order:
    """What a deployment shall do with a parcel."""

    #: Stage -> for every place the models that it must have, or the keys of the shots would lie.
    stages: Mapping[str, Sequence[tuple[ModelRef, ...]]]
    #: The arrays that are still of use afterwards.
    keep: Parts


def reads(stages: Iterable[str]) -> Parts:
    """The arrays that any of the stages reads."""
    return frozenset[str]().union(*(_READS.get(stage, ALL) for stage in stages))


def makes(stages: Iterable[str]) -> Parts:
    """The arrays that any of the stages makes anew."""
    return frozenset[str]().union(*(_MAKES.get(stage, ALL - {SOURCE}) for stage in stages))


def stripped(shots: Sequence[Shot | ShotFailure], keep: Parts) -> tuple[Shot | ShotFailure, ...]:
    """The shots with these arrays alone; failures keep none. Shots of one source go on sharing it."""
    sources: dict[int, SourceImage] = {}

    def source_of(shot: Shot, *, whole: bool) -> SourceImage:
        if whole:
            return shot.source
        return sources.setdefault(id(shot.source), replace(shot.source, pixels=_NOTHING))

    def strip(shot: Shot, keep: Parts) -> Shot:
        return replace(
            shot,
            source=source_of(shot, whole=SOURCE in keep),
            pixels=shot.pixels if PIXELS in keep else None,
            mask=shot.mask if MASK in keep else None,
            reference=shot.reference if REFERENCE in keep else None,
        )

    return tuple(
        strip(shot, keep) if isinstance(shot, Shot) else replace(shot, shot=strip(shot.shot, frozenset()))
        for shot in shots
    )


def reunited(sent: Shot, back: Shot | ShotFailure) -> Shot | ShotFailure:
    """What came back, completed by what had stayed here."""
    if isinstance(back, ShotFailure):
        return replace(back, shot=sent)
    return replace(
        back,
        source=sent.source,
        pixels=sent.pixels if back.pixels is None else back.pixels,
        mask=sent.mask if back.mask is None else back.mask,
        reference=sent.reference if back.reference is None else back.reference,
    )
