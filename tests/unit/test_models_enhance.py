"""Enhancement mends what is damaged and leaves the rest alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.colour import delta_e_2000, to_lab
from models.enhance import Parts, enhance
from models.enhance.exposure import expose
from models.enhance.gate import Bounds, Change, Gate
from models.enhance.white_balance import balance
from models.pictures import Mask, Picture
from models.quality.artefacts import blockiness_of, noise_of
from models.training.enhancement import blurred, compressed, lit, noisy

SIZE = 256


def product(colour: tuple[int, int, int] = (70, 105, 165)) -> tuple[Picture, Mask]:
    """A folded cloth with a white label and dark buttons on a grey wall whose skirting board is white."""
    draw = np.random.default_rng(3)
    x = np.arange(SIZE, dtype=np.float64)[None, :, None]
    picture = np.full((SIZE, SIZE, 3), (150, 149, 147), np.float64)
    picture[-20:] = 246
    inside = np.zeros((SIZE, SIZE), bool)
    inside[40:216, 56:200] = True
    folds = 1 + 0.25 * np.sin(x / 9)
    picture[inside] = (np.array(colour) * folds * np.ones((SIZE, 1, 1)))[inside]
    picture[60:76, 110:140] = 244
    picture[100:180:20, 126:130] = 20
    picture += draw.normal(0, 0.8, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), inside.astype(np.float32)


def off(picture: Picture, truth: Picture, mask: Mask) -> float:
    """Mean CIEDE2000 inside the mask."""
    inside = mask > 0.9
    return float(delta_e_2000(to_lab(picture)[inside], to_lab(truth)[inside]).mean())


@pytest.mark.parametrize("colour", [(70, 105, 165), (150, 40, 50), (35, 35, 38), (195, 193, 189)])
def test_a_good_photo_is_the_same_photo(colour: tuple[int, int, int]) -> None:
    photo, mask = product(colour)
    done = enhance(photo, mask)
    assert done.pixels is photo
    assert done.applied == ()


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda photo: lit(photo, -1.5), "exposure"),
        (lambda photo: lit(photo, -2.0), "exposure"),
        (lambda photo: lit(photo, 0, 0.5), "white_balance"),
        (lambda photo: lit(photo, 0, -0.5), "white_balance"),
        (lambda photo: noisy(photo, 10, np.random.default_rng(1)), "denoise"),
        (lambda photo: blurred(photo, 2.0), "sharpen"),
    ],
)
def test_a_damaged_photo_comes_nearer_to_what_it_was(damage, part: str) -> None:  # type: ignore[no-untyped-def]
    # A blue cloth in warm light and a grey one in no light of its own look the same: that is left alone.
    photo, mask = product((125, 123, 120) if part == "white_balance" else (70, 105, 165))
    damaged = damage(photo)
    done = enhance(damaged, mask)
    assert part in [one.part for one in done.applied]
    assert off(done.pixels, photo, mask) < off(damaged, photo, mask)
    again = enhance(damaged, mask)
    assert np.array_equal(again.pixels, done.pixels)
    assert again.applied == done.applied
    without = enhance(damaged, mask, parts=Parts(**{part: False}))
    assert part not in [one.part for one in without.applied]


def test_strength_scales_the_correction() -> None:
    photo, mask = product()
    dark = lit(photo, -1.5)
    steps = [off(enhance(dark, mask, strength).pixels, dark, mask) for strength in (0, 0.3, 0.6, 1)]
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert steps[-1] > 5


def test_a_photo_in_which_all_is_red_is_no_warm_light() -> None:
    """The wall is neutral, so the light is, however red the product."""
    photo, mask = product((200, 60, 40))
    assert enhance(photo, mask, parts=Parts(exposure=False)).applied == ()


def test_noise_and_blur_are_mended_on_the_product_alone() -> None:
    photo, mask = product()
    soft = blurred(photo, 2.0)
    done = enhance(soft, mask)
    assert [one.part for one in done.applied] == ["sharpen"]
    assert np.array_equal(done.pixels[mask == 0], soft[mask == 0])


@settings(max_examples=25, deadline=None)
@given(st.floats(-1.8, 1.8), st.floats(-0.5, 0.5))
def test_tone_curves_keep_black_white_and_order(stops: float, warmth: float) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    toned = expose(ramp, stops)
    assert (toned[0, 0] == 0).all()
    assert (toned[0, 255] == 255).all()
    assert (np.diff(toned[0].astype(int), axis=0) >= 0).all()
    assert (np.diff(balance(ramp, warmth)[0].astype(int), axis=0) >= 0).all()


def test_dimming_keeps_the_hue_of_what_is_nearly_burnt_out() -> None:
    bright = np.full((8, 8, 3), (250, 200, 120), np.uint8)
    dimmed = to_lab(expose(bright, -1))[0, 0]
    before = to_lab(bright)[0, 0]
    turn = np.arctan2(dimmed[2], dimmed[1]) - np.arctan2(before[2], before[1])
    assert abs(np.degrees(turn)) < 4


def test_the_gate_measures_harm() -> None:
    photo, mask = product((200, 60, 40))
    gate = Gate(mask)
    before = gate.look(photo)

    def change(after: Picture) -> Change:
        return gate.change(before, gate.look(after))

    same = change(photo)
    assert (same.clipped, same.colour, same.noise_growth, same.hue) == (0, 0, 0, 0)
    assert same.structure == pytest.approx(1, abs=1e-4)
    assert change(np.clip(photo * 2.0, 0, 255).astype(np.uint8)).clipped > 0.3
    assert change(noisy(photo, 10, np.random.default_rng(1))).noise_growth > 3
    assert change(np.ascontiguousarray(photo[..., ::-1])).hue > 90
    assert change(np.roll(photo, 28, axis=1)).structure < 0.9
    bounds = Bounds(colour=5, hue=10)
    assert bounds.hold(same)
    for harm in (lit(photo, 2.0), noisy(photo, 20, np.random.default_rng(1)), photo[..., ::-1].copy()):
        assert not bounds.hold(change(harm))


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (40, 33), (64, 64)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_odd_shapes_and_masks(shape: tuple[int, int], level: float) -> None:
    photo = np.full((*shape, 3), (40, 38, 36), np.uint8)
    done = enhance(photo, np.full(shape, level, np.float32))
    assert done.pixels.shape == photo.shape
    assert done.pixels.dtype == np.uint8
    assert np.isfinite(noise_of(photo, np.full(shape, level, np.float32)))
    assert blockiness_of(photo) == 0


@pytest.mark.parametrize("sigma", [4, 8, 16])
def test_noise_is_told_in_levels(sigma: int) -> None:
    photo, mask = product()
    grey = np.clip(photo + np.random.default_rng(1).normal(0, sigma, (SIZE, SIZE, 1)), 0, 255).astype(np.uint8)
    assert noise_of(photo, mask) < 1
    assert noise_of(grey, mask) == pytest.approx(sigma, rel=0.25)


def test_pattern_is_no_noise_where_the_wall_is_quiet() -> None:
    photo, mask = product()
    inside = mask > 0
    speckled = photo.copy()
    speckled[inside] = np.random.default_rng(1).integers(0, 255, (int(inside.sum()), 3), dtype=np.uint8)
    assert noise_of(speckled, mask) < 1


@pytest.mark.parametrize("shift", [0, 3])
def test_blocks_show_whatever_their_offset(shift: int) -> None:
    photo, _ = product()
    sloping = (photo * np.linspace(0.5, 1, SIZE)[None, :, None] * np.linspace(0.6, 1, SIZE)[:, None, None]).astype(
        np.uint8
    )
    files = [compressed(sloping, quality)[shift:, shift:] for quality in (95, 30, 10)]
    found = [blockiness_of(np.ascontiguousarray(file)) for file in files]
    assert found[0] < 0.7
    assert min(found[1:]) > 1.5
