"""A model that is known by its card before it is loaded: planning needs no more than the card."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Card(Protocol):
    """What is known of a model before it is loaded."""

    @property
    def name(self) -> str:
        """Stable name, part of object keys."""
        ...

    @property
    def version(self) -> str:
        """Changes with the weights."""
        ...


class Model(Protocol):
    """A loaded model says what it is."""

    name: str
    version: str


M = TypeVar("M", bound=Model)


class Loaded(Generic[M]):
    """Loads the model on first use, and once."""

    def __init__(self, card: Card, load: Callable[[], M]) -> None:
        self.card = card
        self._load = load
        self._model: M | None = None

    @property
    def model(self) -> M:
        """Raise `ValueError` if it is another one than the card said, and what loading raises."""
        if self._model is None:
            model = self._load()
            if model.version != self.card.version:
                raise ValueError(f"the model {model.name} is {model.version}, its manifest said {self.card.version}")
            self._model = model
        return self._model
