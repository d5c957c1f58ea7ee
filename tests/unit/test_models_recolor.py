"""Recolouring: the colour arrives, the cloth stays, nothing outside changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.colour import delta_e_2000, lab_of, to_lab
from models.pictures import Mask, Picture
from models.recolor import recolor

COLOUR = st.tuples(*[st.integers(0, 255)] * 3)
NAVY, RED, CREAM = (28, 38, 84), (178, 30, 45), (240, 236, 228)


def garment(colour: tuple[int, int, int], size: int = 96) -> tuple[Picture, Mask]:
    """A folded cloth with a yellow print, on a green floor."""
    y, x = np.mgrid[0:size, 0:size]
    light = 1 + 0.12 * np.sin(x / 6)
    picture = np.full((size, size, 3), (70, 120, 60), dtype=np.float64)
    inside = (abs(x - size / 2) < size * 0.35) & (abs(y - size / 2) < size * 0.4)
    picture[inside] = (light[..., None] * np.array(colour))[inside]
    picture[40:52, 40:52] = (240, 200, 30)
    return np.clip(picture, 0, 255).astype(np.uint8), inside.astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(COLOUR, st.floats(0, 1))
def test_nothing_outside_the_mask_changes(colour: tuple[int, int, int], strength: float) -> None:
    picture, alpha = garment((150, 150, 155))
    before = picture.copy()
    result = recolor(picture, alpha, colour, strength)
    assert (result[alpha == 0] == picture[alpha == 0]).all()
    assert (picture == before).all()
    assert result.dtype == np.uint8


@pytest.mark.parametrize("old", [(235, 235, 232), (30, 30, 32), (160, 40, 60), (110, 130, 150)])
@pytest.mark.parametrize("new", [NAVY, RED, CREAM])
def test_cloth_takes_the_colour_and_keeps_its_folds(old: tuple[int, int, int], new: tuple[int, int, int]) -> None:
    picture, alpha = garment(old)
    cloth = alpha > 0
    cloth[36:56, 36:56] = False
    cloth[:14] = cloth[-14:] = cloth[:, :22] = cloth[:, -22:] = False
    result = to_lab(recolor(picture, alpha, new))
    assert float(np.median(delta_e_2000(result[cloth], lab_of(new)))) < 7
    folds = np.corrcoef(to_lab(picture)[cloth][:, 0], result[cloth][:, 0])[0, 1]
    assert folds > 0.8


def test_print_of_another_colour_stays() -> None:
    picture, alpha = garment((110, 130, 150))
    result = recolor(picture, alpha, RED)
    old, new = to_lab(picture)[43:49, 43:49], to_lab(result)[43:49, 43:49]
    assert float(delta_e_2000(old, new).max()) < 5


def test_strength_lies_between_old_and_new() -> None:
    picture, alpha = garment((110, 130, 150))
    old = to_lab(picture)
    moved = [
        float(delta_e_2000(to_lab(recolor(picture, alpha, RED, strength))[20, 30], old[20, 30]))
        for strength in (0.0, 0.3, 0.6, 1.0)
    ]
    assert moved[0] == 0
    assert moved == sorted(moved)
    assert moved[-1] > 20


def test_without_product_the_picture_stays() -> None:
    picture, alpha = garment((110, 130, 150))
    assert (recolor(picture, np.zeros_like(alpha), RED) == picture).all()


def test_one_pixel() -> None:
    assert recolor(np.full((1, 1, 3), 90, np.uint8), np.ones((1, 1), np.float32), RED).shape == (1, 1, 3)
