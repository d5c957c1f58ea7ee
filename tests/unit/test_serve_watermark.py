"""The invisible watermark: unseen, read back without the original, and after what usually happens to pictures."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deploy.bench.watermark import ATTACKS, interval, white_around
from serve.images.watermark import LOUDNESS, embed, payload_of, read_watermark
from serve.interfaces import Picture
from tests.support.photos import garment

SECRET = b"tests"
STEADY = settings(deadline=None, derandomize=True, max_examples=12)


def textured(seed: int, width: int = 700, height: int = 600) -> Picture:
    """Smooth shapes, edges and grain: what a photo has."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.integers(0, 256, (9, 11, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    blocks = cv2.resize(
        rng.integers(0, 60, (30, 35, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
    )
    grain = rng.normal(0, 4, (height, width, 1))
    return np.clip(coarse * 0.7 + blocks + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photo() -> Picture:
    return textured(1)


def psnr(before: Picture, after: Picture) -> float:
    return float(10 * np.log10(255**2 / np.mean((before.astype(float) - after) ** 2)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_mark_outlives(attack: str, photo: Picture) -> None:
    payload = payload_of("shop/ab.jpg")
    found = read_watermark(ATTACKS[attack](embed(photo, payload, SECRET)), SECRET)
    assert found is not None
    assert found.payload == payload


def test_it_says_at_which_scale_it_was_found(photo: Picture) -> None:
    found = read_watermark(ATTACKS["resize 50 %"](embed(photo, 7, SECRET)), SECRET)
    assert found is not None
    assert found.scale == 0.5


@given(st.integers(0, 2**32 - 1))
@STEADY
def test_every_payload_is_read_back(payload: int) -> None:
    found = read_watermark(embed(textured(2, 420, 400), payload, SECRET), SECRET, scales=(1.0,))
    assert found is not None
    assert found.payload == payload


@pytest.mark.parametrize("seed", range(3))
def test_it_is_not_seen(seed: int) -> None:
    before = textured(seed)
    after = embed(before, payload_of(str(seed)), SECRET)
    assert psnr(before, after) >= 40
    assert psnr(before, after) >= LOUDNESS[-1] - 0.5
    assert np.abs(before.astype(int) - after).max() <= 16


def test_pure_white_stays_pure_white(photo: Picture) -> None:
    before = white_around(photo)
    after = embed(before, 99, SECRET)
    white = (before == 255).all(2)
    assert white.mean() > 0.3
    assert (after[white] == 255).all()
    found = read_watermark(after, SECRET)
    assert found is not None
    assert found.payload == 99


def test_the_same_arguments_give_the_same_pixels(photo: Picture) -> None:
    assert np.array_equal(embed(photo, 5, SECRET), embed(photo.copy(), 5, SECRET))
    assert not np.array_equal(embed(photo, 5, SECRET), embed(photo, 6, SECRET))


def test_without_the_secret_there_is_nothing_to_read(photo: Picture) -> None:
    assert read_watermark(embed(photo, 5, SECRET), b"another") is None


@pytest.mark.parametrize("seed", range(10))
def test_unmarked_pictures_hold_no_mark(seed: int) -> None:
    assert read_watermark(textured(100 + seed), SECRET) is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((500, 500, 3), 255, np.uint8),
        np.zeros((500, 500, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((3, 2000, 3), np.uint8),
        np.tile(np.array([0, 255], np.uint8), (400, 200)).repeat(3).reshape(400, 400, 3),
        np.random.default_rng(3).integers(0, 256, (400, 400, 3), dtype=np.uint8),
    ],
    ids=["white", "black", "one pixel", "line", "stripes", "noise"],
)
def test_odd_pictures_hold_no_mark(pixels: Picture) -> None:
    assert read_watermark(pixels, SECRET) is None


def test_a_white_picture_cannot_be_marked_and_stays_as_it_is() -> None:
    white = np.full((500, 500, 3), 255, np.uint8)
    assert np.array_equal(embed(white, 5, SECRET), white)


def test_a_drawn_garment_can_be_marked() -> None:
    with Image.open(io.BytesIO(garment((200, 30, 30), 1))) as image:
        pixels = np.asarray(image.convert("RGB").resize((800, 800)))
    found = read_watermark(embed(pixels, 11, SECRET), SECRET)
    assert found is not None
    assert found.payload == 11


def test_payloads_come_from_the_key() -> None:
    keys = [f"shop/{number:064x}.jpg" for number in range(2000)]
    assert len({payload_of(key) for key in keys}) == len(keys)
    assert all(0 <= payload_of(key) < 2**32 for key in keys)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share(hits: int, tries: int) -> None:
    low, high = interval(min(hits, tries), tries)
    assert 0 <= low <= min(hits, tries) / tries <= high + 1e-12 <= 1 + 1e-9
