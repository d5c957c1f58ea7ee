"""A mix says what events a load consists of, and every fault in it is told with its place."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deploy.errors import DeployError
from deploy.loadtest.system.recipes import CATALOG
from deploy.loadtest.workload.mix import BUILT_IN, Mix, load_mix
from deploy.loadtest.workload.planned import Kind, PhotoFault
from deploy.loadtest.workload.poison import Poison
from serve.catalog.loader import load_catalog
from serve.settings import ServeSettings

PLAIN: dict[str, Any] = {"new_listings": 0.5, "first": {"photos": 1}}


def written(folder: Path, **changes: Any) -> Path:
    file = folder / "mix.yaml"
    file.write_text(yaml.safe_dump(PLAIN | changes))
    return file


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_mixes_that_come_along_name_recipes_that_there_are(name: str) -> None:
    mix = load_mix(Path(name))
    assert mix.description
    # Those for two cores name a recipe of the load test's own; the others run on any Serve.
    catalog = CATALOG if name in {"chaos", "default"} else None
    assert set(mix.recipes_used) <= load_catalog(catalog).recipes.keys()
    assert max(mix.images) <= ServeSettings().max_images


def test_without_a_file_it_is_the_default() -> None:
    mix = load_mix()
    assert mix == load_mix(BUILT_IN["default"])
    # Everything is in it, and nothing is found in the store.
    assert mix.first.keys() | mix.further.keys() == set(Kind)
    assert mix.photo_reuse == 0


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    mix = load_mix(
        written(tmp_path, images={1: 2, 6: 1}, edges={64: 1, 65: 0}, topics={"a": 1, "b": 0}, poison={"empty": 1})
    )
    assert mix.images == {1: 2, 6: 1}
    assert mix.topics_used == ("a",)
    assert mix.edges_used == (64,)
    assert mix.poison == {Poison.EMPTY: 1}
    assert mix.faults.keys() == set(PhotoFault)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"photo": 1}, "photo: "),
        ({"new_listings": 1.5}, "new_listings: "),
        ({"first": {}}, "first: .*above 0"),
        ({"first": {"photos": 0}}, "first: .*above 0"),
        ({"first": {"photoz": 1}}, "first.photoz"),
        ({"first": {"photos": -1}}, "first.photos"),
        ({"first": {"photos": float("nan")}}, "first.photos"),
        ({"first": {"duplicate": 1}}, "cannot begin with duplicate"),
        ({"first": {"bad": 1, "oversize": 1}}, "no listing ever begins"),
        ({"further": {"hot": 1}}, "hot_listings above 0"),
        ({"images": {0: 1}}, "images"),
        ({"images": {"many": 1}}, "images.many"),
        ({"edges": {10: 1}}, "edges"),
        ({"tenants": {"a:b": 1}}, "tenants"),
        ({"faults": {"blurred": 1}}, "faults.blurred"),
    ],
)
def test_faults_are_told_with_their_place(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=told) as caught:
        load_mix(written(tmp_path, **changes))
    assert str(tmp_path / "mix.yaml") in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DeployError) as caught:
        load_mix(written(tmp_path, new_listings=2, recent_share=-1, seed=1))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("content", ["", "- a\n", "first: {", "new_listings: 1\nnew_listings: 1\nfirst: {photos: 1}\n"])
def test_what_is_no_mix(content: str, tmp_path: Path) -> None:
    file = tmp_path / "mix.yaml"
    file.write_text(content)
    with pytest.raises(DeployError, match=r"mix\.yaml"):
        load_mix(file)


def test_a_mix_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(DeployError, match="chaos, default, heavy, light"):
        load_mix(Path("weekend"))


shares = st.floats(0, 100, allow_nan=False)


@given(st.dictionaries(st.sampled_from(list(Kind)), shares, max_size=9), st.floats(0, 1), st.integers(0, 3))
def test_whatever_is_taken_can_be_drawn_from(first: dict[Kind, float], new: float, hot: int) -> None:
    begins = {kind for kind, share in first.items() if share}
    good = (
        bool(begins)
        and begins.isdisjoint({Kind.HOT, Kind.OLDER, Kind.DUPLICATE})
        and (new == 1 or not begins <= {Kind.BAD, Kind.OVERSIZE})
    )
    try:
        mix = Mix(new_listings=new, first=first, hot_listings=hot)
    except ValidationError:
        assert not good
    else:
        assert good
        assert Mix.model_validate(yaml.safe_load(yaml.safe_dump(mix.model_dump(mode="json")))) == mix
