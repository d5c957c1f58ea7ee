"""The measures move with what they claim to measure."""

import time
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pictures import Mask, Picture
from models.quality.measures import Measurements, measure

WHITE = (255, 255, 255)


def scene(size: int = 200, level: int = 120) -> tuple[Picture, Mask]:
    """A textured square in the middle of white."""
    rng = np.random.default_rng(5)
    picture = np.full((size, size, 3), 255, np.uint8)
    mask = np.zeros((size, size), np.float32)
    inside = slice(size // 4, size - size // 4)
    mask[inside, inside] = 1
    cloth = rng.normal(level, 25, (size, size, 1)) + np.array([10, 0, -10])
    picture[inside, inside] = np.clip(cloth, 0, 255)[inside, inside]
    return picture, mask


def blurred(picture: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def of(picture: Picture, mask: Mask, **options: object) -> Measurements:
    return measure(picture, mask, **({"reference": None, "background": WHITE} | options))  # type: ignore[arg-type]


def test_a_clean_shot() -> None:
    picture, mask = scene()
    found = of(picture, mask, reference=picture)
    assert found.fill == pytest.approx(0.5)
    assert found.area == pytest.approx(0.25)
    assert (found.border_touch, found.background_delta_e, found.white_border) == (0, 0, 1)
    assert found.fidelity_structure == pytest.approx(1, abs=1e-5)
    assert found.fidelity_colour == 0
    assert 40 < found.exposure < 60


def test_blur_lowers_sharpness_and_structure() -> None:
    picture, mask = scene()
    rows = [of(blurred(picture, sigma), mask, reference=picture) for sigma in (0.4, 0.8, 1.6)]
    sharp, structure = [row.sharpness for row in rows], [row.fidelity_structure for row in rows]
    assert sharp == sorted(sharp, reverse=True)
    assert structure == sorted(structure, reverse=True)
    assert sharp[0] > 2 * sharp[-1]


def test_sharpness_hardly_depends_on_the_resolution() -> None:
    picture, mask = scene(384)
    soft = blurred(picture, 2)
    large = np.asarray(cv2.resize(soft, (1000, 1000), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    there = of(large, np.asarray(cv2.resize(mask, (1000, 1000)), dtype=np.float32)).sharpness
    assert there == pytest.approx(of(soft, mask).sharpness, rel=0.2)


def test_light_and_dark_clip() -> None:
    levels = [of(*scene(level=level)) for level in (10, 60, 120, 180, 250)]
    exposure = [row.exposure for row in levels]
    assert exposure == sorted(exposure)
    assert levels[0].clipped_dark > 0.2 > levels[2].clipped_dark
    assert levels[-1].clipped_light > 0.2 > levels[2].clipped_light


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 99), st.integers(1, 99))
def test_fill_and_area_of_any_box(tall: int, wide: int) -> None:
    picture = np.full((100, 100, 3), 255, np.uint8)
    mask = np.zeros((100, 100), np.float32)
    top, left = (100 - tall) // 2, (100 - wide) // 2
    mask[top : top + tall, left : left + wide] = 1
    found = of(picture, mask)
    assert found.fill == pytest.approx(max(tall, wide) / 100)
    assert found.area == pytest.approx(tall * wide / 1e4)


def test_a_product_that_runs_out_of_the_frame_touches_it() -> None:
    picture, mask = scene()
    touch = [of(picture, np.roll(mask, (shift, 0), (0, 1))).border_touch for shift in (0, 49, 50)]
    assert touch[:2] == [0, 0]
    assert touch[2] == pytest.approx(0.25)
    assert of(picture, np.ones_like(mask)).border_touch == 1


def test_a_wrong_background_is_seen() -> None:
    picture, mask = scene()
    off = []
    for level in (255, 250, 240, 200):
        grey = picture.copy()
        grey[mask == 0] = level
        off.append(of(grey, mask))
    distances = [row.background_delta_e for row in off]
    assert distances == sorted(distances)
    assert distances[0] == 0
    assert distances[-1] > 10
    assert [row.white_border for row in off] == [1, 0, 0, 0]


def test_another_colour_is_seen() -> None:
    picture, mask = scene()
    other = picture.copy()
    other[..., 0] //= 2
    assert of(other, mask, reference=picture).fidelity_colour > 10


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (400, 5)])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_odd_shapes_give_finite_numbers(shape: tuple[int, int], level: float) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    found = of(picture, np.full(shape, level, np.float32), reference=picture)
    assert all(np.isfinite(getattr(found, field.name)) for field in fields(found))
    assert (found.area, found.fill) == ((1, 1) if level > 0.5 else (0, 0))


def test_without_reference_or_background_nothing_is_held_against_it() -> None:
    picture, mask = scene()
    found = measure(picture, mask, reference=None, background=None)
    free = replace(found, fidelity_structure=1, fidelity_colour=0, background_delta_e=0, white_border=1)
    assert found == free


def test_a_thousand_pixels_take_little_processor_time() -> None:
    picture, mask = scene(1000)
    of(picture, mask, reference=picture)
    start = time.process_time()
    of(picture, mask, reference=picture)
    assert time.process_time() - start < 0.4
