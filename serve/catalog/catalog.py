"""The loaded catalog: which recipe is for a listing, which channels an output must satisfy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from serve.catalog.channel import Channel
from serve.catalog.quality import QualityRules
from serve.catalog.recipe import Recipe, Selection, Variant
from serve.errors import UnknownChannel, UnknownRecipe
from serve.policy.check import PolicyCheck
from serve.policy.rules import Policy
from serve.schemas.listing import Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Recipes, channels and thresholds that agree with each other; the loader has checked them."""

    recipes: Mapping[str, Recipe]
    channels: Mapping[str, Channel]
    quality: QualityRules
    default_recipe: str
    policy: PolicyCheck = field(default_factory=lambda: PolicyCheck(Policy(version=1)))

    def choose(self, listing: Listing) -> Recipe:
        """The recipe that the listing names, else the most specific that selects it, else the default one.

        Raise `UnknownRecipe` for a name that is not loaded.
        """
        if listing.recipe is not None:
            return self.recipe(listing.recipe)
        fitting = [
            (rank, recipe)
            for recipe in self.recipes.values()
            if recipe.select is not None and (rank := _specificity(recipe.select, listing)) is not None
        ]
        if not fitting:
            return self.recipes[self.default_recipe]
        best = max(rank for rank, _ in fitting)
        return min((recipe for rank, recipe in fitting if rank == best), key=lambda recipe: recipe.recipe)

    def recipe(self, name: str) -> Recipe:
        """The recipe of this name; raise `UnknownRecipe`."""
        if name not in self.recipes:
            raise UnknownRecipe(f"There is no recipe {name!r}; known are {', '.join(sorted(self.recipes))}.")
        return self.recipes[name]

    def channels_of(self, names: Sequence[str]) -> list[Channel]:
        """The channel profiles of these names, once each; raise `UnknownChannel`."""
        unknown = [name for name in names if name not in self.channels]
        if unknown:
            known = ", ".join(sorted(self.channels))
            raise UnknownChannel(f"There is no channel {', '.join(map(repr, unknown))}; known are {known}.")
        return [self.channels[name] for name in dict.fromkeys(names)]

    def channels_for(self, listing: Listing, variant: Variant) -> list[Channel]:
        """The channels that an output must satisfy: those of its variant and those that the listing is bound for."""
        return self.channels_of([*variant.channels, *listing.destination_profiles])

    def blurs_faces(self, recipe: Recipe, tenant: str | None, channels: Iterable[Channel]) -> bool:
        """Whether faces go from the photos that the recipe is made of, for these channels; all its images then."""
        return recipe.blur_faces or self.policy.blurs_faces(tenant) or any(one.blur_faces for one in channels)

    @property
    def may_blur_faces(self) -> bool:
        """Whether anything in the catalog asks for that."""
        recipes, channels = self.recipes.values(), self.channels.values()
        asked = any(one.blur_faces for one in recipes) or any(one.blur_faces for one in channels)
        return asked or self.policy.may_blur_faces


def _specificity(select: Selection, listing: Listing) -> tuple[int, int] | None:
    """How closely a selection fits: its criteria, then the depth of the category. None where it does not fit."""
    depth = 0
    if select.categories:
        fits = [len(wanted) for wanted in select.categories if _in_category(listing, wanted)]
        if not fits:
            return None
        depth = max(fits)
    bound_for = {*listing.destination_profiles, *([listing.marketplace] if listing.marketplace else [])}
    criteria = (
        (select.tenants, {listing.tenant_id}),
        (select.channels, bound_for),
        (select.locales, {listing.locale} if listing.locale else set[str]()),
    )
    if any(wanted and not there.intersection(wanted) for wanted, there in criteria):
        return None
    return sum(bool(wanted) for wanted, _ in criteria) + bool(select.categories), depth


def _in_category(listing: Listing, wanted: str) -> bool:
    if listing.category is None:
        return False
    path = listing.category.path or ""
    return wanted in (listing.category.id, path) or path.startswith((f"{wanted}/", f"{wanted} > "))
