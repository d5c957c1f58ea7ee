"""Stages that take time and do nothing, and shots to give them: what is left is what batching costs and gains."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from serve.catalog.recipe import Variant
from serve.interfaces import Shot, ShotFailure, SourceImage
from serve.schemas.result import ModelRef

#: The most that a batch holds, in all benches of batching.
MOST = 16
_VARIANT = Variant.model_validate({"name": "bench", "operations": [{"op": "studio"}], "size": (64, 64)})
_SOURCE = SourceImage(image_id="0", sha256="0" * 64, pixels=np.zeros((1, 1, 3), np.uint8), format="jpeg")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a batch takes, in seconds: so much, and so much more for each item."""

    batch_s: float = 0.0
    item_s: float = 0.0

    def of(self, items: int) -> float:
        """Seconds for a batch of so many."""
        return self.batch_s + items * self.item_s

    @property
    def capacity(self) -> float:
        """Items per second where every batch is full."""
        return MOST / self.of(MOST)


@dataclass(slots=True)
class Sleeper:
    """A `Stage` that holds its thread for as long as a batch takes."""

    cost: Cost
    name: str = "generation"
    #: The batches that ran.
    sizes: list[int] = field(default_factory=list)

    def models(self, variant: Variant) -> tuple[ModelRef, ...]:  # noqa: ARG002 - protocol
        """None."""
        return ()

    def bucket(self, shot: Shot) -> str:  # noqa: ARG002 - protocol
        """All may share a batch."""
        return "all"

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Wait, if there is anything to wait for."""
        self.sizes.append(len(batch))
        if seconds := self.cost.of(len(batch)):
            time.sleep(seconds)
        return list(batch)

    def warm_up(self) -> None:
        """Nothing is cold."""


def shot(number: int) -> Shot:
    """One of a picture of one pixel."""
    return Shot(source=_SOURCE, variant=_VARIANT, key=str(number), seed=number)
