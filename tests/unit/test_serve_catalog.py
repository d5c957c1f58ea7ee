from pathlib import Path

import pytest

from models.registry.manifest import bundled_folder, read_manifest
from models.scenes.registry import SCENES
from serve.catalog.loader import CatalogInvalid, load_catalog
from serve.catalog.operations import Scene
from serve.errors import UnknownChannel, UnknownRecipe
from serve.schemas.listing import Listing

CATALOG = load_catalog()
WHITE = "variants: [{name: white, operations: [{op: studio}]}]"


def listing(**fields: object) -> Listing:
    return Listing.model_validate({"tenant_id": "acme", "listing_id": "1", "revision": 1, **fields})


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def faults(folder: Path, **options: object) -> list[tuple[str, str, str]]:
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(folder, **options)  # type: ignore[arg-type]
    return [(fault.file.name, fault.path, fault.reason) for fault in caught.value.faults]


def test_the_built_in_catalog_has_what_is_promised() -> None:
    assert set(CATALOG.recipes) >= {"studio", "styled", "colourways", "everything"}
    assert set(CATALOG.channels) >= {"google", "amazon-main", "ebay", "walmart", "shopify", "etsy"}
    everything = CATALOG.recipes["everything"].variants
    assert len(everything) >= 7
    assert {variant.size for variant in everything} == {(1000, 1000)}


def test_the_scene_recipes_show_every_scene_in_many_shapes_and_are_for_no_channel() -> None:
    variants = [*CATALOG.recipes["scenes"].variants, *CATALOG.recipes["scenes-standing"].variants]
    scenes = {operation.scene for one in variants for operation in one.operations if isinstance(operation, Scene)}
    assert scenes == set(SCENES)
    ratios = {one.size[0] / one.size[1] for one in CATALOG.recipes["scenes"].variants}
    assert {1.0, 0.8, 9 / 16, 1200 / 628} <= ratios
    assert not any(one.channels for one in variants)
    for one in variants:
        assert "background_delta_e" not in CATALOG.quality.kind(one).rules


def test_a_scene_that_nobody_paints_is_refused(tmp_path: Path) -> None:
    text = "recipe: r\nversion: 1\ndescription: x\nvariants:\n"
    write(tmp_path, "recipes/r.yaml", text + "- {name: v, operations: [{op: scene, scene: moon}]}\n")
    ((_, path, reason),) = faults(tmp_path)
    assert path == "variants[0].operations[0].scene"
    assert "unknown scene 'moon'; known: foliage" in reason


def test_every_fault_is_reported_at_once_with_file_path_and_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        "recipes/a.yaml",
        "recipe: a\nversion: 1\ndescription: x\nvariants:\n- name: v\n  operations: [{op: recolor, colour: red}]\n",
    )
    write(tmp_path, "recipes/b.yaml", "recipe: [unclosed")
    write(tmp_path, "channels/c.yaml", "channel: c\nversion: 1\ntitle: C\nsource: x\nformats: [jpeg]\nmax_bytes: -1\n")
    found = faults(tmp_path)
    assert [(file, path) for file, path, _ in found] == [
        ("a.yaml", "variants[0].operations[0].colour"),
        ("b.yaml", ""),
        ("c.yaml", "max_bytes.value"),
    ]
    assert "pattern" in found[0][2]
    assert "not YAML" in found[1][2]


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "recipes/r.yaml", f"recipe: r\nversion: 1\ndescription: x\nversion: 2\n{WHITE}\n")
    ((_, _, reason),) = faults(tmp_path)
    assert "'version' is given twice" in reason
    assert "line 4" in reason


def test_a_file_nested_too_deeply_hides_no_other_fault(tmp_path: Path) -> None:
    write(tmp_path, "recipes/deep.yaml", "[" * 5000)
    write(tmp_path, "recipes/next.yaml", "recipe: r\n")
    found = faults(tmp_path)
    assert ("deep.yaml", "", "is nested too deeply") in found
    assert any(file == "next.yaml" for file, _, _ in found)


