"""The quality net as it is served: sensible on any picture, the same answer every time."""

from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.nets.quality import QualityNet, QualityNetConfig, residue
from models.pictures import Mask, Picture
from models.quality.crops import crop, crop_places
from models.quality.judge import NOTHING, Judgement, QualityModel
from models.quality.ranks import auc, order, ranks, spearman
from models.registry.manifest import WeightsError, enlist, read_manifest
from tests.support.quality_weights import TYPES, write_weights

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> QualityModel:
    torch.set_num_threads(1)
    return QualityModel.load(source=write_weights(tmp_path_factory.mktemp("weights")))


def picture(height: int, width: int, seed: int = 0) -> Picture:
    """Soft blotches of colour under fine grain."""
    draw = np.random.default_rng(seed)
    blotches = cv2.resize(draw.uniform(30, 220, (6, 5, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(blotches + draw.normal(0, 6, blotches.shape), 0, 255).astype(np.uint8)


@given(NUMBERS)
def test_ranks_count_who_is_smaller(values: list[float]) -> None:
    expected = [sum(b < a for b in values) + (sum(b == a for b in values) - 1) / 2 for a in values]
    assert ranks(values).tolist() == expected


@given(NUMBERS)
def test_rank_correlation_asks_for_the_order_alone(values: list[float]) -> None:
    cubes = [value**3 for value in values]
    expected = 0.0 if len(set(values)) == 1 else 1.0
    assert spearman(values, cubes) == pytest.approx(expected)
    assert spearman(values, [-cube for cube in cubes]) == pytest.approx(-expected)


@given(NUMBERS, NUMBERS)
def test_auc_is_the_share_of_pairs_won(first: list[float], second: list[float]) -> None:
    won = [(a > b) + (a == b) / 2 for a in first for b in second]
    assert auc(first, second) == pytest.approx(np.mean(won))


def test_order_of_pairs() -> None:
    assert order([0.9, 0.5, 0.1]).tolist() == [1, 1, 1]
    assert order([0.5, 0.9, 0.5]).tolist() == [0, 0.5, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 4), st.booleans())
def test_crops_lie_in_the_picture(height: int, width: int, count: int, masked: bool) -> None:
    image = picture(height, width)
    places = crop_places(image, np.ones((height, width), np.float32) if masked else None, 96, count)
    assert len(places) == count
    for row, column in places:
        assert 0 <= row <= max(0, height - 96)
        assert 0 <= column <= max(0, width - 96)
        assert crop(image, (row, column), 96).shape == (96, 96, 3)


def test_crops_go_where_there_is_something_to_see() -> None:
    image = np.full((400, 600, 3), 200, np.uint8)
    image[260:380, 30:150] = picture(120, 120, 3)
    ((row, column),) = crop_places(image, None, 128, 1)
    assert (abs(row - 256), abs(column - 26)) <= (12, 12)


def test_crops_go_to_the_product() -> None:
    image, mask = picture(400, 600), np.zeros((400, 600), np.float32)
    mask[20:160, 430:590] = 1
    row, column = crop_places(image, mask, 128, 1)[0]
    assert (abs(row - 26), abs(column - 446)) <= (20, 20)


def test_crops_do_not_all_show_the_same() -> None:
    (a, b, c) = crop_places(picture(500, 500), None, 128, 3)
    assert len({a, b, c}) == 3
    for one, other in ((a, b), (a, c), (b, c)):
        assert max(abs(one[0] - other[0]), abs(one[1] - other[1])) > 64


def test_a_small_picture_goes_on_as_its_mirror_image() -> None:
    image = picture(40, 50)
    found = crop(image, (0, 0), 96)
    assert np.array_equal(found[:40, :50], image)
    assert np.array_equal(found[40:80, :50], image[::-1])


def test_the_residue_is_zero_where_nothing_differs_and_has_the_sign_of_what_does() -> None:
    flat = torch.full((1, 3, 8, 8), 0.4)
    assert residue(flat).abs().max() < 1e-3
    flat[0, 0, 4, 4] = 0.5
    found = residue(flat)
    assert found[0, 0, 4, 4] > 0.3
    assert found[0, 0, 3, 4] < -0.1
    assert found[0, 1].abs().max() < 1e-3


def test_the_order_of_crops_does_not_matter_and_realism_sees_no_sketch() -> None:
    torch.manual_seed(0)
    net = QualityNet(QualityNetConfig(types=3, widths=(4, 8, 8, 8))).eval()
    crops, sketch = torch.rand(2, 3, 3, 32, 32), torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        felt, turned, other = net(crops, sketch), net(crops.flip(1), sketch), net(crops, 1 - sketch)
    assert felt.types.shape == (2, 3)
    assert torch.allclose(felt.score, turned.score, atol=1e-5)
    assert torch.equal(felt.realism, other.realism)
    assert not torch.allclose(felt.score, other.score)


@pytest.mark.parametrize("shape", [(33, 500), (64, 64), (400, 533), (500, 8000), (32, 32)])
def test_pictures_of_any_size_are_judged(model: QualityModel, shape: tuple[int, int]) -> None:
    (found,) = model.judge([picture(*shape)])
    assert found.judged
    assert found.type in TYPES
    assert all(0 <= value <= 1 for value in (found.score, found.severity, found.probability, found.realism))
    assert found.probability >= 1 / len(TYPES)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 5000, 3), 90, np.uint8),
        picture(31, 400),
        np.full((400, 300, 3), 255, np.uint8),
        np.full((400, 300, 3), (10, 200, 40), np.uint8),
    ],
    ids=["one pixel", "a line", "too low", "white", "green"],
)
def test_what_shows_nothing_counts_as_the_worst(model: QualityModel, image: NDArray[np.uint8]) -> None:
    assert model.judge([image]) == [
        Judgement(score=0, severity=1, type=NOTHING, probability=1, realism=0, judged=False)
    ]


