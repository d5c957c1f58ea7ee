"""The product net as it is served: any picture in, masks and classes of the right shape out."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from models.cutout.certainty import certainty, signs
from models.cutout.learned import LearnedCutout
from models.cutout.regions import without_crumbs
from models.nets.product import PRODUCT_NET, ProductNet, ProductNetConfig
from models.nets.trunk import Trunk
from models.pictures import Picture
from models.product import ProductModel, squeezed, unbarred
from models.registry.manifest import WeightsEntry, WeightsError, write_manifest

CLASSES = ("cap", "shirt", "shoe")
SIDE = 64


@pytest.fixture(scope="module")
def net() -> ProductNet:
    torch.manual_seed(3)
    return ProductNet(ProductNetConfig(classes=len(CLASSES), trunk="lite0"))


def model(net: ProductNet, fixed_batch: int | None = None) -> ProductModel:
    return ProductModel(
        net,
        name="product",
        version="0-test",
        classes=CLASSES,
        side=SIDE,
        device=torch.device("cpu"),
        fixed_batch=fixed_batch,
    )


def written(folder: Path, net: ProductNet, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    stored = {key: tensor.contiguous() for key, tensor in net.state_dict().items()}
    body = save({key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in stored.items()})
    (folder / "product.safetensors").write_bytes(body)
    entry = WeightsEntry(
        file="product.safetensors",
        sha256=hashlib.sha256(body).hexdigest(),
        version="1-test",
        architecture=PRODUCT_NET,
        config={"classes": list(CLASSES), "trunk": "lite0", "side": SIDE, **config},
        licence="Apache-2.0",
        card="product.md",
    )
    write_manifest(folder, {"product": entry})
    return folder


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (7, 5), (533, 400), (40, 1200), (64, 64)])
def test_a_picture_of_any_shape_is_seen(net: ProductNet, shape: tuple[int, int]) -> None:
    (sight,) = model(net).see([noise(*shape)])
    assert sight.mask.dtype == np.float32
    assert 0 <= sight.mask.min() <= sight.mask.max() <= 1
    assert sight.classes.shape == (3,)
    assert sight.classes.sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(sight.features).all()


@given(st.integers(1, 3000), st.integers(1, 3000))
@settings(max_examples=60)
def test_the_part_between_the_bars_has_the_shape_of_the_frame(height: int, width: int) -> None:
    part = unbarred(np.zeros((320, 320), np.float32), (height, width))
    assert max(part.shape) == 320
    longer = max(height, width) / min(height, width)
    ratio = max(part.shape) / min(part.shape)
    wanted = max(1.0, longer / 2)
    assert ratio == pytest.approx(wanted, rel=0.02) or min(part.shape) <= 25


def test_a_long_picture_keeps_its_place_between_the_bars() -> None:
    picture = np.zeros((100, 800, 3), np.uint8)
    picture[:, 600:] = 255
    square = squeezed(picture, 64)
    inner = unbarred(np.asarray(square[..., 0] / np.float32(255), np.float32), picture.shape)
    assert inner.shape == (16, 64)
    assert inner[:, :44].max() < 0.05
    assert inner[:, 52:].min() > 0.95


def test_company_changes_nothing_where_the_batch_is_fixed(net: ProductNet) -> None:
    fixed = model(net, fixed_batch=4)
    pictures = [noise(80, 60, seed) for seed in range(6)]
    together = fixed.see(pictures)
    for picture, seen in zip(pictures, together, strict=True):
        (alone,) = fixed.see([picture])
        assert np.array_equal(alone.mask, seen.mask)
        assert np.array_equal(alone.features, seen.features)


def test_company_changes_hardly_anything_otherwise(net: ProductNet) -> None:
    free = model(net)
    pictures = [noise(80, 60, seed) for seed in range(11)]
    for picture, seen in zip(pictures, free.see(pictures), strict=True):
        (alone,) = free.see([picture])
        assert np.abs(alone.mask - seen.mask).max() < 1e-4


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(net: ProductNet, picture: Picture) -> None:
    with pytest.raises(ValueError, match="uint8"):
        model(net).see([picture])


def test_weights_come_back_as_they_were_written(net: ProductNet, tmp_path: Path) -> None:
    loaded = ProductModel.load(weights=written(tmp_path, net))
    assert (loaded.classes, loaded.side, loaded.version) == (CLASSES, SIDE, "1-test")
    (ours,), (theirs,) = model(net).see([noise(90, 70)]), loaded.see([noise(90, 70)])
    assert np.abs(ours.mask - theirs.mask).max() < 0.02


@pytest.mark.parametrize(
    "config", [{"trunk": "lite9"}, {"trunk": "lite1"}, {"classes": ["one"]}, {"wheels": 4}, {"classes": None}]
)
def test_weights_that_do_not_fit_are_refused(net: ProductNet, tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        ProductModel.load(weights=written(tmp_path, net, **config))


def test_the_side_must_suit_the_trunk(net: ProductNet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        ProductModel.load(weights=written(tmp_path, net, side=70))


@pytest.mark.parametrize(("variant", "millions"), [("lite0", 3.4), ("lite1", 4.1), ("lite2", 4.8)])
def test_trunks_have_the_sizes_of_the_paper(variant: str, millions: float) -> None:
    # 4.7, 5.4 and 6.1 million with the 1.28 million of their ImageNet classifier, which is left out.
    assert sum(one.numel() for one in Trunk(variant).parameters()) == pytest.approx(millions * 1e6, rel=0.02)
    with pytest.raises(ValueError, match="lite7"):
        Trunk("lite7")


def disk(side: int = 160, radius: int = 50) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    y, x = np.mgrid[0:side, 0:side] - side / 2
    return np.asarray(1 / (1 + np.exp((np.hypot(y, x) - radius) / 1.0)), np.float32)


def test_crumbs_go_and_pairs_stay() -> None:
    mask = disk(radius=30)
    mask[:8, :8] = 0.9
    cleaned = without_crumbs(mask)
    assert cleaned[:8, :8].max() == 0
    sure = mask >= 0.1
    assert np.array_equal(cleaned[20:, 20:][sure[20:, 20:]], mask[20:, 20:][sure[20:, 20:]])
    assert cleaned[20:, 20:][~sure[20:, 20:]].max() < 0.1
    pair = np.hstack([disk(80, 25), disk(80, 22)])
    both = without_crumbs(pair)
    assert np.array_equal(both[pair >= 0.08], pair[pair >= 0.08])
    assert np.isin(both[pair < 0.08] - pair[pair < 0.08] * (both[pair < 0.08] > 0), 0).all()


def test_a_faint_smear_goes_and_a_faint_strap_stays() -> None:
    mask = disk(radius=30)
    mask[10:16, 10:40] = 0.3
    mask[108:150, 78:82] = np.maximum(mask[108:150, 78:82], 0.3)
    cleaned = without_crumbs(mask)
    assert cleaned[:20, :45].max() < 0.01
    assert cleaned[108:150, 78:82].min() >= 0.3
    smear = np.asarray(disk() * 0.3, np.float32)
    assert np.array_equal(without_crumbs(smear), smear)


def test_doubt_lowers_the_certainty() -> None:
    clear = certainty(disk())
    faded = certainty(np.asarray(disk() * 0.62, np.float32))
    crowded = disk()
    crowded[:, :12] = 0.8
    assert clear > 0.8
    assert faded < clear
    assert certainty(crowded) < clear


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_nothing_or_everything_is_no_product(level: float) -> None:
    assert signs(np.full((64, 64), level, np.float32)) is None
    assert certainty(np.full((64, 64), level, np.float32)) == 0


def test_a_cut_out_has_the_size_of_its_photo(net: ProductNet) -> None:
    backend = LearnedCutout(model(net))
    shapes = [(1, 1), (3, 500), (533, 400), (2000, 1500)]
    for cut, shape in zip(backend.cut([noise(*shape) for shape in shapes]), shapes, strict=True):
        assert cut.alpha.shape == shape
        assert cut.alpha.dtype == np.float32
        assert 0 <= cut.alpha.min() <= cut.alpha.max() <= 1
        assert math.isfinite(cut.confidence)
