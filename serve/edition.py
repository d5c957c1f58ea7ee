"""What is made, and with which models: the catalog and the stages that belong together."""

from dataclasses import dataclass

from serve.catalog.catalog import Catalog
from serve.catalog.recipe import Variant
from serve.interfaces import Stage
from serve.schemas.result import ModelRef


@dataclass(frozen=True, slots=True)
class Edition:
    """A catalog and the stages in their order. An event keeps the edition that it began with."""

    catalog: Catalog
    stages: tuple[Stage, ...]

    def models_for(self, variant: Variant) -> tuple[ModelRef, ...]:
        """The models that the stages would use for a variant."""
        return tuple(model for stage in self.stages for model in stage.models(variant))


class Editions:
    """The edition that new events begin with."""

    def __init__(self, first: Edition) -> None:
        self._current = first

    @property
    def current(self) -> Edition:
        """Ask once per event."""
        return self._current

    def swap(self, edition: Edition) -> None:
        """New events begin with this one from now on; the others end with theirs."""
        self._current = edition
