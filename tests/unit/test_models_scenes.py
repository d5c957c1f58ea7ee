"""Scenes: repeatable, of any size, without bands or tiles; products stand in them with the right shadow and colour."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.backdrops import InScene
from models.colour import delta_e_2000, to_lab
from models.pictures import Floats, Mask, Picture
from models.quality.measures import measure
from models.scenes.frame import Frame, blurred, noise, octaves
from models.scenes.light import Light, Side, falloff
from models.scenes.painting import backdrop
from models.scenes.registry import SCENES
from models.shadows import foot_of, lying, standing
from models.studio import StudioShot, compose

NAMES = sorted(SCENES)
SQUARE = (160, 160)


def paint(name: str, size: tuple[int, int] = SQUARE, seed: int = 1, side: Side = "left") -> Floats:
    return backdrop(SCENES[name], size, seed, Light(side, SCENES[name].light.warmth))


def block(height: int = 100, width: int = 80) -> tuple[Picture, Mask]:
    """A textured red box with soft edges on green."""
    rng = np.random.default_rng(3)
    alpha = np.zeros((height, width), np.float32)
    alpha[height // 5 : -height // 5, width // 5 : -width // 5] = 1
    alpha = blurred(alpha, 1.0)
    cloth = np.array([170, 40, 50]) + rng.normal(0, 12, (height, width, 1))
    mixed = alpha[..., None] * cloth + (1 - alpha[..., None]) * np.array([60, 170, 60])
    return np.clip(mixed, 0, 255).astype(np.uint8), alpha


def shoot(name: str, size: tuple[int, int] = (240, 240), side: Side = "left", **options: object) -> StudioShot:
    picture, alpha = block()
    scene = SCENES[name]
    asked = {"fill": 0.7, "shadow": True, "seed": 1} | options
    return compose(picture, alpha, size=size, backdrop=InScene(scene, Light(side, scene.light.warmth)), **asked)  # type: ignore[arg-type]


def test_there_are_the_scenes_that_are_promised() -> None:
    assert set(NAMES) >= {"wood", "marble", "linen", "gradient", "wall", "wall-and-floor", "foliage", "terrace"}


@pytest.mark.parametrize("name", NAMES)
def test_same_arguments_same_pixels_other_seed_other_pixels(name: str) -> None:
    assert np.array_equal(paint(name), paint(name))
    assert np.abs(paint(name) - paint(name, seed=2)).mean() > 0.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 64), (333, 200), (108, 192), (5000, 64), (64, 5000)])
def test_any_size_and_aspect(name: str, size: tuple[int, int]) -> None:
    painted = paint(name, size)
    assert painted.shape == (size[1], size[0], 3)
    assert painted.dtype == np.float32
    assert np.isfinite(painted).all()
    assert painted.min() >= 0
    assert painted.max() <= 255


@pytest.mark.parametrize("name", NAMES)
def test_a_larger_frame_shows_the_same_view(name: str) -> None:
    small, large = paint(name, (150, 120)), paint(name, (600, 480))
    shrunk = large.reshape(120, 4, 150, 4, 3).mean((1, 3))
    assert np.abs(blurred(shrunk, 2) - blurred(small, 2)).mean() < 2.5


@pytest.mark.parametrize("name", NAMES)
def test_smooth_light_has_no_bands(name: str) -> None:
    picture = np.rint(paint(name, (400, 400))).astype(int)
    # Bands are rows of equal neighbours; grain leaves hardly any that are long.
    for channel in range(3):
        equal = (np.diff(picture[..., channel], axis=1) == 0).astype(np.float32)
        runs = np.stack([equal[:, shift : 380 + shift] for shift in range(12)]).min(0)
        assert runs.mean() < 0.002


@pytest.mark.parametrize("name", NAMES)
def test_the_far_side_is_darker(name: str) -> None:
    def tilt(side: Side) -> float:
        view = np.mean([paint(name, (96, 96), seed, side).mean(-1) for seed in range(4)], axis=0)
        return float(view[:, :32].mean() - view[:, -32:].mean())

    assert tilt("left") > 2
    assert tilt("right") < -2


def test_the_frame_alone_decides_the_grid_of_the_noise() -> None:
    small = noise(Frame(90, 60), np.random.default_rng(4), 5, 5)
    large = noise(Frame(900, 600), np.random.default_rng(4), 5, 5)
    shrunk = large.reshape(60, 10, 90, 10).mean((1, 3))
    assert np.abs(shrunk - small).max() < 0.05
    assert 0.2 < float(octaves(Frame(300, 300), np.random.default_rng(5), 4, 4).std()) < 0.5


def test_blur_keeps_the_mean_whatever_its_width() -> None:
    values = np.random.default_rng(6).random((120, 90)).astype(np.float32)
    for sigma in (0.1, 1.0, 4.0, 20.0):
        assert abs(float(blurred(values, sigma).mean()) - float(values.mean())) < 0.01


def _centre(density: Mask) -> tuple[float, float]:
    y, x = np.indices(density.shape)
    return float((x * density).sum() / density.sum()), float((y * density).sum() / density.sum())


@pytest.mark.parametrize("pose", ["lying", "standing"])
def test_the_shadow_falls_away_from_the_light(pose: str) -> None:
    mask = np.zeros((240, 240), np.float32)
    mask[60:180, 80:160] = 1

    def centre(side: Side) -> tuple[float, float]:
        source = Light(side).source
        cast = lying(mask, source, 1.0) if pose == "lying" else standing(mask, source, 1.0, 100.0, wall=True)
        assert cast.min() >= 0
        assert cast.max() <= 0.9
        return _centre(cast)

    x_of_mask, y_of_mask = _centre(mask)
    assert centre("left")[0] > x_of_mask + 1
    assert centre("right")[0] < x_of_mask - 1
    assert abs(centre("top")[0] - x_of_mask) < 0.8
    assert centre("top")[1] > y_of_mask + 1


def test_a_shadow_grows_softer_with_distance_and_ends() -> None:
    mask = np.zeros((400, 400), np.float32)
    mask[100:300, 100:300] = 1
    cast = lying(mask, Light("left").source, 1.0)
    to_light, away = cast[200, 80:100], cast[200, 300:340]
    assert away.sum() > 2 * to_light.sum()
    assert (np.diff(away) <= 1e-6).all()
    assert np.abs(np.diff(away)).max() < 0.08
    assert cast[:40].max() < 0.01


def test_no_shadow_lies_above_the_seam_without_a_wall() -> None:
    mask = np.zeros((240, 240), np.float32)
    mask[40:200, 80:160] = 1
    cast = standing(mask, Light("left").source, 1.0, 150.0, wall=False)
    assert cast[:140].max() < 0.01
    assert cast[196:206, 90:150].max() > 0.4
    assert not standing(np.zeros((60, 60), np.float32), (0, -1), 1.0, 30.0, wall=True).any()


def test_laces_that_hang_lower_lift_no_shoe() -> None:
    solid = np.zeros((60, 100), bool)
    solid[10:40, 10:90] = True
    solid[40:55, 30:34] = True
    assert foot_of(solid) == 40
    assert foot_of(solid[:45, :20]) == 40
    for size in ((300, 300), (300, 160), (160, 300)):
        backdrop_ = InScene(SCENES["terrace"], Light())
        shot = compose(
            np.full((60, 100, 3), 90, np.uint8),
            solid.astype(np.float32),
            size=size,
            backdrop=backdrop_,
            fill=0.9,
            shadow=True,
            seed=1,
        )
        assert not (shot.mask[-1] > 0.02).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_backdrop_knows_nothing_of_the_product(name: str) -> None:
    scene = SCENES[name]
    shot = shoot(name, shadow=False)
    expected = np.clip(backdrop(scene, (240, 240), 1, scene.light) + 0.5, 0, 255).astype(np.uint8)
    outside = shot.mask == 0
    assert np.array_equal(shot.pixels[outside], expected[outside])
    shaded = shoot(name).pixels[outside].astype(int)
    assert (shaded <= expected[outside]).all()
    assert (shaded < expected[outside] - 10).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(240, 240), (240, 300), (300, 157), (216, 384)])
def test_products_keep_their_colour_and_their_place(name: str, size: tuple[int, int]) -> None:
    shot = shoot(name, size)
    found = measure(shot.pixels, shot.mask, reference=shot.reference, background=None)
    assert found.fidelity_colour < 1.5
    assert found.fidelity_structure > 0.95
    assert found.border_touch == 0
    assert found.fill >= 0.5
    rows, columns = np.flatnonzero((shot.mask > 0.5).any(1)), np.flatnonzero((shot.mask > 0.5).any(0))
    assert abs((columns[0] + columns[-1] + 1) / 2 - size[0] / 2) <= 2
    seam = SCENES[name].seam(Frame(*size)) * min(size)
    if SCENES[name].pose == "standing":
        assert seam < rows[-1] < 0.95 * size[1]
    elif SCENES[name].pose == "hanging":
        assert rows[-1] < seam
    else:
        assert abs((rows[0] + rows[-1] + 1) / 2 - size[1] / 2) <= 2


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES), st.integers(64, 300), st.integers(64, 300), st.floats(0.3, 1.0))
def test_a_product_never_leaves_the_frame(name: str, width: int, height: int, fill: float) -> None:
    shot = shoot(name, (width, height), fill=fill)
    assert shot.pixels.shape == (height, width, 3)
    assert (shot.mask > 0.5).any()
    rows = np.flatnonzero((shot.mask > 0.5).any(1))
    assert rows[0] >= 0
    assert rows[-1] <= height - 1
    assert (rows[-1] - rows[0] + 1) <= fill * height + 3


def test_the_rim_takes_a_little_of_the_surroundings() -> None:
    shot = shoot("terrace", (400, 400))
    solid = shot.mask > 0.98
    change = delta_e_2000(to_lab(shot.pixels), to_lab(shot.reference))
    inner = blurred(shot.mask, 10) > 0.999
    assert change[solid & ~inner].mean() > change[inner].mean()
    assert change[inner].mean() < 1.5


def test_light_falls_off_across_the_frame() -> None:
    field = falloff(Frame(120, 80), Light("top"), 1.1, 0.9)
    assert field.shape == (80, 120)
    assert (np.diff(field[:, 60]) <= 1e-6).all()
    assert abs(float(field.mean()) - 1.0) < 0.02
