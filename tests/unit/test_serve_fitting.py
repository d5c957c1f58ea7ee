"""Variants are changed as far as their channels need it, or refused with a reason."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.catalog.channel import Channel, ImageFacts
from serve.catalog.fitting import Refusal, changes_between, fit_recipe, fit_to_channel, least_factor
from serve.catalog.loader import load_catalog
from serve.catalog.recipe import Recipe, Variant

CATALOG = load_catalog()
STUDIO = {"op": "studio"}


def variant(**changes: object) -> Variant:
    data: dict[str, object] = {"name": "v", "operations": [STUDIO]}
    return Variant.model_validate({**data, **changes})


def channel(**rules: object) -> Channel:
    data: dict[str, object] = {"channel": "c", "version": 1, "title": "C", "source": "s", "formats": ["jpeg", "png"]}
    return Channel.model_validate({**data, **rules})


def fitted(one: Variant, *channels: Channel, bound: bool = False) -> Variant:
    answer = fit_to_channel(one, channels, [channel.channel for channel in channels] if bound else ())
    assert isinstance(answer, Variant)
    return answer


def refused(one: Variant, *channels: Channel) -> str:
    answer = fit_to_channel(one, channels)
    assert isinstance(answer, Refusal)
    return str(answer)


def test_what_fits_is_left_alone() -> None:
    for recipe in CATALOG.recipes.values():
        for one in recipe.variants:
            assert fit_to_channel(one, CATALOG.channels_of(one.channels)) is one


@pytest.mark.parametrize(
    ("asked", "rules", "size"),
    [
        ((300, 400), {"min_longest_side": 1000}, (750, 1000)),
        ((300, 400), {"min_shortest_side": 1000}, (1000, 1334)),
        ((3000, 4000), {"max_side": 2000}, (1500, 2000)),
        ((2000, 2000), {"max_megapixels": 1}, (1000, 1000)),
        ((1000, 1250), {"aspect": 1}, (1250, 1250)),
        ((1000, 1250), {"aspect": 0.5}, (1000, 2000)),
        ((1250, 1000), {"aspect": 1, "max_side": 1000}, (1000, 1000)),
        ((1000, 1000), {"advised_longest_side": 2200}, (1000, 1000)),
    ],
)
def test_sizes_are_raised_lowered_and_squared(
    asked: tuple[int, int], rules: dict[str, object], size: tuple[int, int]
) -> None:
    assert fitted(variant(size=asked), channel(**rules)).size == size


def test_the_advised_size_is_for_listings_that_are_bound_for_the_channel() -> None:
    advising = channel(advised_longest_side=2200)
    assert fitted(variant(), advising, bound=True).size == (2200, 2200)
    assert fitted(variant(size=(2400, 2400)), advising, bound=True).size == (2400, 2400)
    # A limit is stronger than advice, and a thumbnail stays one where nothing but advice is against it.
    assert fitted(variant(), channel(advised_longest_side=2200, max_side=1500), bound=True).size == (1500, 1500)
    assert fitted(variant(size=(64, 64)), advising, bound=True).size == (64, 64)


def test_format_background_and_fill_follow_the_channel() -> None:
    strict = channel(white_background=0.98, min_fill=0.85)
    asked = variant(format="webp", operations=[{"op": "studio", "background": "#e9eaec", "fill": 0.7}])
    made = fitted(asked, strict)
    (studio,) = made.operations
    assert (made.format, made.background, studio.fill) == ("jpeg", "#ffffff", 0.88)  # type: ignore[union-attr]
    assert changes_between(asked, made) == (
        "format webp -> jpeg",
        "background #e9eaec -> #ffffff",
        "fill 0.7 -> 0.88",
    )
    assert fitted(made, strict) is made
    assert fitted(variant(format="webp"), channel(formats=["avif", "png"])).format == "png"


def test_what_cannot_be_is_refused_with_the_channel_and_the_reason() -> None:
    scene = variant(operations=[{"op": "scene", "scene": "wood"}])
    assert refused(scene, channel(white_background=0.98)) == (
        "c: a pure white background, and the scene 'wood' has none"
    )
    styled = variant(operations=[STUDIO, {"op": "style", "style": "oil"}])
    assert "no pictures that a model drew" in refused(styled, channel(forbidden=["synthetic"]))
    assert "no format in common" in refused(variant(), channel(formats=["gif"]))
    assert "no format in common" in refused(variant(), channel(formats=["png"]), channel(formats=["jpeg"]))
    assert "a ratio of 0.8" in refused(variant(), channel(aspect=1), channel(channel="d", aspect=0.8))
    assert "cannot be raised" in refused(variant(), channel(min_longest_side=5001))
    assert "cannot be raised" in refused(variant(size=(100, 100)), channel(min_longest_side=500))
    assert "cannot be raised" in refused(variant(), channel(min_longest_side=2000), channel(max_side=1000))
    assert "cannot be lowered" in refused(variant(size=(64, 4000)), channel(max_side=1000))


def test_a_rule_that_does_not_bind_yet_changes_nothing() -> None:
    coming = channel(min_shortest_side={"value": 500, "from": "2027-01-31"})
    small = variant(size=(400, 400))
    assert fit_to_channel(small, [coming], on=date(2027, 1, 30)) is small
    after = fit_to_channel(small, [coming], on=date(2027, 1, 31))
    assert isinstance(after, Variant)
    assert after.size == (500, 500)


def test_of_variants_that_become_the_same_picture_one_is_made() -> None:
    amazon = CATALOG.channels_of(["amazon-main"])
    fitting = fit_recipe(CATALOG.recipes["studio"], lambda _: amazon, ["amazon-main"])
    assert [one.name for one in fitting.recipe.variants] == ["white"]
    assert {one.variant: one.reason for one in fitting.refusals} == dict.fromkeys(
        ("soft-grey", "sand"), "on white this is the same picture as 'white'"
    )
    # Without a white one, the first that can be made white is.
    alone = CATALOG.recipes["studio"].model_copy(update={"variants": CATALOG.recipes["studio"].variants[1:]})
    fitting = fit_recipe(alone, lambda _: amazon)
    assert [(one.name, one.background) for one in fitting.recipe.variants] == [("soft-grey", "#ffffff")]
    assert fitting.changes["soft-grey"][0] == "background #e9eaec -> #ffffff"


def test_every_scene_is_refused_for_a_main_image_on_white() -> None:
    recipe = CATALOG.recipes["scenes"]
    fitting = fit_recipe(recipe, lambda _: CATALOG.channels_of(["amazon-main"]), ["amazon-main"])
    assert not fitting.recipe.variants
    assert [one.variant for one in fitting.refusals] == [one.name for one in recipe.variants]
    assert all("white background" in one.reason for one in fitting.refusals)


def test_files_may_shrink_as_far_as_every_least_size_allows() -> None:
    both = [channel(min_longest_side=500), channel(channel="d", min_shortest_side=400)]
    assert least_factor(variant(size=(1000, 800)), both) == 0.5
    assert least_factor(variant(size=(1000, 500)), both) == 0.8
    assert least_factor(variant(), [channel()]) == 0


SIZES = st.integers(64, 5000)


@given(
    st.tuples(SIZES, SIZES),
    st.sampled_from(["jpeg", "png", "webp", "avif"]),
    st.floats(0.3, 1),
    st.lists(st.sampled_from(sorted(CATALOG.channels)), unique=True, max_size=4),
    st.booleans(),
)
def test_what_is_fitted_breaks_no_rule_that_can_be_known_before(
    size: tuple[int, int], form: str, fill: float, names: list[str], bound: bool
) -> None:
    asked = variant(size=size, format=form, operations=[{"op": "studio", "fill": fill}])
    answer = fit_to_channel(asked, CATALOG.channels_of(names), names if bound else ())
    recipe = Recipe.model_validate({"recipe": "r", "version": 1, "description": "", "variants": [asked]})
    assert bool(fit_recipe(recipe, lambda _: CATALOG.channels_of(names)).refusals) == isinstance(answer, Refusal)
    if isinstance(answer, Refusal):
        assert answer.channel in names
        return
    assert Variant.model_validate(answer.model_dump()) == answer
    (studio,) = answer.operations
    facts = ImageFacts(
        width=answer.size[0],
        height=answer.size[1],
        format=answer.format,
        bytes=1,
        digital_source_type=studio.digital_source_type,
        whiteness=1.0 if answer.background == "#ffffff" else 0.0,
        fill=studio.fill,  # type: ignore[union-attr]
        colour="RGB 8",
        border=0,
        text=0,
        watermark=0,
        suffix={"jpeg": ".jpg"}.get(answer.format, f".{answer.format}"),
    )
    found = [rule for name in names for rule in CATALOG.channels[name].check(facts)]
    assert [rule.rule for rule in found if not rule.passed and rule.severity != "advice"] == []
