"""The IPTC digital source type of every operation, and of every pair of them in a chain."""

from itertools import product
from typing import get_args

import pytest

from serve.catalog.operations import Operation
from serve.catalog.plan import plan_shot, source_type_of, stronger_source_type
from serve.catalog.recipe import Variant
from serve.images.provenance import SOURCE_TYPES

#: Every operation with what it must be called, as IPTC defines the codes; a new one has to be judged here.
EXPECTED = {
    "enhance": ({}, "algorithmicallyEnhanced"),
    "recolor": ({"colour": "#336699"}, "algorithmicallyEnhanced"),
    "studio": ({}, "algorithmicallyEnhanced"),
    "scene": ({"scene": "wood"}, "compositeSynthetic"),
    "style": ({"style": "oil"}, "compositeWithTrainedAlgorithmicMedia"),
}
#: From a photo to what no camera saw.
ORDER = (
    "algorithmicallyEnhanced",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
)
OPERATIONS = {model.model_fields["op"].default: model for model in get_args(get_args(Operation)[0])}


def chain(*names: str) -> Variant:
    return Variant.model_validate({"name": "v", "operations": [{"op": name, **EXPECTED[name][0]} for name in names]})


def test_every_operation_is_judged_here() -> None:
    assert set(OPERATIONS) >= set(EXPECTED)
    unknown = set(OPERATIONS) - set(EXPECTED)
    assert {name for name in unknown if OPERATIONS[name].digital_source_type not in ORDER} == set()


@pytest.mark.parametrize("name", EXPECTED)
def test_an_operation_alone(name: str) -> None:
    assert source_type_of(chain(name)) == EXPECTED[name][1]
    assert EXPECTED[name][1] in SOURCE_TYPES


@pytest.mark.parametrize(("first", "second"), list(product(EXPECTED, EXPECTED)))
def test_a_pair_has_the_type_of_the_one_that_made_up_more(first: str, second: str) -> None:
    try:
        variant = chain(first, second)
    except ValueError:
        # Against the order of the stages: no recipe can ask for it.
        assert (first, second) in AGAINST_THE_ORDER
        return
    assert (first, second) not in AGAINST_THE_ORDER
    wanted = max(EXPECTED[first][1], EXPECTED[second][1], key=ORDER.index)
    assert plan_shot(variant, "acme", "ab" * 32, [], ()).digital_source_type == wanted


AGAINST_THE_ORDER = {
    *((first, "enhance") for first in EXPECTED),
    *(("style", second) for second in EXPECTED if second != "style"),
}


@pytest.mark.parametrize(
    ("chain_type", "declared", "wanted"),
    [
        ("algorithmicallyEnhanced", None, "algorithmicallyEnhanced"),
        ("algorithmicallyEnhanced", "digitalCapture", "algorithmicallyEnhanced"),
        ("algorithmicallyEnhanced", "trainedAlgorithmicMedia", "trainedAlgorithmicMedia"),
        ("compositeSynthetic", "compositeWithTrainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"),
        ("compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "compositeWithTrainedAlgorithmicMedia"),
        ("algorithmicallyEnhanced", "no such code", "algorithmicallyEnhanced"),
    ],
)
def test_what_a_source_says_of_itself_is_never_weakened(chain_type: str, declared: str | None, wanted: str) -> None:
    assert stronger_source_type(chain_type, declared) == wanted