def test_a_batch_gives_what_single_calls_give_in_order(model: QualityModel) -> None:
    images = [picture(200 + 30 * i, 150, i) for i in range(9)]
    images.insert(4, np.zeros((2, 2, 3), np.uint8))
    together, alone = model.judge(images), [model.judge([image])[0] for image in images]
    assert [one.type for one in together] == [one.type for one in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.judged == other.judged
        assert astuple(one)[:2] == pytest.approx(astuple(other)[:2], abs=2e-4)
    assert model.judge(images) == together
    assert not model.judge([])


def test_with_a_fixed_batch_company_changes_nothing(tmp_path: Path) -> None:
    model = QualityModel.load(source=write_weights(tmp_path), fixed_batch=4)
    images = [picture(120, 150, i) for i in range(6)]
    assert model.judge(images) == [model.judge([image])[0] for image in images]


def test_the_mask_decides_what_is_looked_at(model: QualityModel) -> None:
    image, masks = picture(500, 500), []
    image[:, 250:] = cv2.GaussianBlur(image[:, 250:], (0, 0), 5)
    for half in (slice(0, 250), slice(250, 500)):
        mask: Mask = np.zeros((500, 500), np.float32)
        mask[:, half] = 1
        masks.append(mask)
    sharp, soft, free = model.judge([image] * 3, [*masks, None])
    assert sharp != soft
    assert free == model.judge([image])[0]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ([np.zeros((40, 40, 3), np.float32)], None),
        ([np.zeros((40, 40), np.uint8)], None),
        ([np.zeros((0, 40, 3), np.uint8)], None),
        ([np.zeros((40, 40, 3), np.uint8)], []),
        ([np.zeros((40, 40, 3), np.uint8)], [np.ones((40, 41), np.float32)]),
    ],
    ids=["floats", "grey", "empty", "no mask for it", "another size"],
)
def test_what_cannot_be_judged_is_refused(model: QualityModel, images: list[Picture], masks: list[Mask] | None) -> None:
    with pytest.raises(ValueError, match=r"mask|picture must be"):
        model.judge(images, masks)


@pytest.mark.parametrize("config", [{"widths": [4, 8, 8, 16]}, {"view": {"sides": 3}}, {"types": ["none"]}])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, config: dict[str, object]) -> None:
    folder = write_weights(tmp_path)
    entry = read_manifest(folder)["quality"]
    changed = {name: getattr(entry, name) for name in ("file", "sha256", "architecture", "licence", "card")}
    enlist(folder, "quality", type(entry)(**changed, version="0.2", config={**entry.config, **config}))
    with pytest.raises(WeightsError, match="does not fit"):
        QualityModel.load(source=folder)


def test_a_large_photo_is_looked_at_as_shops_show_it(model: QualityModel) -> None:
    photo = picture(700, 550)
    large = np.asarray(cv2.resize(photo, (2750, 3500), interpolation=cv2.INTER_CUBIC), np.uint8)
    mask = np.zeros((3500, 2750), np.float32)
    mask[900:2000, 800:1600] = 1
    small = np.asarray(cv2.resize(large, (864, 1100), interpolation=cv2.INTER_AREA), np.uint8)
    smaller = np.asarray(cv2.resize(mask, (864, 1100), interpolation=cv2.INTER_AREA), np.float32)
    assert model.judge([large], [mask]) == model.judge([small], [smaller])
