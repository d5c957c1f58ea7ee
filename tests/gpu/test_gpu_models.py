"""The served nets on a CUDA device: like on the CPU, the same twice, whatever the company, and short of memory."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch

from models.compute.memory import is_out_of_memory, release_memory
from models.pictures import Floats, Picture
from models.product import ProductModel
from models.quality.judge import QualityModel
from models.repair.inpainting import Inpainter
from models.repair.restoration import Restorer
from models.repair.stains import StainDetector
from models.styles.transfer import StyleTransfer
from tests.support.shirts import shirt

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

COLOURS = [(170, 40, 50), (40, 90, 160), (230, 225, 215), (60, 60, 60), (90, 140, 80)]
SHIRTS = [shirt(cloth, (150, 120, 90), seed) for seed, cloth in enumerate(COLOURS)]
PHOTOS = [photo for photo, _ in SHIRTS]
MASKS = [mask for _, mask in SHIRTS]


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Of the device's memory a few hundred MB are for this process."""
    release_memory()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 300e6) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def noisy(picture: Picture, sigma: float) -> Picture:
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.asarray((picture + noise).clip(0, 255).round(), np.uint8)


def apart(first: Picture, second: Picture) -> float:
    """Mean distance in levels."""
    return float(np.abs(first.astype(np.int16) - second.astype(np.int16)).mean())


def overlap(first: Floats, second: Floats) -> float:
    both = ((first > 0.5) & (second > 0.5)).sum()
    return float(both / ((first > 0.5) | (second > 0.5)).sum())


def test_products_are_seen_as_on_the_cpu() -> None:
    here, there = (ProductModel.load(device).see(PHOTOS) for device in ("cpu", "cuda"))
    for mine, theirs in zip(here, there, strict=True):
        assert overlap(mine.mask, theirs.mask) > 0.98
        assert np.abs(mine.classes - theirs.classes).max() < 0.05
        assert np.dot(mine.features, theirs.features) > 0.99 * np.linalg.norm(mine.features) ** 2 * 0.98


def test_with_a_fixed_batch_company_changes_nothing() -> None:
    model = ProductModel.load("cuda", fixed_batch=4)
    together = model.see(PHOTOS)
    for photo, sight in zip(PHOTOS, together, strict=True):
        (alone,) = model.see([photo])
        assert np.array_equal(alone.mask, sight.mask)
        assert np.array_equal(alone.features, sight.features)


def test_styles_are_drawn_as_on_the_cpu_and_the_same_twice() -> None:
    here, there = StyleTransfer.load("cpu"), StyleTransfer.load("cuda")
    styles = list(here.styles[: len(PHOTOS)])
    drawn = there.apply(PHOTOS, styles)
    for mine, theirs, again in zip(here.apply(PHOTOS, styles), drawn, there.apply(PHOTOS, styles), strict=True):
        assert apart(mine, theirs) < 1.5
        assert np.array_equal(theirs, again)


def test_quality_is_judged_as_on_the_cpu() -> None:
    photos = [*PHOTOS, *(noisy(photo, 25) for photo in PHOTOS)]
    here, there = (QualityModel.load(device).judge(photos) for device in ("cpu", "cuda"))
    for mine, theirs in zip(here, there, strict=True):
        assert abs(mine.score - theirs.score) < 0.03
    assert min(one.score for one in there[: len(PHOTOS)]) > max(one.score for one in there[len(PHOTOS) :])


def test_repairs_are_made_as_on_the_cpu() -> None:
    hurt = [noisy(photo, 25) for photo in PHOTOS]
    here, there = (Restorer.load(device).restore(hurt) for device in ("cpu", "cuda"))
    for photo, worn, mine, theirs in zip(PHOTOS, hurt, here, there, strict=True):
        assert apart(mine.pixels, theirs.pixels) < 1
        assert apart(theirs.pixels, photo) < 0.5 * apart(worn, photo)


def test_holes_are_filled_as_on_the_cpu() -> None:
    hole = np.zeros(MASKS[0].shape, np.float32)
    cv2.circle(hole, (150, 260), 12, 1.0, -1)
    here, there = (Inpainter.load(device).fill(PHOTOS, [hole] * len(PHOTOS)) for device in ("cpu", "cuda"))
    for photo, mine, theirs in zip(PHOTOS, here, there, strict=True):
        assert apart(mine[hole > 0], theirs[hole > 0]) < 2
        assert np.array_equal(theirs[hole == 0], photo[hole == 0])


def test_stains_are_found_as_on_the_cpu() -> None:
    here, there = (StainDetector.load(device).find(PHOTOS, MASKS) for device in ("cpu", "cuda"))
    assert [one.found for one in here] == [one.found for one in there]


@pytest.mark.usefixtures("little_memory")
def test_want_of_memory_is_known_as_such_and_leaves_the_model_fit_for_less() -> None:
    model = StyleTransfer.load("cuda")
    large = [np.asarray(cv2.resize(photo, (1024, 1024)), np.uint8) for photo in PHOTOS]
    (before,) = model.apply(PHOTOS[:1], ["oil"])
    with pytest.raises(Exception) as caught:
        model.apply(large * 4, ["oil"] * len(large) * 4)
    assert is_out_of_memory(caught.value)
    release_memory()
    (after,) = model.apply(PHOTOS[:1], ["oil"])
    assert np.array_equal(before, after)