def test_a_name_may_be_defined_once(tmp_path: Path) -> None:
    write(tmp_path, "recipes/mine.yaml", f"recipe: studio\nversion: 9\ndescription: x\n{WHITE}\n")
    ((file, path, reason),) = faults(tmp_path)
    assert (file, path) == ("mine.yaml", "recipe")
    assert "studio.yaml" in reason


def test_unknown_channels_and_styles_in_recipes_are_refused(tmp_path: Path) -> None:
    text = "recipe: r\nversion: 1\ndescription: x\nvariants:\n"
    text += "- {name: v, channels: [nowhere], operations: [{op: studio}, {op: style, style: none_such}]}\n"
    write(tmp_path, "recipes/r.yaml", text)
    known = set(read_manifest(bundled_folder())["style"].config["styles"])
    places = [(path, reason.split(";")[0]) for _, path, reason in faults(tmp_path, styles=known)]
    assert places == [
        ("variants[0].channels[0]", "unknown channel 'nowhere'"),
        ("variants[0].operations[1].style", "unknown style 'none_such'"),
    ]
    assert len(faults(tmp_path)) == 1


def test_a_missing_folder_and_a_missing_default_are_faults(tmp_path: Path) -> None:
    reasons = [reason for _, _, reason in faults(tmp_path / "none", default_recipe="nothing")]
    assert reasons == ["the folder does not exist", "the default recipe 'nothing' does not exist"]


def test_thresholds_of_an_extra_folder_replace_the_built_in_ones(tmp_path: Path) -> None:
    rules = "version: 5\nkinds: {any: {operations: [], rules: {sharpness: {publish: {min: 1}, reason: soft}}}}\n"
    write(tmp_path, "quality.yaml", rules)
    assert load_catalog(tmp_path).quality.version == 5
    write(tmp_path, "quality.yaml", rules.replace("{min: 1}", "{min: 1}, review: {min: 2}"))
    ((_, path, reason),) = [one for one in faults(tmp_path) if one[1]]
    assert path == "kinds.any.rules.sharpness"
    assert "must lie within" in reason


def test_the_named_recipe_comes_first_then_the_default() -> None:
    assert CATALOG.choose(listing(recipe="styled")).recipe == "styled"
    assert CATALOG.choose(listing()).recipe == "studio"
    with pytest.raises(UnknownRecipe, match="known are"):
        CATALOG.choose(listing(recipe="none"))


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, "tenant"),
        ({"tenant_id": "other"}, "studio"),
        ({"category": {"path": "clothing"}}, "category"),
        ({"category": {"path": "clothing/dress"}}, "deep"),
        ({"category": {"path": "clothing > dress > long"}}, "category"),
        ({"category": {"path": "clothingware"}}, "tenant"),
        ({"category": {"path": "clothing"}, "destination_profiles": ["ebay"], "locale": "de-DE"}, "most"),
        ({"category": {"path": "clothing"}, "marketplace": "ebay", "locale": "de-DE"}, "most"),
        ({"category": {"path": "clothing"}, "destination_profiles": ["ebay"], "locale": "en-GB"}, "category"),
    ],
)
def test_the_most_specific_selection_wins(tmp_path: Path, fields: dict[str, object], chosen: str) -> None:
    selections = {
        "tenant": "{tenants: [acme]}",
        "category": "{tenants: [acme], categories: [clothing]}",
        "deep": "{tenants: [acme], categories: [clothing/dress]}",
        "most": "{tenants: [acme], categories: [clothing], channels: [ebay], locales: [de-DE]}",
    }
    for name, select in selections.items():
        write(
            tmp_path, f"recipes/{name}.yaml", f"recipe: {name}\nversion: 1\ndescription: x\nselect: {select}\n{WHITE}\n"
        )
    assert load_catalog(tmp_path).choose(listing(**fields)).recipe == chosen


def test_channels_of_an_output_are_those_of_variant_and_listing_once() -> None:
    variant = CATALOG.recipes["studio"].variants[0]
    bound = listing(destination_profiles=["etsy", "google"])
    assert [channel.channel for channel in CATALOG.channels_for(bound, variant)] == [*variant.channels, "etsy"]
    with pytest.raises(UnknownChannel, match="'nowhere'"):
        CATALOG.channels_for(listing(destination_profiles=["nowhere"]), variant)
