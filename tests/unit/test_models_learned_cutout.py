"""The bundled cut-out on clear, odd and hostile pictures."""

import cv2
import numpy as np
import pytest

from models.cutout import REVIEW_CONFIDENCE, Cutout
from models.cutout.confidence import overlap
from models.cutout.learned import LearnedCutout
from models.pictures import Picture
from tests.support.shirts import shirt


@pytest.fixture(scope="module")
def backend() -> LearnedCutout:
    return LearnedCutout.load()


def one(backend: LearnedCutout, picture: Picture) -> Cutout:
    (found,) = backend.cut([picture])
    assert found.alpha.shape == picture.shape[:2]
    return found


@pytest.mark.parametrize(
    ("cloth", "floor"),
    [((40, 60, 120), (170, 140, 105)), ((225, 225, 220), (120, 90, 70)), ((30, 30, 32), (190, 185, 180))],
)
def test_a_clear_garment_is_found_with_its_print(
    backend: LearnedCutout, cloth: tuple[int, int, int], floor: tuple[int, int, int]
) -> None:
    picture, truth = shirt(cloth, floor)
    found = one(backend, picture)
    assert overlap(found.alpha, truth) > 0.95
    assert found.alpha[170:210, 130:170].mean() > 0.98
    assert found.confidence >= REVIEW_CONFIDENCE
    assert found.figures["pieces"] == 1


def test_a_garment_of_the_floors_colour_is_found_or_doubted(backend: LearnedCutout) -> None:
    picture, truth = shirt((168, 140, 108), (170, 140, 105))
    found = one(backend, picture)
    assert overlap(found.alpha, truth) > 0.9 or found.confidence < REVIEW_CONFIDENCE


def test_a_product_that_runs_out_of_the_frame_is_cut_there(backend: LearnedCutout) -> None:
    picture, truth = shirt((40, 60, 120), (170, 140, 105))
    found = one(backend, np.ascontiguousarray(picture[:, 120:]))
    assert overlap(found.alpha, truth[:, 120:]) > 0.9
    assert found.alpha[100:300, 0].mean() > 0.9


def test_several_products_are_counted(backend: LearnedCutout) -> None:
    picture, _ = shirt((40, 60, 120), (170, 140, 105))
    small = np.asarray(cv2.resize(picture, (150, 200), interpolation=cv2.INTER_AREA), np.uint8)
    four = np.vstack([np.hstack([small, small]), np.hstack([small, small])])
    assert one(backend, four).figures["pieces"] == 4


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_one_colour_goes_to_a_person(backend: LearnedCutout, level: int) -> None:
    assert one(backend, np.full((200, 150, 3), level, np.uint8)).confidence < REVIEW_CONFIDENCE


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (5, 5)])
def test_tiny_pictures_go_to_a_person(backend: LearnedCutout, shape: tuple[int, int]) -> None:
    assert one(backend, np.full((*shape, 3), 90, np.uint8)).confidence == 0


def test_noise_goes_to_a_person(backend: LearnedCutout) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    assert one(backend, noise).confidence < REVIEW_CONFIDENCE


def test_a_large_photo_is_cut_like_its_small_copy(backend: LearnedCutout) -> None:
    picture, truth = shirt((40, 60, 120), (170, 140, 105))
    large = np.asarray(cv2.resize(picture, None, fx=12, fy=12, interpolation=cv2.INTER_CUBIC), np.uint8)
    found = one(backend, large)
    small = np.asarray(cv2.resize(found.alpha, (300, 400), interpolation=cv2.INTER_AREA), np.float32)
    assert overlap(small, truth) > 0.95


def test_the_same_picture_gives_the_same_mask_in_any_company(backend: LearnedCutout) -> None:
    picture, _ = shirt((40, 60, 120), (170, 140, 105))
    other, _ = shirt((225, 225, 220), (120, 90, 70))
    alone, again = one(backend, picture), one(backend, picture)
    assert np.array_equal(alone.alpha, again.alpha)
    together = backend.cut([other, picture])[1]
    assert np.abs(together.alpha - alone.alpha).max() < 1 / 255
