"""What can be trained: a recipe names a net, says how it learns, and brings its task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from models.training.loop import Plan, Task


class Recipe(Protocol):
    """One kind of run. Recipes are frozen dataclasses; what differs between two runs is a field."""

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        ...

    @property
    def version(self) -> str:
        """Of the weights; their sha256 is added."""
        ...

    @property
    def architecture(self) -> str:
        """Which net the weights belong to, as the manifest says it."""
        ...

    @property
    def plan(self) -> Plan:
        """Steps, rates, averaging."""
        ...

    def task(self, data: Path | None, cache: Path) -> Task[Any]:
        """Net, examples and loss; `cache` keeps what is costly to prepare. `DataError` where photos are missing."""
        ...

    def card(self) -> Mapping[str, str]:
        """Sections of the model card that no figure can tell: `what`, `data`, `licence`, `limits`, `use`."""
        ...
