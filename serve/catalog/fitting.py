"""Fits a variant to the channels that are to take its image, or says why that cannot be; before any pixel is touched.

Changed is only what leaves the variant what it is: format, size, canvas, how much of the frame the product takes, the
colour of a plain background. A scene stays a scene, and what a model redraws stays redrawn.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from serve.catalog.channel import Channel
from serve.catalog.operations import Operation, Scene, Studio
from serve.catalog.recipe import Recipe, Variant
from serve.catalog.rules import ALL_IN_FORCE

WHITE = "#ffffff"
#: Output formats by how willingly channels take them.
_FORMATS = ("jpeg", "png", "webp", "avif")
#: A size is raised this many times at most: what was meant as a thumbnail is no picture for a channel.
MOST_RAISED = 4.0
_LEAST_SIDE, _MOST_SIDE = 64, 5000
#: Measured after rounding, the fill is a little less than what was asked for.
_FILL_ROOM = 0.03


@dataclass(frozen=True, slots=True)
class Refusal:
    """A variant that the channels cannot get, and why."""

    variant: str
    channel: str
    reason: str

    def __str__(self) -> str:
        return f"{self.channel}: {self.reason}"


class _Unfit(Exception):
    """Carries the channel and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A recipe as the channels want it."""

    recipe: Recipe
    #: What was changed, by the name of the variant.
    changes: Mapping[str, tuple[str, ...]]
    refusals: tuple[Refusal, ...]


def fit_recipe(
    recipe: Recipe,
    channels_for: Callable[[Variant], Sequence[Channel]],
    bound: Collection[str] = (),
    on: date = ALL_IN_FORCE,
) -> Fitting:
    """Fit every variant; of those that a change of background makes the same picture, only one is made."""
    fitted: dict[str, Variant] = {}
    refusals: list[Refusal] = []
    # Those that keep their background first: they are what the recipe meant.
    asked = {variant.name: fit_to_channel(variant, channels_for(variant), bound, on) for variant in recipe.variants}
    repainted = [one for one in recipe.variants if _background(asked[one.name]) != one.background]
    for variant in [*(one for one in recipe.variants if one not in repainted), *repainted]:
        answer = asked[variant.name]
        if isinstance(answer, Variant) and variant in repainted:
            twin = next((name for name, other in fitted.items() if _picture(other) == _picture(answer)), None)
            if twin is not None:
                channel = _demanding_white(channels_for(variant))
                answer = Refusal(variant.name, channel, f"on white this is the same picture as {twin!r}")
        if isinstance(answer, Refusal):
            refusals.append(answer)
        else:
            fitted[variant.name] = answer
    kept = [fitted[one.name] for one in recipe.variants if one.name in fitted]
    changes = {one.name: changes_between(one, fitted[one.name]) for one in recipe.variants if one.name in fitted}
    return Fitting(recipe=recipe.model_copy(update={"variants": kept}), changes=changes, refusals=tuple(refusals))


def fit_to_channel(
    variant: Variant, channels: Sequence[Channel], bound: Collection[str] = (), on: date = ALL_IN_FORCE
) -> Variant | Refusal:
    """The variant, changed as far as needed so that all channels take its image; or why it cannot be.

    `bound` names the channels whose advised size is sought as well. A variant that fits is returned as it is.
    """
    try:
        update = {
            "operations": _operations(variant, channels, on),
            "format": _format(variant, channels),
            "size": _size(variant, channels, bound, on),
        }
    except _Unfit as unfit:
        channel, reason = unfit.args
        return Refusal(variant.name, channel, reason)
    changed = {name: value for name, value in update.items() if value != getattr(variant, name)}
    return variant.model_copy(update=changed) if changed else variant


def least_factor(variant: Variant, channels: Sequence[Channel], on: date = ALL_IN_FORCE) -> float:
    """By how much the sides may shrink, 0..1, until a channel would no longer take the image for its size."""
    return min(1.0, max(_needs(*variant.size, channels, on))[0])


def changes_between(before: Variant, after: Variant) -> tuple[str, ...]:
    """What fitting changed, in words that stand in results."""
    told = []
    if before.size != after.size:
        told.append(f"size {_by(before.size)} -> {_by(after.size)}")
    if before.format != after.format:
        told.append(f"format {before.format} -> {after.format}")
    if before.background != after.background:
        told.append(f"background {before.background} -> {after.background}")
    fills = [(_fill(one), _fill(other)) for one, other in zip(before.operations, after.operations, strict=True)]
    return (*told, *(f"fill {old:g} -> {new:g}" for old, new in fills if old != new and old and new))


def _operations(variant: Variant, channels: Sequence[Channel], on: date) -> list[Operation]:
    """The chain on the background and with the fill that the channels demand."""
    operations = list(variant.operations)
    by_model = [one.op for one in operations if "trained" in one.digital_source_type.lower()]
    last = max((place for place, one in enumerate(operations) if isinstance(one, Studio | Scene)), default=None)
    for channel in channels:
        forbidden = channel.forbidden
        if by_model and forbidden is not None and forbidden.binds(on) and "synthetic" in forbidden.value:
            raise _Unfit(channel.channel, f"no pictures that a model drew, and {by_model[0]!r} is one")
        if last is None:
            # The photo's own background and frame: what they are is measured.
            continue
        here = operations[last]
        if channel.white_background is not None and channel.white_background.binds(on):
            if isinstance(here, Scene):
                raise _Unfit(channel.channel, f"a pure white background, and the scene {here.scene!r} has none")
            if isinstance(here, Studio) and here.background.lower() != WHITE:
                here = here.model_copy(update={"background": WHITE})
        least = channel.min_fill.value if channel.min_fill is not None and channel.min_fill.binds(on) else 0.0
        if isinstance(here, Studio | Scene) and here.fill < min(1.0, least + _FILL_ROOM) and least:
            here = here.model_copy(update={"fill": round(min(1.0, least + _FILL_ROOM), 4)})
        operations[last] = here
    return operations


def _format(variant: Variant, channels: Sequence[Channel]) -> str:
    takes = [form for form in _FORMATS if all(form in channel.formats.value for channel in channels)]
    if variant.format in takes or not channels:
        return variant.format
    if not takes:
        raise _Unfit(channels[0].channel, "the channels have no format in common that Vitrine writes")
    return takes[0]


def _size(variant: Variant, channels: Sequence[Channel], bound: Collection[str], on: date) -> tuple[int, int]:
    width, height = _canvas(variant.size, channels, on)
    least, most = max(_needs(width, height, channels, on)), _most_factor(width, height, channels, on)
    if least[0] > min(most[0], MOST_RAISED):
        raise _Unfit(least[1], f"{_by(variant.size)} cannot be raised to the size that it demands")
    advised = [one.advised_longest_side for one in channels if one.channel in bound]
    wanted = max((side.value / max(width, height) for side in advised if side is not None), default=1.0)
    factor = min(max(least[0], 1.0, wanted if wanted <= MOST_RAISED else 1.0), most[0])
    if factor == 1 and (width, height) == variant.size:
        return variant.size
    # Up where there is a least size, down where there is a largest one.
    whole = math.floor if factor >= most[0] else math.ceil
    size = whole(round(width * factor, 6)), whole(round(height * factor, 6))
    if min(size) < _LEAST_SIDE:
        raise _Unfit(most[1], f"{_by(variant.size)} cannot be lowered to the size that it takes")
    return size


def _canvas(size: tuple[int, int], channels: Sequence[Channel], on: date) -> tuple[float, float]:
    """The frame in the ratio that is demanded: the side that is too short grows, so nothing is cut off."""
    demanded = [(one.channel, one.aspect.value) for one in channels if one.aspect is not None and one.aspect.binds(on)]
    width, height = size
    if not demanded:
        return width, height
    channel, ratio = demanded[0]
    for other, another in demanded[1:]:
        if abs(another - ratio) > 0.01 * ratio:
            raise _Unfit(other, f"a ratio of {another:g}, and {channel} wants {ratio:g}")
    if abs(width / height - ratio) <= 0.01 * ratio:
        return width, height
    return (height * ratio, height) if width / height < ratio else (width, width / ratio)


def _needs(width: float, height: float, channels: Sequence[Channel], on: date) -> list[tuple[float, str]]:
    """For every least size, the factor that would just reach it."""
    needs = [(0.0, "")]
    for one in channels:
        for figure, side in ((one.min_shortest_side, min(width, height)), (one.min_longest_side, max(width, height))):
            if figure is not None and figure.binds(on):
                needs.append((figure.value / side, one.channel))
    return needs


def _most_factor(width: float, height: float, channels: Sequence[Channel], on: date) -> tuple[float, str]:
    longest = max(width, height)
    limits = [(_MOST_SIDE / longest, channels[0].channel if channels else "")]
    for one in channels:
        if one.max_side is not None and one.max_side.binds(on):
            limits.append((one.max_side.value / longest, one.channel))
        if one.max_megapixels is not None and one.max_megapixels.binds(on):
            limits.append((math.sqrt(one.max_megapixels.value * 1e6 / (width * height)), one.channel))
    return min(limits)


def _picture(variant: Variant) -> tuple[object, ...]:
    """What two variants share that show the same: all but the size of the product in the frame, and its shadow."""
    chain = [one.model_dump(mode="json", exclude={"fill", "shadow"}) for one in variant.operations]
    return str(chain), variant.size, variant.format


def _background(answer: Variant | Refusal) -> str | None:
    return answer.background if isinstance(answer, Variant) else None


def _demanding_white(channels: Sequence[Channel]) -> str:
    return next(one.channel for one in channels if one.white_background is not None)


def _fill(operation: Operation) -> float | None:
    return operation.fill if isinstance(operation, Studio | Scene) else None


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
