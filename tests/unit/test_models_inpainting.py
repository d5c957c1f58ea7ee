"""Inpainting: only the hole changes, whatever the size of photo and hole; and what the net learns."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.evaluate import inpainting as evaluation
from models.nets.inpainting import INPAINTING_NET, InpaintingNet, InpaintingNetConfig
from models.nets.stains import STAIN_NET, StainNet, StainNetConfig
from models.registry.sources import WeightsError
from models.repair import inpainting
from models.repair.inpainting import Inpainter, fillings
from models.training import loop
from models.training.inpainting import InpaintingRecipe, holes_like_blemishes
from tests.support.model_data import cloth, write_photos, write_weights

SMALL = InpaintingNetConfig(widths=(8, 8), down=(1, 1), up=(1,))
CONFIG = {"widths": [8, 8], "down": [1, 1], "up": [1]}
CPU = torch.device("cpu")
RECIPE = InpaintingRecipe(
    net=SMALL,
    side=48,
    batch=4,
    radius=(3.0, 8.0),
    plan=loop.Plan(steps=60, learning_rate=4e-3, warmup_steps=2, average=0.9, save_every=60, validate_every=60),
)


def inpainter(spread: float = 0.0) -> Inpainter:
    """An untrained net; with a spread it adds something to the classical filling."""
    torch.set_num_threads(1)
    torch.manual_seed(2)
    net = InpaintingNet(SMALL)
    torch.nn.init.normal_(net.body.head.weight, std=spread)
    return Inpainter(net, name="inpainting", version="1", device=CPU)


def spot(height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[top : top + side, left : left + side] = 1
    return mask


def test_only_what_is_marked_changes() -> None:
    photo = cloth(1, 200, 300)
    mask = np.maximum(spot(200, 300, 40, 50, 12), spot(200, 300, 150, 260, 20))
    (filled,) = inpainter(0.3).fill([photo], [mask])
    assert np.array_equal(filled[mask == 0], photo[mask == 0])
    assert (filled != photo)[mask > 0].mean() > 0.5


def test_nothing_marked_and_everything_marked_give_the_photo_itself() -> None:
    photo = cloth(1)
    clean = np.zeros(photo.shape[:2], np.float32)
    assert inpainter().fill([photo, photo], [clean, clean + 1])[0] is photo
    assert inpainter().fill([photo], [clean + 1])[0] is photo
    dot = np.zeros((1, 1, 3), np.uint8)
    assert inpainter().fill([dot], [np.ones((1, 1), np.float32)])[0] is dot


def test_a_stain_on_a_ramp_is_filled_with_the_ramp() -> None:
    ramp = np.repeat(np.arange(40, 200, dtype=np.uint8)[None, :, None], 120, 0).repeat(3, 2)
    mask = spot(120, 160, 50, 70, 14)
    stained = ramp.copy()
    stained[mask > 0] = 0
    (filled,) = inpainter().fill([stained], [mask])
    assert np.abs(filled.astype(int) - ramp).max() <= 6


def test_a_soft_mask_fades_the_filling_in() -> None:
    photo, half = np.full((80, 80, 3), 200, np.uint8), spot(80, 80, 30, 30, 16) / 2
    photo[half > 0] = 100
    (filled,) = inpainter().fill([photo], [half])
    assert np.abs(filled[half > 0].astype(int) - 150).max() <= 1


def test_a_batch_is_filled_as_single_photos_are() -> None:
    photos = [cloth(1, 90, 120), cloth(2, 64, 64)]
    masks = [spot(90, 120, 40, 40, 10), spot(64, 64, 5, 50, 14)]
    model = inpainter(0.3)
    for photo, mask, together in zip(photos, masks, model.fill(photos, masks), strict=True):
        assert np.array_equal(model.fill([photo], [mask])[0], together)


def test_what_lies_far_from_a_hole_does_not_matter() -> None:
    photo, mask = cloth(3, 400, 500), spot(400, 500, 60, 60, 20)
    other = photo.copy()
    other[300:] = 0
    model = inpainter(0.3)
    here = np.s_[:200, :200]
    assert np.array_equal(model.fill([photo], [mask])[0][here], model.fill([other], [mask])[0][here])


def test_a_large_hole_is_filled_at_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    forward = InpaintingNet.forward
    monkeypatch.setattr(inpainting, "_LONGEST", 128)

    def seen(net: InpaintingNet, carried: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(carried.shape[2:]))
        return forward(net, carried, *more)

    monkeypatch.setattr(InpaintingNet, "forward", seen)
    photo, mask = np.full((500, 600, 3), 180, np.uint8), spot(500, 600, 100, 100, 260)
    photo[mask > 0] = 20
    (filled,) = inpainter().fill([photo], [mask])
    assert sizes
    assert max(max(size) for size in sizes) <= 128
    assert np.abs(filled.astype(int) - 180).max() <= 2


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    photo = cloth(1)
    for picture, mask in (
        (photo, np.zeros((3, 3), np.float32)),
        (photo.astype(np.float32), np.zeros(photo.shape[:2], np.float32)),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            inpainter().fill([picture], [mask])
    with pytest.raises(ValueError, match="1 pictures but 0 masks"):
        inpainter().fill([photo], [])
    folder = write_weights(tmp_path, "inpainting", INPAINTING_NET, InpaintingNet(SMALL), CONFIG | {"up": [2]})
    with pytest.raises(WeightsError, match="does not fit"):
        Inpainter.load(source=folder)


@given(hole=arrays(np.bool_, st.tuples(st.integers(1, 120), st.integers(1, 120)), fill=st.just(False)))
def test_every_marked_pixel_belongs_to_one_window(hole: np.ndarray) -> None:
    count = np.zeros(hole.shape, int)
    for window, own in inpainting._windows(hole):
        count[window] += own
    assert np.array_equal(count, hole.astype(int))


def test_both_fillings_keep_what_is_known() -> None:
    photo, hole = cloth(4, 61, 47), spot(61, 47, 20, 10, 21) > 0
    for filled in fillings(photo, hole):
        assert np.array_equal(filled[~hole], photo[~hole].astype(np.float32))
        assert filled.min() >= 0
        assert filled.max() <= 255.01
        assert filled[hole].std() > 0
    alone = np.ones((61, 47), bool)
    alone[3, 3] = False
    assert np.allclose(fillings(photo, alone)[1], photo[3, 3], atol=0.01)


def test_holes_and_batches_depend_on_the_draw_alone(tmp_path: Path) -> None:
    for seed in range(20):
        hole, again = (holes_like_blemishes((64, 96), (2.0, 40.0), np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(hole, again)
        assert 8 <= hole.sum() <= 0.6 * hole.size
    task = RECIPE.task(write_photos(tmp_path / "data"), tmp_path)
    one, same, other = task.batch(2), task.batch(2), task.batch(3)
    assert torch.equal(one.holes, same.holes)
    assert torch.equal(one.carried, same.carried)
    assert not torch.equal(one.truth, other.truth)
    known = (1 - one.holes).bool().expand_as(one.truth)
    torch.testing.assert_close(one.carried[known], one.truth[known])


def test_a_run_lowers_its_loss_and_is_served_and_measured(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    root = write_photos(tmp_path / "data")
    task = RECIPE.task(root, tmp_path)
    state = loop.start(task, RECIPE.plan, CPU)
    for _ in loop.train(task, state, RECIPE.plan, tmp_path / "checkpoint.pt"):
        pass
    distance = state.losses["distance"]
    assert np.mean(distance[-20:]) < np.mean(distance[:20])
    assert set(state.figures[-1][1]) == {"psnr", "gain", "better", "n"}
    assert task.samples(state.averaged, CPU).shape[2] == 3

    folder = write_weights(tmp_path / "w", "inpainting", INPAINTING_NET, state.averaged, task.config())
    small = StainNetConfig(widths=(8, 8), down=(1, 1), up=(1,))
    write_weights(folder, "stains", STAIN_NET, StainNet(small), CONFIG)
    options = argparse.Namespace(
        images=root / "photos" / "validation", masks=root / "masks" / "validation", weights=folder, limit=0
    )
    figures = evaluation.run(options)
    assert figures["n"] == 3
    assert figures["outside_unchanged"] == 1
    # For each photo the better method counts, which is as good as the better one on the whole, or better.
    assert figures["gain"] <= figures["psnr"] - max(figures["psnr_ns"], figures["psnr_telea"]) + 0.002
    assert figures["stains_n"] == 3
    assert 0 <= figures["stains_false"] <= 1
    without = evaluation.run(replace_masks(options))
    assert "stains_n" not in without


def replace_masks(options: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**(vars(options) | {"masks": None, "limit": 1}))


def test_the_net_adds_nothing_outside_the_holes() -> None:
    torch.manual_seed(1)
    net = InpaintingNet(replace(SMALL, widths=(8, 16)))
    torch.nn.init.normal_(net.body.head.weight, std=0.3)
    carried, smooth = torch.rand(2, 1, 3, 16, 16)
    holes = torch.zeros(1, 1, 16, 16)
    holes[..., 4:9, 4:9] = 1
    found = net(carried, smooth, holes)
    mean = (carried + smooth) / 2
    assert torch.equal(found[..., :4, :], mean[..., :4, :])
    assert not torch.equal(found[..., 4:9, 4:9], mean[..., 4:9, 4:9])
