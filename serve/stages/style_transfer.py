"""Style transfer: redraw a finished shot with trained styles."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import numpy as np

from serve.catalog.operations import Style
from serve.catalog.recipe import Variant
from serve.interfaces import Picture, Shot, ShotFailure
from serve.schemas.result import ModelRef
from serve.stages.isolation import each_apart


class StyleNet(Protocol):
    """What this stage needs of a style net; `models.style_transfer.StyleTransfer` is one."""

    @property
    def name(self) -> str:
        """Stable name, part of object keys."""
        ...

    @property
    def version(self) -> str:
        """Changes with the weights."""
        ...

    @property
    def styles(self) -> Collection[str]:
        """The styles that it was trained for."""
        ...

    def apply(self, pictures: Sequence[Picture], styles: Sequence[str]) -> list[Picture]:
        """Redraw each picture in the style of the same place; sizes stay."""
        ...


class StyleTransfer:
    """The stage that redraws. A shot without a style operation passes untouched."""

    name = "style_transfer"

    def __init__(self, load: Callable[[], StyleNet]) -> None:
        self._load = load
        self._net: StyleNet | None = None

    @property
    def net(self) -> StyleNet:
        """The net, loaded on first use: only replicas that draw pay for it."""
        if self._net is None:
            self._net = self._load()
        return self._net

    def models(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The style net, where the chain has a style."""
        drawn = any(isinstance(operation, Style) for operation in variant.operations)
        return (ModelRef(name=self.net.name, version=self.net.version),) if drawn else ()

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Redraw the shots that ask for it, styles one after another where a chain has several."""
        return each_apart(self.name, batch, self._draw)

    def _draw(self, shot: Shot) -> None:
        for operation in shot.variant.operations:
            if isinstance(operation, Style):
                (drawn,) = self.net.apply([_pixels(shot)], [operation.style])
                shot.pixels = _laid(shot, drawn, operation)


def _laid(shot: Shot, drawn: Picture, operation: Style) -> Picture:
    """Blend by strength, and within the mask where only the product is drawn."""
    before = _pixels(shot)
    if operation.strength == 1 and operation.area == "picture":
        return drawn
    weight = np.full(before.shape[:2], operation.strength, dtype=np.float32)
    if operation.area == "product" and shot.mask is not None:
        weight *= shot.mask
    mixed = before + (drawn.astype(np.float32) - before) * weight[..., None]
    return np.asarray(mixed + 0.5, dtype=np.uint8)


def _pixels(shot: Shot) -> Picture:
    if shot.pixels is None:
        raise ValueError("the shot has no picture yet: the chain must pass generation first")
    return shot.pixels
