"""Style transfer: redraw a finished shot with trained styles."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from models.styles.blend import Where, laid
from serve.catalog.operations import Style
from serve.catalog.recipe import Variant
from serve.interfaces import Picture, Shot, ShotFailure
from serve.schemas.result import ModelRef
from serve.stages.loaded import Card, Loaded, Model


class StyleCard(Card, Protocol):
    """What is known of a style net before it is loaded."""

    @property
    def styles(self) -> Collection[str]:
        """The styles that it was trained for."""
        ...


class StyleNet(Model, Protocol):
    """What this stage needs of a style net; `models.styles.transfer.StyleTransfer` is one."""

    def apply(self, pictures: Sequence[Picture], styles: Sequence[str]) -> list[Picture]:
        """Redraw each picture in the style of the same place; sizes stay."""
        ...


class StyleTransfer:
    """The stage that redraws. A shot without a style operation passes untouched."""

    name = "style_transfer"

    def __init__(self, card: StyleCard, load: Callable[[], StyleNet]) -> None:
        self._card = card
        self._net = Loaded(card, load)

    def models(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The style net, where the chain has a style."""
        drawn = any(isinstance(operation, Style) for operation in variant.operations)
        return (ModelRef(name=self._card.name, version=self._card.version),) if drawn else ()

    def bucket(self, shot: Shot) -> tuple[str, str, tuple[int, int]] | None:
        """Net and size; None for a shot without style."""
        return (self._card.name, self._card.version, shot.variant.size) if _styles(shot) else None

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Redraw the shots that ask for it; the first styles of all chains go through the net together, and so on."""
        drawn = list(batch)
        for turn in range(max((len(_styles(shot)) for shot in batch), default=0)):
            places = [place for place, shot in enumerate(batch) if turn < len(_styles(shot))]
            wanted = [_styles(batch[place])[turn] for place in places]
            redrawn = self._net.model.apply([_pixels(drawn[place]) for place in places], [one.style for one in wanted])
            for place, operation, picture in zip(places, wanted, redrawn, strict=True):
                shot = drawn[place]
                drawn[place] = replace(shot, pixels=_laid(shot, picture, operation))
        return list(drawn)

    def warm_up(self) -> None:
        """Load the net and draw one small picture."""
        self._net.model.apply([np.full((64, 64, 3), 128, np.uint8)], [next(iter(self._card.styles))])


def _styles(shot: Shot) -> list[Style]:
    return [operation for operation in shot.variant.operations if isinstance(operation, Style)]


def _laid(shot: Shot, drawn: Picture, operation: Style) -> Picture:
    """Blend by strength, on the part that is meant.

    Without a mask nobody knows where the product ends: what is meant for it is laid everywhere, and what is meant for
    the background nowhere, for that promises to leave the product as it is.
    """
    before, mask = _pixels(shot), shot.mask
    if mask is None:
        strength = 0.0 if operation.area == "background" else operation.strength
        return laid(before, drawn, strength)
    where: Where = "all" if operation.area == "picture" else operation.area
    return laid(before, drawn, operation.strength, where, mask)


def _pixels(shot: Shot) -> Picture:
    if shot.pixels is None:
        raise ValueError("the shot has no picture yet: the chain must pass generation first")
    return shot.pixels
