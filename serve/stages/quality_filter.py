"""The quality filter: measure every finished shot and say publish, review or reject, with reasons."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from models.quality.measures import measure
from models.quality.overlays import border_of, whiteness_of
from serve.catalog.operations import Scene, Studio
from serve.catalog.quality import QualityRules
from serve.catalog.recipe import Variant
from serve.interfaces import Shot, ShotFailure
from serve.schemas.result import ModelRef
from serve.stages.generation import rgb
from serve.stages.isolation import each_apart


class QualityFilter:
    """The stage that judges. It changes no pixel, hence it has no part in the object key."""

    name = "quality_filter"

    def __init__(self, rules: QualityRules) -> None:
        self._rules = rules

    def models(self, _: Variant) -> tuple[ModelRef, ...]:
        """None: judging leaves the picture as it is."""
        return ()

    def bucket(self, shot: Shot) -> tuple[int, int]:
        """The size: judging needs no model."""
        return shot.variant.size

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        """Give each shot its `quality`; a rejected shot is not a failure."""
        return each_apart(self.name, batch, self._judge)

    def _judge(self, shot: Shot) -> Shot:
        if shot.pixels is None or shot.mask is None:
            raise ValueError("nothing to judge: the chain must pass generation first")
        background = background_of(shot.variant)
        found = measure(shot.pixels, shot.mask, reference=shot.reference, background=background)
        measured = {name: round(float(value), 4) for name, value in asdict(found).items()}
        measured |= {name: round(float(value), 4) for name, value in shot.figures.items()}
        measured["mask_confidence"] = round(shot.confidence, 4)
        if not any(isinstance(operation, Studio | Scene) for operation in shot.variant.operations):
            # The photo's own background and edges, which nobody has replaced.
            measured |= {"whiteness": whiteness_of(shot.pixels), "border": border_of(shot.pixels)}
        return replace(shot, quality=self._rules.judge(shot.variant, measured))

    def warm_up(self) -> None:
        """Nothing is loaded here."""


def background_of(variant: Variant) -> tuple[int, int, int] | None:
    """The background that the chain asks for, as sRGB; None for scenes and where it keeps that of the photo."""
    return rgb(variant.background) if variant.background else None
