"""From a recipe and a source photo to the outputs to make, each with its object key and seed."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from serve.catalog.channel import Channel
from serve.catalog.marks import NO_MARKS, MarkPolicy, Marks, marks_for
from serve.catalog.recipe import Recipe, Variant
from serve.catalog.rules import ALL_IN_FORCE
from serve.errors import MarkImpossible
from serve.schemas.result import ModelRef

#: Raised when the same inputs would give other pictures for a reason that no model version shows.
KEY_SCHEME = 1
#: Quality of lossy output files; `serve.images.encoding` lowers it where a channel's byte limit demands it.
ENCODING_QUALITY = 92
#: IPTC codes of operations, the one that says most about a model's part last.
_MADE_BY_A_MODEL = (
    "algorithmicallyEnhanced",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
)
_NO_POLICY = MarkPolicy()
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedShot:
    """One output to make, before any pixel is touched."""

    variant: Variant
    channels: tuple[Channel, ...]
    models: tuple[ModelRef, ...]
    #: `tenant/<64 hex digits>.<suffix>`.
    key: str
    #: 0..2**31-1, taken from the key.
    seed: int
    #: The day on which the channels' rules are to hold.
    on: date = ALL_IN_FORCE
    marks: Marks = NO_MARKS
    #: Why this output cannot be made at all; known before anything is computed.
    refusal: MarkImpossible | None = None
    #: What the settings say about marks, and the listing's locale, for when the source photo is known.
    policy: MarkPolicy = _NO_POLICY
    locale: str | None = None
    #: What the source photo says of its own making, an IPTC code; None before it was decoded.
    declared: str | None = None

    @property
    def max_bytes(self) -> int | None:
        """The smallest byte limit of its channels."""
        return min((channel.max_bytes.value for channel in self.channels if channel.max_bytes), default=None)

    @property
    def background(self) -> str | None:
        """The colour that the chain asks for, `#rrggbb` in small letters; None for scenes and the photo's own."""
        return self.variant.background

    @property
    def digital_source_type(self) -> str:
        """The IPTC code of the finished image."""
        return stronger_source_type(source_type_of(self.variant), self.declared)

    def from_source(self, declared: str | None) -> "PlannedShot":
        """The same output of a photo that calls itself `declared`: of a model's picture a model's picture is made."""
        told = replace(self, declared=declared)
        if told.digital_source_type == self.digital_source_type or self.refusal is not None:
            return told
        marks, refusal = _marks(self.channels, told.digital_source_type, self.variant, self.policy, self.locale)
        return replace(told, marks=marks, refusal=refusal)


def source_type_of(variant: Variant) -> str:
    """The IPTC code of what a chain makes of a photo: what a model drew in stays marked so, whatever follows."""
    return max((operation.digital_source_type for operation in variant.operations), key=_MADE_BY_A_MODEL.index)


def stronger_source_type(chain: str, declared: str | None) -> str:
    """The code of an output whose source photo calls itself `declared`: a crop of a model's picture stays one."""
    known = [code for code in (chain, declared) if code in _MADE_BY_A_MODEL]
    return max(known, key=_MADE_BY_A_MODEL.index, default=chain)


def plan(
    recipe: Recipe,
    *,
    tenant: str,
    source_sha256: str,
    channels_for: Callable[[Variant], Sequence[Channel]],
    models_for: Callable[[Variant], Sequence[ModelRef]],
    on: date = ALL_IN_FORCE,
    policy: MarkPolicy = _NO_POLICY,
    locale: str | None = None,
) -> list[PlannedShot]:
    """The outputs that the recipe makes of one source photo; the same inputs give the same keys and seeds.

    `on` is the day on which the channels' rules are to hold.
    """
    return [
        replace(
            plan_shot(
                variant, tenant, source_sha256, channels_for(variant), models_for(variant), policy=policy, locale=locale
            ),
            on=on,
        )
        for variant in recipe.variants
    ]


def plan_shot(
    variant: Variant,
    tenant: str,
    source_sha256: str,
    channels: Sequence[Channel],
    models: Sequence[ModelRef],
    *,
    policy: MarkPolicy = _NO_POLICY,
    locale: str | None = None,
) -> PlannedShot:
    """Key and seed of one output. The variant's and recipe's names are no part of it: they change no pixel.

    `locale` is the listing's; it chooses the words of a visible label and enters the key through them alone.
    """
    ordered = tuple(sorted(channels, key=lambda channel: channel.channel))
    marks, refusal = _marks(ordered, source_type_of(variant), variant, policy, locale)
    # The photo may turn out to be a model's picture, so the key covers what would be marked then.
    if_made, _ = _marks(ordered, "trainedAlgorithmicMedia", variant, policy, locale)
    identity: dict[str, object] = {
        "scheme": KEY_SCHEME,
        "source": source_sha256,
        "operations": [operation.model_dump(mode="json") for operation in variant.operations],
        "size": list(variant.size),
        "format": variant.format,
        "quality": ENCODING_QUALITY,
        "channels": [channel.ref for channel in ordered],
        "models": [[model.name, model.version] for model in models],
    }
    if marked := {**marks.identity(), **if_made.identity()}:
        identity["marks"] = marked
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return PlannedShot(
        variant=variant,
        channels=ordered,
        models=tuple(models),
        key=f"{tenant}/{digest}{SUFFIXES[variant.format]}",
        seed=int(digest[:8], 16) & 0x7FFFFFFF,
        marks=marks,
        refusal=refusal,
        policy=policy,
        locale=locale,
    )


def _marks(
    channels: Sequence[Channel], source_type: str, variant: Variant, policy: MarkPolicy, locale: str | None
) -> tuple[Marks, MarkImpossible | None]:
    try:
        return marks_for(channels, source_type, variant.size, policy, locale), None
    except MarkImpossible as error:
        return NO_MARKS, error
