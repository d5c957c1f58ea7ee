"""Stains: what is drawn is what is meant, proposals stay proposals, and the net learns to find them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.nets.stains import STAIN_NET, StainNet, StainNetConfig
from models.registry.sources import WeightsError
from models.repair.stains import SIDE, StainDetector
from models.training import loop, stains
from models.training.blemishes import KINDS, blemished, blot, scratch
from models.training.stains import StainRecipe, printed, stained
from tests.support.model_data import cloth, product_of, write_photos, write_weights

SMALL = StainNetConfig(widths=(8, 8), down=(1, 1), up=(1,))
CONFIG = {"widths": [8, 8], "down": [1, 1], "up": [1]}
CPU = torch.device("cpu")
HEIGHT, WIDTH = 200, 160
PRODUCT = (product_of(HEIGHT, WIDTH) / 255).astype(np.float32)


def looking_for_white(innocent: float) -> StainDetector:
    """A net made by hand: its logit is high where the picture is white."""
    torch.set_num_threads(1)
    net = StainNet(SMALL)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        net.body.stem.weight[0, 0:12, 1, 1] = 1.0  # all colours of a square of 2 px, -0.5 to 0.5 each
        net.body.head.weight[:, 0, 1, 1] = 2.0
        net.body.head.bias.fill_(-4.0)  # white: 2 * 6 - 4 = 8; grey: -4
    net.innocent.fill_(innocent)
    return StainDetector(net, name="stains", version="1", device=CPU)


def with_spot(side: int = 16) -> np.ndarray:
    photo = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    photo[90 : 90 + side, 60 : 60 + side] = 255
    return photo


def test_a_stain_is_marked_where_it_lies_and_a_little_beyond() -> None:
    (found,) = looking_for_white(0.0).find([with_spot()], [PRODUCT])
    assert found.found
    assert found.score > 0.9
    true = np.zeros((HEIGHT, WIDTH), bool)
    true[90:106, 60:76] = True
    assert found.mask[true].min() > 0.99
    beyond = np.zeros_like(true)
    beyond[80:116, 50:86] = True
    assert not found.mask[~beyond].any()
    assert 0 <= found.mask.min() <= found.mask.max() <= 1


def test_below_the_level_nothing_is_proposed_and_the_score_says_so() -> None:
    quiet, loud = looking_for_white(9.0), looking_for_white(0.0)
    (found,) = quiet.find([with_spot()], [PRODUCT])
    assert not found.found
    assert found.score < 0.5
    plain = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    assert [one.found for one in loud.find([plain, with_spot(), plain], [PRODUCT] * 3)] == [False, True, False]


def test_only_the_product_is_looked_at() -> None:
    photo = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    photo[:20, :20] = 255
    (found,) = looking_for_white(0.0).find([photo], [PRODUCT])
    assert not found.found
    (nowhere,) = looking_for_white(0.0).find([with_spot()], [np.zeros_like(PRODUCT)])
    assert not nowhere.found
    dot = np.zeros((1, 1, 3), np.uint8)
    assert not looking_for_white(0.0).find([dot], [np.ones((1, 1), np.float32)])[0].found


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        looking_for_white(0.0).find([with_spot()], [PRODUCT[:5]])
    folder = write_weights(tmp_path, "stains", STAIN_NET, StainNet(SMALL), CONFIG | {"down": [1]})
    with pytest.raises(WeightsError, match="does not fit"):
        StainDetector.load(source=folder)


def test_shapes_lie_where_they_should() -> None:
    for seed in range(10):
        draw = np.random.default_rng(seed)
        spill = blot((100, 120), (70, 40), 12, draw)
        assert spill.shape == (100, 120)
        assert 0 <= spill.min() <= spill.max() <= 1
        assert spill[30:50, 60:80].max() > 0.5
        line = scratch((100, 120), (70, 40), 40, draw)
        assert 0.002 < (line > 0.3).mean() < 0.04
        assert line[30:50, 60:80].max() > 0.5


def test_every_kind_is_drawn_on_the_product_alone_and_can_be_seen() -> None:
    photo, kinds = cloth(2, HEIGHT, WIDTH), set()
    for seed in range(80):
        blemish = blemished(photo, PRODUCT, np.random.default_rng(seed))
        if blemish is None:
            continue
        kinds.add(blemish.kind)
        assert not blemish.mask[PRODUCT == 0].any()
        far = PRODUCT == 0
        far[HEIGHT // 6 - 12 : -HEIGHT // 6 + 12, WIDTH // 6 - 12 : -WIDTH // 6 + 12] = False
        assert np.array_equal(blemish.picture[far], photo[far])
        changed = np.abs(blemish.picture.astype(int) - photo).max(-1)
        assert changed[blemish.mask > 0.5].mean() > 12
        again = blemished(photo, PRODUCT, np.random.default_rng(seed))
        assert again is not None
        assert np.array_equal(again.picture, blemish.picture)
    assert kinds == set(KINDS)
    assert blemished(photo, np.zeros_like(PRODUCT), np.random.default_rng(1)) is None


def test_photos_with_prints_count_as_clean() -> None:
    photo = cloth(2, HEIGHT, WIDTH)
    for seed in range(8):
        changed = (printed(photo, PRODUCT, np.random.default_rng(seed)) != photo).any(-1)
        assert not changed[PRODUCT == 0].any()
        assert changed.any()
    picture, mask = stained(photo, PRODUCT, np.random.default_rng(1))
    assert mask.max() > 0.5
    assert not np.array_equal(picture, photo)
    untouched, nothing = stained(photo, np.zeros_like(PRODUCT), np.random.default_rng(1))
    assert untouched is photo
    assert not nothing.any()


def test_a_run_lowers_its_loss_sets_its_level_and_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(stains, "SIDE", 96)
    plan = loop.Plan(steps=16, learning_rate=5e-3, warmup_steps=2, average=0.8, save_every=16, validate_every=16)
    recipe = replace(StainRecipe(), net=SMALL, stored=120, batch=3, plan=plan)
    task = recipe.task(write_photos(tmp_path / "data", count=10, height=120, width=100), tmp_path)
    one, same = task.batch(1), task.batch(1)
    assert torch.equal(one.pictures, same.pictures)
    assert torch.equal(one.stains, same.stains)
    state = loop.start(task, plan, CPU)
    for _ in loop.train(task, state, plan, tmp_path / "checkpoint.pt"):
        pass
    losses = np.sum([state.losses[name] for name in ("places", "overlap", "photo")], 0)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    (_, figures) = state.figures[-1]
    assert figures["n"] == 10
    assert figures["level"] == pytest.approx(float(state.averaged.innocent))
    assert task.samples(state.averaged, CPU).shape[0] == 3 * 96
    folder = write_weights(tmp_path / "w", "stains", STAIN_NET, state.averaged, task.config())
    (found,) = StainDetector.load(source=folder).find([cloth(3)], [np.ones((96, 80), np.float32)])
    assert found.mask.shape == (96, 80)
    assert SIDE % StainNetConfig().stride == 0
