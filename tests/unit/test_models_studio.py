"""The studio shot: fill, centre, exact background, soft shadow, clean edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backdrops import Plain
from models.matting import decontaminate, guided_filter, refine
from models.pictures import Mask, Picture
from models.studio import StudioShot, compose

WHITE = (255, 255, 255)


def product(height: int = 120, width: int = 90, colour: tuple[int, int, int] = (160, 30, 40)) -> tuple[Picture, Mask]:
    """A soft-edged ellipse on a green floor, mixed as a camera would."""
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width * 0.45) / (width * 0.3), (y - height * 0.55) / (height * 0.35))
    alpha = np.clip((1 - radius) * 12 + 0.5, 0, 1).astype(np.float32)
    mixed = alpha[..., None] * np.array(colour) + (1 - alpha[..., None]) * np.array([60, 170, 60])
    return mixed.astype(np.uint8), alpha


def shoot(size: tuple[int, int] = (200, 200), fill: float = 0.85, **options: object) -> StudioShot:
    picture, alpha = product()
    colour = options.pop("background", WHITE)
    settings_ = {"backdrop": Plain(colour), "shadow": True, "seed": 1} | options  # type: ignore[arg-type]
    return compose(picture, alpha, size=size, fill=fill, **settings_)  # type: ignore[arg-type]


def border(picture: Picture) -> Picture:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


@settings(max_examples=25, deadline=None)
@given(st.integers(64, 300), st.integers(64, 300), st.floats(0.3, 0.98))
def test_product_fills_its_share_and_stands_in_the_middle(width: int, height: int, fill: float) -> None:
    shot = shoot((width, height), fill)
    assert shot.pixels.shape == shot.reference.shape == (height, width, 3)
    assert shot.mask.shape == (height, width)
    solid = shot.mask > 0.5
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    shares = (tall / height, wide / width)
    longest = max(width, height)
    assert max(shares) == pytest.approx(fill, abs=4 / min(width, height) + 2 / longest)
    assert abs((rows[0] + rows[-1] + 1) / 2 - height / 2) <= 2
    assert abs((columns[0] + columns[-1] + 1) / 2 - width / 2) <= 2


@pytest.mark.parametrize("size", [(200, 200), (1000, 1000), (300, 160), (64, 64)])
@pytest.mark.parametrize("background", [WHITE, (233, 234, 236), (0, 0, 0)])
def test_border_is_exactly_the_background(size: tuple[int, int], background: tuple[int, int, int]) -> None:
    shot = shoot(size, 0.9, background=background)
    assert (border(shot.pixels) == background).all()


def test_without_shadow_all_outside_is_exactly_the_background() -> None:
    shot = shoot(shadow=False)
    assert (shot.pixels[shot.mask == 0] == WHITE).all()


def test_shadow_is_soft_and_lies_below() -> None:
    shot = shoot((400, 400), 0.7)
    solid = shot.mask > 0.5
    rows = np.flatnonzero(solid.any(1))
    middle = int(np.median(np.flatnonzero(solid[rows[-1]])))
    below = shot.pixels[rows[-1] + 3 :, middle].mean(-1)
    above = shot.pixels[: rows[0] - 2, middle].mean(-1)
    assert 150 < below[0] < 250
    assert below[0] < above[-1]
    assert np.abs(np.diff(below)).max() < 12
    assert (shot.pixels <= 255).all()
    assert below[-1] == 255


def test_old_background_leaves_no_fringe() -> None:
    shot = shoot((400, 400), 0.8, shadow=False)
    edge = (shot.mask > 0.3) & (shot.mask < 0.95)
    red, green = shot.pixels[edge].astype(int)[:, 0], shot.pixels[edge].astype(int)[:, 1]
    assert (green <= red + 2).mean() > 0.99


def test_same_seed_same_picture_other_seed_other_grain() -> None:
    first, again, other = shoot(), shoot(), shoot(seed=2)
    assert (first.pixels == again.pixels).all()
    assert (first.pixels != other.pixels).any()
    assert np.abs(first.pixels.astype(int) - other.pixels).max() <= 2


def test_reference_shows_the_product_before() -> None:
    picture, alpha = product()
    other, _ = product(colour=(20, 40, 150))
    shot = compose(
        other, alpha, size=(200, 200), backdrop=Plain(WHITE), fill=0.8, shadow=True, seed=1, reference=picture
    )
    inside = shot.mask > 0.99
    assert np.abs(shot.reference[inside].mean(0) - [160, 30, 40]).max() < 4
    assert np.abs(shot.pixels[inside].mean(0) - [20, 40, 150]).max() < 4


@pytest.mark.parametrize("shape", [(1, 1), (16, 4000), (4000, 16), (30, 30)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_odd_shapes_and_empty_alpha(shape: tuple[int, int], level: float) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    shot = compose(
        picture, np.full(shape, level, np.float32), size=(128, 96), backdrop=Plain(WHITE), fill=0.9, shadow=True, seed=3
    )
    assert shot.pixels.shape == (96, 128, 3)
    # A ribbon 4,000 times 16 is thinner than a pixel once it fits into the frame.
    assert (shot.mask.max() > 0.4) == (max(shape) < 4000)


def test_decontaminate_keeps_the_inside_and_continues_it_outward() -> None:
    picture, alpha = product()
    clean = decontaminate(picture, alpha)
    deep = np.zeros(alpha.shape, bool)
    deep[50:80, 30:50] = True
    assert (clean[deep] == picture[deep]).all()
    edge = (alpha > 0.3) & (alpha < 0.9)
    assert np.abs(clean[edge].astype(int) - [160, 30, 40]).mean() < 12


def test_guided_filter_keeps_what_the_guide_shows() -> None:
    rng = np.random.default_rng(4)
    guide = np.zeros((40, 40, 3), np.float32)
    guide[:, 20:] = (0.8, 0.3, 0.2)
    truth = (guide[..., 0] > 0).astype(np.float32)
    noisy = (truth + rng.normal(0, 0.2, truth.shape)).astype(np.float32)
    filtered = guided_filter(guide, noisy, 4, 1e-4)
    assert np.abs(filtered - truth).mean() < 0.5 * np.abs(noisy - truth).mean()
    np.testing.assert_allclose(guided_filter(guide, np.ones((40, 40), np.float32), 4, 1e-4), 1, atol=1e-3)


def test_refine_moves_a_coarse_edge_to_the_true_one() -> None:
    picture, alpha = product(240, 180)
    coarse = (alpha[::4, ::4] > 0.5).astype(np.float32)
    fine = refine(picture, coarse)
    assert fine.shape == alpha.shape
    assert float(np.abs(fine - alpha).mean()) < 0.01
    assert fine.min() >= 0
    assert fine.max() <= 1
