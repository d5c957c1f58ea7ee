"""The style picture that a user brings."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.styles.own import OwnStyle
from models.styles.patches import PatchBook, enlarged, revoted


def painting(side: int = 96) -> np.ndarray:
    """Diagonal strokes in blue and yellow."""
    rows, columns = np.indices((side, side))
    stroke = ((rows + columns) // 5 % 2)[..., None]
    return np.where(stroke == 1, (30, 60, 170), (230, 190, 60)).astype(np.uint8)


def shirt(height: int = 80, width: int = 72) -> np.ndarray:
    """A shaded green patch on white."""
    picture = np.full((height, width, 3), 255, np.uint8)
    shade = np.linspace(0.4, 1.0, width - 32)[None, :, None]
    picture[16:-16, 16:-16] = (np.array((60, 170, 80)) * shade).astype(np.uint8)
    return picture


@pytest.fixture(scope="module")
def own() -> OwnStyle:
    torch.set_num_threads(1)
    return OwnStyle(painting())


def test_the_product_is_redrawn_the_same_every_time_and_white_stays_white(own: OwnStyle) -> None:
    picture = shirt()
    before = picture.copy()
    drawn = own.apply(picture)
    assert drawn.shape == picture.shape
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, own.apply(picture))
    np.testing.assert_array_equal(picture, before)
    assert drawn[(picture == 255).all(axis=2)].min() == 255
    assert np.abs(drawn[20:60, 20:50].astype(int) - picture[20:60, 20:50]).mean() > 10


def test_the_colours_move_towards_the_style(own: OwnStyle) -> None:
    picture = shirt()
    inside = (slice(24, 56), slice(24, 48))
    wanted = painting().mean(axis=(0, 1))
    drawn = own.apply(picture)
    assert np.abs(drawn[inside].mean((0, 1)) - wanted).sum() < np.abs(picture[inside].mean((0, 1)) - wanted).sum()


def test_strength_and_part(own: OwnStyle) -> None:
    picture, mask = shirt(), np.zeros((80, 72), np.float32)
    mask[30:50] = 1
    np.testing.assert_array_equal(own.apply(picture, 0.0), picture)
    full, part = own.apply(picture), own.apply(picture, mask=mask, where="product")
    np.testing.assert_array_equal(part, np.where(mask[..., None] == 1, full, picture))


@settings(deadline=None, max_examples=6)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_size_comes_back_in_its_own_size(own: OwnStyle, height: int, width: int) -> None:
    assert own.apply(np.full((height, width, 3), 90, np.uint8)).shape == (height, width, 3)


def test_a_large_picture_is_drawn_small_and_the_change_enlarged(own: OwnStyle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.styles.own.LARGEST", 40)
    drawn = own.apply(shirt())
    assert drawn.shape == shirt().shape
    assert drawn[:8].min() == 255
    assert not np.array_equal(drawn, shirt())


@pytest.mark.parametrize("picture", [np.zeros((63, 90, 3), np.uint8), np.zeros((90, 90), np.uint8)])
def test_what_is_no_style_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least 64 px"):
        OwnStyle(picture)


def test_a_picture_put_together_from_its_own_patches_is_itself() -> None:
    picture = np.random.default_rng(1).normal(size=(40, 44, 3)).astype(np.float32) * 20
    book = PatchBook(picture)
    inside = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(revoted(picture, book)[inside], picture[inside], atol=1e-3)
    twice = picture.repeat(2, 0).repeat(2, 1)
    large = enlarged(picture, book, twice)
    np.testing.assert_allclose(large[16:-16, 16:-16], twice[16:-16, 16:-16], atol=1e-3)
