"""The cut-out finds drawn garments, is honest about what it cannot find, and never fails."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.cutout import REVIEW_CONFIDENCE, GrabCut
from models.cutout.confidence import SIGNS, overlap
from models.cutout.regions import clean
from models.cutout.saliency import barrier_distance, probability
from models.training.cutouts import logistic, report, trusted
from tests.support.shirts import shirt


@pytest.mark.parametrize(
    ("cloth", "floor"),
    [((40, 60, 120), (170, 140, 105)), ((225, 225, 220), (120, 90, 70)), ((30, 30, 32), (190, 185, 180))],
)  # fmt: skip
def test_a_clear_garment_is_found_with_its_print(cloth: tuple[int, int, int], floor: tuple[int, int, int]) -> None:
    picture, truth = shirt(cloth, floor)
    (found,) = GrabCut().cut([picture])
    assert found.alpha.shape == truth.shape
    assert found.alpha.dtype == np.float32
    assert overlap(found.alpha, truth) > 0.95
    assert found.alpha[170:210, 130:170].mean() > 0.98
    assert found.confidence >= REVIEW_CONFIDENCE


def test_a_garment_of_the_floors_colour_is_doubted() -> None:
    clear, _ = shirt((40, 60, 120), (170, 140, 105))
    hidden, _ = shirt((168, 140, 108), (170, 140, 105))
    sure, doubtful = GrabCut().cut([clear, hidden])
    assert doubtful.confidence < REVIEW_CONFIDENCE < sure.confidence


def test_the_same_picture_gives_the_same_mask_whatever_ran_before() -> None:
    picture, _ = shirt((40, 60, 120), (170, 140, 105))
    backend = GrabCut()
    (first,) = backend.cut([picture])
    cv2.setRNGSeed(12345)
    other, again = backend.cut([shirt((30, 90, 40), (200, 190, 180), seed=3)[0], picture])
    assert (first.alpha == again.alpha).all()
    assert first.confidence == again.confidence
    assert other.confidence != first.confidence


@pytest.mark.parametrize("shape", [(1, 1), (16, 4000), (4000, 16), (15, 15), (16, 16), (17, 120)])
@pytest.mark.parametrize("noise", [False, True])
def test_odd_pictures_give_a_mask_of_their_size(shape: tuple[int, int], noise: bool) -> None:
    picture = np.full((*shape, 3), 128, np.uint8)
    if noise:
        picture = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
    (found,) = GrabCut().cut([picture])
    assert found.alpha.shape == shape
    assert np.isfinite(found.alpha).all()
    assert 0 <= found.confidence < REVIEW_CONFIDENCE


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_gives_the_full_frame_without_confidence(level: int) -> None:
    (found,) = GrabCut().cut([np.full((200, 150, 3), level, np.uint8)])
    assert found.confidence == 0
    assert (found.alpha == 1).all()


def test_a_large_photo_keeps_its_size() -> None:
    picture, truth = shirt((40, 60, 120), (170, 140, 105))
    large = np.asarray(cv2.resize(picture, (1500, 2000), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    (found,) = GrabCut().cut([large])
    assert found.alpha.shape == (2000, 1500)
    wanted = np.asarray(cv2.resize(truth, (1500, 2000)), dtype=np.float32)
    assert overlap(found.alpha, wanted) > 0.95


def test_specks_and_slips_go_and_small_holes_are_filled() -> None:
    shape = np.zeros((200, 200), bool)
    shape[40:160, 60:140] = True
    dirty = shape.copy()
    dirty[5:12, 180:188] = True
    dirty[100:102, 140:175] = True
    dirty[80:83, 90:93] = False
    assert (clean(dirty, shape.astype(np.float32)) ^ shape).mean() < 0.001


def test_a_second_shoe_and_a_gap_between_legs_stay() -> None:
    pair = np.zeros((200, 200), bool)
    pair[40:160, 20:80] = pair[45:165, 120:180] = True
    pair[80:140, 40:60] = False
    assert (clean(pair, pair.astype(np.float32)) == pair).all()


def test_nothing_stays_nothing() -> None:
    assert not clean(np.zeros((30, 30), bool), np.ones((30, 30), np.float32)).any()


def test_barrier_distance_is_the_least_range_of_colours_on_the_way() -> None:
    lab = np.zeros((21, 21, 3), np.float32)
    lab[5:16, 5:16, 0] = 60
    cost = barrier_distance(lab)
    assert cost.shape == (4, 21, 21)
    assert (cost[:, 10, 10] == 60).all()
    assert (cost[:, 2, 2] == 0).all()
    lab[:10, 10, 0] = 60  # a strap that leads to the top edge
    assert barrier_distance(lab)[0, 10, 10] == 0


def test_probability_is_higher_on_the_product() -> None:
    picture, truth = shirt((40, 60, 120), (170, 140, 105))
    belief = probability(picture)
    assert max(belief.shape) == 128
    there = np.asarray(cv2.resize(truth, belief.shape[::-1], interpolation=cv2.INTER_AREA)) > 0.9
    assert belief[there].mean() > 0.8
    assert belief[~there].mean() < 0.3


def test_each_sign_of_trust_is_a_finite_number() -> None:
    found = GrabCut().search(shirt((40, 60, 120), (170, 140, 105))[0])
    assert found is not None
    mask, values = found
    assert mask.dtype == bool
    assert values.shape == (len(SIGNS),)
    assert np.isfinite(values).all()


def test_logistic_regression_finds_the_weights_that_made_the_data() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(3, 2, (4000, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(-(rows @ np.array([1.0, -0.5, 0.0]) - 1)))
    weights, bias = logistic(rows, chance.astype(np.float32), ridge=0)
    np.testing.assert_allclose([*weights, bias], [1, -0.5, 0, -1], atol=1e-3)


def test_the_report_measures_trusted_masks_alone(tmp_path: Path) -> None:
    picture, truth = shirt((40, 60, 120), (170, 140, 105))
    for kind, name in (("photos", "a.jpg"), ("masks", "a.png"), ("photos", "b.jpg"), ("masks", "b.png")):
        (tmp_path / kind / "validation" / "shirt").mkdir(parents=True, exist_ok=True)
        content = picture[..., ::-1] if kind == "photos" else (truth * 255).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / kind / "validation" / "shirt" / name), content)
    rows = "validation/shirt/a.png,yes\nvalidation/shirt/b.png,no\ntrain/shirt/c.png,yes\n"
    (tmp_path / "masks" / "index.csv").write_text("mask,trusted\n" + rows)
    assert len(list(trusted(tmp_path, "validation", 10))) == 1
    assert report(tmp_path, 10).startswith("photos 1, mean IoU 0.9")
