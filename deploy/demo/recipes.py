"""Which recipe each listing of a run asks for."""

from dataclasses import dataclass

#: What most listings of an ordinary run ask for.
USUAL = "everything"
_LYING, _STANDING = "scenes", "scenes-standing"
_CATEGORIES_THAT_STAND = frozenset({"shoes", "hat", "bag"})
#: Every so many listings, one is set into scenes instead.
_EVERY = 6
#: Every so many listings, one was photographed in poor light.
_EVENINGS = 12
_CORRECTED = "enhanced"


def in_poor_light(number: int) -> bool:
    """Whether the photo of the listing with this number, from 1, is a dark one, where it is drawn."""
    return number % _EVENINGS == _EVENINGS // 4


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
        return (self.asked,) if self.asked else (USUAL, _CORRECTED, _LYING, _STANDING)

    def of(self, number: int, category: str) -> str:
        """What the listing with this number, from 1, asks for."""
        if self.asked:
            return self.asked
        if in_poor_light(number):
            return _CORRECTED
        if number % _EVERY != _EVERY - 2:
            return USUAL
        return _STANDING if category in _CATEGORIES_THAT_STAND else _LYING

    def __str__(self) -> str:
        return self.asked or f"{USUAL}; every {_EVERY}th listing {_LYING}, every {_EVENINGS}th {_CORRECTED}"
