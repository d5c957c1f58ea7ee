import re

from hypothesis import given
from hypothesis import strategies as st

from serve.catalog.loader import load_catalog
from serve.catalog.plan import plan, plan_shot
from serve.catalog.recipe import Variant
from serve.darkroom import facts_of
from serve.schemas.outcome import Verdict
from serve.schemas.result import ModelRef, Quality

CATALOG = load_catalog()
MODELS = (ModelRef(name="grabcut", version="1"),)
SHA = "ab" * 32


def variant(**changes: object) -> Variant:
    data: dict[str, object] = {"name": "white", "operations": [{"op": "studio"}]}
    return Variant.model_validate({**data, **changes})


def key(made: Variant, *, tenant: str = "acme", sha: str = SHA, models: tuple[ModelRef, ...] = MODELS) -> str:
    return plan_shot(made, tenant, sha, CATALOG.channels_of(made.channels), models).key


def test_a_key_is_tenant_digest_and_suffix() -> None:
    assert re.fullmatch(r"acme/[0-9a-f]{64}\.jpg", key(variant()))
    assert key(variant(format="webp")).endswith(".webp")


def test_what_changes_a_picture_changes_its_key() -> None:
    others = [
        variant(size=(999, 1000)),
        variant(format="png"),
        variant(operations=[{"op": "studio", "fill": 0.7}]),
        variant(operations=[{"op": "recolor", "colour": "#112233"}, {"op": "studio"}]),
        variant(channels=["google"]),
        variant(channels=["google", "ebay"]),
    ]
    keys = [key(variant()), *(key(other) for other in others)]
    keys += [key(variant(), sha="cd" * 32), key(variant(), models=(ModelRef(name="grabcut", version="2"),))]
    assert len(set(keys)) == len(keys)


def test_names_and_the_order_of_channels_change_nothing() -> None:
    assert key(variant(name="other")) == key(variant())
    assert key(variant(channels=["ebay", "google"])) == key(variant(channels=["google", "ebay"]))


@given(st.integers(64, 5000), st.integers(64, 5000), st.floats(0.3, 1), st.sampled_from(["jpeg", "png", "webp"]))
def test_the_same_inputs_give_the_same_key_and_seed(width: int, height: int, fill: float, form: str) -> None:
    def planned() -> tuple[str, int]:
        made = variant(size=(width, height), operations=[{"op": "studio", "fill": fill}], format=form)
        shot = plan_shot(made, "acme", SHA, [], MODELS)
        return shot.key, shot.seed

    assert planned() == planned()
    assert 0 <= planned()[1] < 2**31


def test_every_variant_of_a_recipe_is_planned() -> None:
    recipe = CATALOG.recipes["everything"]
    planned = plan(
        recipe,
        tenant="acme",
        source_sha256=SHA,
        channels_for=lambda one: CATALOG.channels_of(one.channels),
        models_for=lambda _: MODELS,
    )
    assert [one.variant.name for one in planned] == [one.name for one in recipe.variants]
    assert len({one.key for one in planned}) == len(planned)


def test_what_a_model_made_is_marked_so_whatever_follows() -> None:
    styled = variant(operations=[{"op": "studio"}, {"op": "style", "style": "oil"}])
    assert plan_shot(styled, "acme", SHA, [], ()).digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert plan_shot(variant(), "acme", SHA, [], ()).digital_source_type == "algorithmicallyEnhanced"


def test_a_scene_is_no_model_and_has_no_wanted_colour() -> None:
    scene = {"op": "scene", "scene": "wood"}
    alone = plan_shot(variant(operations=[scene]), "acme", SHA, [], ())
    assert alone.digital_source_type == "compositeSynthetic"
    assert alone.background is None
    drawn = variant(operations=[scene, {"op": "style", "style": "oil"}])
    assert plan_shot(drawn, "acme", SHA, [], ()).digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    lights = [key(variant(operations=[{**scene, "light": side}])) for side in (None, "left", "right", "top")]
    assert len({key(variant(operations=[scene])), *lights}) == 4


def test_a_scene_breaks_every_rule_of_a_white_background() -> None:
    quality = Quality(verdict=Verdict.PUBLISH, score=1.0, rules=[])
    scene = variant(operations=[{"op": "scene", "scene": "marble"}], size=(2200, 2200))
    for name in ("amazon-main", "walmart"):
        (channel,) = CATALOG.channels_of([name])
        facts = facts_of(plan_shot(scene, "acme", SHA, [channel], ()), quality, size=(2200, 2200), count=1000)
        assert "white_background" in {rule.rule for rule in channel.check(facts) if not rule.passed}


def test_the_smallest_byte_limit_counts() -> None:
    made = variant(channels=["google", "walmart"])
    assert plan_shot(made, "acme", SHA, CATALOG.channels_of(made.channels), ()).max_bytes == 5_000_000
    assert plan_shot(variant(), "acme", SHA, [], ()).max_bytes is None
