"""What the listings of a demo run are to become."""

import pytest

from deploy.demo.recipes import USUAL, Recipes
from serve.catalog.loader import load_catalog


def test_a_few_listings_are_set_into_scenes_or_corrected() -> None:
    asked = [Recipes().of(number, "dress") for number in range(1, 25)]
    assert asked.count("scenes") == 4
    assert [number for number, recipe in enumerate(asked, 1) if recipe == "enhanced"] == [3, 15]
    assert asked.count(USUAL) == 18
    assert asked[:2] == [USUAL] * 2


@pytest.mark.parametrize("category", ["shoes", "hat"])
def test_what_can_stand_stands(category: str) -> None:
    assert {Recipes().of(number, category) for number in range(1, 25)} == {USUAL, "enhanced", "scenes-standing"}


def test_a_recipe_that_is_asked_for_is_everybodys() -> None:
    recipes = Recipes("styled")
    assert {recipes.of(number, "hat") for number in range(1, 25)} == {"styled"} == set(recipes.all)
    assert str(recipes) == "styled"


def test_every_recipe_of_a_run_exists() -> None:
    assert set(Recipes().all) <= set(load_catalog().recipes)
