"""The drawing filters: what they keep, what they change, and that they draw by place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.styles.fields.cells import REACH
from models.styles.filters import FILTERS
from models.styles.textures import NAMES, SHEETS, TILE, sheet, textures

STYLES = sorted(FILTERS)


def shirt(size: int = 120) -> np.ndarray:
    """A red square with a dark stripe on white."""
    picture = np.full((size, size, 3), 255, np.uint8)
    picture[size // 4 : -size // 4, size // 4 : -size // 4] = (200, 60, 50)
    picture[size // 2 : size // 2 + 10, size // 4 : -size // 4] = (40, 30, 60)
    return picture


@pytest.mark.parametrize("style", STYLES)
def test_a_filter_keeps_the_shape_and_repeats_itself(style: str) -> None:
    picture = shirt()
    before = picture.copy()
    first, second = FILTERS[style](picture, (0, 0)), FILTERS[style](picture, (0, 0))
    assert first.shape == picture.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("style", STYLES)
def test_white_stays_white(style: str) -> None:
    assert FILTERS[style](np.full((64, 80, 3), 255, np.uint8), (7, 9)).min() == 255


@pytest.mark.parametrize("style", STYLES)
def test_the_background_of_a_product_stays_white_and_the_product_is_redrawn(style: str) -> None:
    drawn = FILTERS[style](shirt(160), (0, 0))
    assert drawn[:12].min() >= 254
    inside = (slice(60, 100), slice(60, 100))
    assert np.abs(drawn[inside].astype(int) - shirt(160)[inside]).mean() > 2


@pytest.mark.parametrize("style", STYLES)
def test_a_window_is_drawn_as_the_whole_picture_is(style: str) -> None:
    rng = np.random.default_rng(3)
    picture = np.kron(rng.integers(0, 256, (20, 20, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    whole = FILTERS[style](picture, (100, 30))
    window = FILTERS[style](picture[20:180, 30:190], (120, 60))
    rim = 45
    difference = np.abs(whole[20 + rim : 180 - rim, 30 + rim : 190 - rim].astype(int) - window[rim:-rim, rim:-rim])
    assert difference.max() <= 1


def test_pencil_is_nearly_grey_and_poster_is_more_colourful_than_the_photo() -> None:
    picture = shirt()
    spread = {
        style: np.ptp(FILTERS[style](picture, (0, 0)).astype(int), axis=2).max() for style in ("pencil", "poster")
    }
    assert spread["pencil"] <= 6
    assert spread["poster"] > np.ptp(picture.astype(int), axis=2).max()


def test_darker_tones_get_more_graphite() -> None:
    means = [FILTERS["pencil"](np.full((96, 96, 3), tone, np.uint8), (0, 0)).mean() for tone in (230, 170, 110, 50)]
    assert means == sorted(means, reverse=True)


@settings(deadline=None, max_examples=30)
@given(row=st.integers(-2 * TILE, 2 * TILE), column=st.integers(-2 * TILE, 2 * TILE))
def test_textures_are_periodic_and_cut_from_one_sheet(row: int, column: int) -> None:
    window = textures(5, 6, (row, column))
    np.testing.assert_array_equal(window, textures(5, 6, (row + TILE, column - TILE)))
    np.testing.assert_array_equal(window[2:, 3:], textures(3, 3, (row + 2, column + 3)))


def test_each_texture_is_evenly_spread() -> None:
    sheet = textures(TILE, TILE)
    assert sheet.shape == (TILE, TILE, len(NAMES))
    for quantile in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(np.quantile(sheet, quantile, axis=(0, 1)), quantile, atol=0.05)


def test_there_are_twelve_styles_and_more_and_every_sheet_belongs_to_one() -> None:
    assert len(FILTERS) >= 12
    assert set(SHEETS) <= set(FILTERS)


@pytest.mark.parametrize("style", [*sorted(SHEETS), "oil"])
def test_a_sheet_has_four_textures_within_bounds(style: str) -> None:
    fields = textures(40, 30, (5, 9), sheet(style))
    assert fields.shape == (40, 30, 4)
    assert fields.dtype == np.float32
    assert fields.min() >= 0
    assert fields.max() <= 1


def test_an_unknown_texture_is_refused() -> None:
    with pytest.raises(KeyError, match="unknown texture 'velvet'"):
        textures(4, 4, names=("velvet",))


@pytest.mark.parametrize("name", ["cyan", "magenta", "yellow", "key", "dots", "lines", "crosslines"])
def test_a_screen_prints_as_much_ink_as_the_tone_asks_for(name: str) -> None:
    screen = textures(96, 96, (0, 0), (name,))
    for tone in (0.1, 0.5, 0.8):
        assert abs((screen < tone).mean() - tone) < 0.04


def test_all_pixels_of_a_stitch_lead_to_its_middle() -> None:
    x, y, _, tone = np.moveaxis(textures(64, 64, (0, 0), sheet("cross_stitch")), 2, 0)
    rows, columns = np.indices(x.shape)
    middles = np.stack([rows + (y - 0.5) * 2 * REACH, columns + (x - 0.5) * 2 * REACH, tone])
    stitches = middles.reshape(3, 8, 8, 8, 8).transpose(1, 3, 0, 2, 4).reshape(64, 3, 64)
    assert np.ptp(stitches, axis=2).max() < 1e-3
    np.testing.assert_allclose(stitches[0, :2, 0], (3.5, 3.5), atol=1e-3)


def test_more_tone_means_more_stipple_dots_and_they_lie_evenly() -> None:
    dots = textures(TILE, TILE, (0, 0), ("stipple",))[..., 0]
    shares = [(dots < tone).mean() for tone in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert shares == sorted(shares)
    # Each of 64 parts holds about as much ink as the others, which random dots would not.
    ink = (dots < 0.2).reshape(8, 64, 8, 64).mean(axis=(1, 3))
    assert ink.std() < 0.1 * ink.mean()


@pytest.mark.parametrize("style", ["ink", "engraving", "stipple", "delft", "riso", "halftone"])
def test_darker_cloth_gets_more_ink(style: str) -> None:
    means = [FILTERS[style](np.full((96, 96, 3), tone, np.uint8), (0, 0)).mean() for tone in (230, 170, 110, 40)]
    assert means == sorted(means, reverse=True)


def test_a_stitch_holds_one_colour_over_an_edge() -> None:
    picture = np.full((96, 96, 3), 240, np.uint8)
    picture[:, 45:] = 30
    drawn = FILTERS["cross_stitch"](picture, (0, 0))
    # The edge within the stitch of columns 40 to 47 moves to the rim of the stitch, up to thread and relief.
    columns = drawn[8:88].astype(float).mean(axis=(0, 2))
    assert abs(columns[41:47] - columns[41:47].mean()).max() < 30
