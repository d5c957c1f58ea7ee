"""Which recipe each listing of a run asks for."""

from dataclasses import dataclass

#: What most listings of an ordinary run ask for.
USUAL = "everything"
_LYING, _STANDING = "scenes", "scenes-standing"
_CATEGORIES_THAT_STAND = frozenset({"shoes", "hat", "bag"})
#: Every so many listings, one is set into scenes instead.
_EVERY = 6


@dataclass(frozen=True, slots=True)
class Recipes:
    """The recipes of one run."""

    #: What all listings are to ask for; None mixes.
    asked: str | None = None

    @property
    def usual(self) -> str:
        """What a listing asks for that nothing is said of."""
        return self.asked or USUAL

    @property
    def all(self) -> tuple[str, ...]:
        """All that may be asked for."""
        return (self.asked,) if self.asked else (USUAL, _LYING, _STANDING)

    def of(self, number: int, category: str) -> str:
        """What the listing with this number, from 1, asks for."""
        if self.asked or number % _EVERY != _EVERY - 2:
            return self.usual
        return _STANDING if category in _CATEGORIES_THAT_STAND else _LYING

    def __str__(self) -> str:
        return self.asked or f"{USUAL}; every {_EVERY}th listing {_LYING}"
