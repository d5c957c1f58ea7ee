"""Recipes, channels and thresholds of any content: a file is taken, or its faults are named; nothing else comes out."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.catalog.channel import Channel
from serve.catalog.loader import BUILT_IN, CatalogInvalid, load_catalog, read_file
from serve.catalog.quality import QualityRules
from serve.catalog.recipe import Recipe
from serve.catalog.unique_keys import MAX_VALUES

MODELS = {"recipes": Recipe, "channels": Channel, "quality": QualityRules}
SHIPPED = [
    *((Recipe, file) for file in sorted((BUILT_IN / "recipes").glob("*.yaml"))),
    *((Channel, file) for file in sorted((BUILT_IN / "channels").glob("*.yaml"))),
    (QualityRules, BUILT_IN / "quality.yaml"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
TAGS = st.sampled_from(
    ["!!timestamp", "!!int", "!!float", "!!bool", "!!binary", "!!set", "!!omap", "!!python/name:os", "!x"]
)
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def checked(file: Path, model: type[Any]) -> None:
    """Read; either there is an entry or there are faults with a file and a reason, never both and never none."""
    found, faults = read_file(file, model)
    assert (found is None) == bool(faults)
    assert all(fault.file == file and fault.reason for fault in faults)
    str(CatalogInvalid(faults))


@SHARED_FOLDER
@given(st.sampled_from(list(MODELS.values())), st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, model: type[Any], raw: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(raw)
    checked(file, model)


@SHARED_FOLDER
@given(st.sampled_from(list(MODELS.values())), VALUES)
def test_any_document(tmp_path: Path, model: type[Any], value: object) -> None:
    file = tmp_path / "any.yaml"
    file.write_text(yaml.safe_dump(value), encoding="utf-8")
    checked(file, model)


@SHARED_FOLDER
@given(st.sampled_from(list(MODELS.values())), TAGS, st.sampled_from(["", "x", "0x", "2026-99-99", "[a]", "{a: b}"]))
def test_any_tag(tmp_path: Path, model: type[Any], tag: str, value: str) -> None:
    file = tmp_path / "any.yaml"
    for text in (f"{tag} {value}", f"recipe: {tag} {value}", f"? {tag} {value}\n: 1", f"- {tag} {value}"):
        file.write_text(text)
        checked(file, model)


@SHARED_FOLDER
@given(st.sampled_from(SHIPPED), st.data())
def test_a_shipped_file_with_anything_in_any_place(
    tmp_path: Path, shipped: tuple[type[Any], Path], data: st.DataObject
) -> None:
    model, source = shipped
    document: Any = copy.deepcopy(yaml.safe_load(source.read_text()))
    place = document
    for _ in range(data.draw(st.integers(0, 6))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(place[key], dict | list):
            break
        place = place[key]
    if isinstance(place, dict):
        place[data.draw(st.sampled_from([*place, "new"]))] = data.draw(VALUES)
    else:
        place.append(data.draw(VALUES))
    file = tmp_path / "any.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    checked(file, model)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "stands for more than"),
        ("&a [*a]", "holds itself"),
        ("&a {b: *a}", "holds itself"),
        ("x: &a {b: &b [*a, *b]}", "holds itself"),
        ("[" * 100_000, "nested too deeply"),
        ("a: " + "[" * 900 + "]" * 900, ""),
        ("recipe: 2026-13-45", "none of its kind"),
        ("recipe: !!timestamp soon", "none of its kind"),
        ("recipe: !!bool perhaps", "none of its kind"),
        ("recipe: !!int many", "none of its kind"),
        ("recipe: !!python/object/apply:os.system [true]", "is not YAML"),
        ("? [a, b]\n: c", "is not YAML"),
        ("a: \0", "is not YAML"),
        ("--- a\n--- b", "is not YAML"),
        ("<<: 5", "is not YAML"),
        ("- " * 3000, ""),
        (f"[{'a, ' * (MAX_VALUES + 1)}]", "stands for more than"),
    ],
)
def test_documents_that_mean_ill_are_named(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "recipes" / "ill.yaml"
    file.parent.mkdir()
    file.write_text(text)
    _, faults = read_file(file, Recipe)
    assert faults
    assert reason in faults[0].reason
    with pytest.raises(CatalogInvalid):
        load_catalog(tmp_path)


def test_anchors_of_honest_files_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "honest.yaml"
    file.write_text(
        "recipe: r\nversion: 1\ndescription: x\nvariants:\n"
        "- {name: a, operations: &ops [{op: studio}]}\n- {name: b, operations: *ops}\n"
    )
    recipe, faults = read_file(file, Recipe)
    assert not faults
    assert recipe is not None
    assert recipe.variants[0].operations == recipe.variants[1].operations
