"""The perceptual hash: near for near-duplicates, far for others."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serve.images.phash import hamming, phash
from serve.interfaces import Picture
from tests.support.pictures import saved

STEADY = settings(deadline=None, derandomize=True)
HASH = st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}")


def scene(seed: int, side: int = 256) -> Picture:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("seed", range(5))
def test_small_changes_move_few_bits(seed: int) -> None:
    original = scene(seed)
    image = Image.fromarray(original)
    squeezed = np.asarray(Image.open(io.BytesIO(saved(image, "JPEG", quality=60))))
    smaller = np.asarray(image.resize((128, 128), Image.Resampling.LANCZOS))
    brighter = np.clip(original.astype(int) + 8, 0, 255).astype(np.uint8)
    for changed in (squeezed, smaller, brighter):
        assert hamming(phash(original), phash(changed)) <= 6


def test_different_pictures_are_far_apart() -> None:
    hashes = [phash(scene(seed)) for seed in range(12)]
    distances = [hamming(one, other) for number, one in enumerate(hashes) for other in hashes[:number]]
    assert min(distances) >= 14
    assert 26 <= float(np.mean(distances)) <= 38  # unrelated hashes differ in half of the bits


def test_the_hash_is_fixed() -> None:
    """Hashes are stored for years: the same picture must keep its hash, up to rounding in another Pillow."""
    y, x = np.mgrid[0:200, 0:200]
    waves = 127 + 60 * np.sin(x / 13 + y / 47) + 60 * np.cos(y / 17 - x / 29)
    picture = np.repeat(waves.astype(np.uint8)[..., None], 3, axis=2)
    assert hamming(phash(picture), "c7ecc8e2b117b816") <= 1
    assert phash(np.full((50, 70, 3), 255, np.uint8)) == phash(np.full((90, 20, 3), 255, np.uint8))


@given(HASH, HASH, HASH)
@STEADY
def test_hamming_is_a_distance(one: str, two: str, three: str) -> None:
    assert hamming(one, one) == 0
    assert hamming(one, two) == hamming(two, one) <= 64
    assert hamming(one, three) <= hamming(one, two) + hamming(two, three)
    assert (hamming(one, two) == 0) == (one == two)
