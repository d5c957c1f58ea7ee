"""Restoration: the gate, tiles, damage, and what is learnt from it."""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.evaluate import restoration as evaluation
from models.nets.restoration import DAMAGES, RESTORATION_NET, Judged, RestorationNet, RestorationNetConfig
from models.registry.sources import WeightsError
from models.repair import restoration
from models.repair.restoration import Restorer
from models.training import loop
from models.training.degradations import (
    Damage,
    Wear,
    compressed,
    damaged,
    disc,
    enlarged_again,
    in_any_light,
    noisy,
    streak,
)
from models.training.native import load_native
from models.training.restoration import RestorationRecipe
from models.training.scenes import DataError
from tests.support.model_data import cloth, write_photos, write_weights

SMALL = RestorationNetConfig(widths=(8, 8), down=(1, 1), up=(1,))
CONFIG = {"widths": [8, 8], "down": [1, 1], "up": [1]}
CPU = torch.device("cpu")
RECIPE = RestorationRecipe(
    net=SMALL,
    side=32,
    batch=4,
    plan=loop.Plan(steps=6, learning_rate=2e-3, warmup_steps=2, average=0.9, save_every=2, validate_every=6),
)


def net_with(innocent: float) -> RestorationNet:
    """An untrained net that changes pictures, and takes a severity up to `innocent` for nothing."""
    torch.manual_seed(3)
    net = RestorationNet(SMALL)
    torch.nn.init.normal_(net.body.head.weight, std=0.3)
    net.innocent.fill_(innocent)
    return net


def restorer(innocent: float) -> Restorer:
    torch.set_num_threads(1)
    return Restorer(net_with(innocent), name="restoration", version="1", device=CPU)


def test_a_fresh_net_of_the_default_size_gives_its_input_back() -> None:
    net = RestorationNet(RestorationNetConfig())
    assert 1.5e6 < sum(parameter.numel() for parameter in net.parameters()) < 2e6
    x = torch.rand(2, 3, 48, 32)
    found, severity = net(x)
    torch.testing.assert_close(found, x)
    assert severity.shape == (2, len(DAMAGES))


def test_a_photo_that_passes_as_good_is_the_very_same() -> None:
    photo = cloth(1)
    (found,) = restorer(innocent=100.0).restore([photo])
    assert found.pixels is photo
    assert found.strength == 0
    assert set(found.severity) == set(DAMAGES)


def test_what_is_surely_damaged_is_corrected_and_strength_scales_it() -> None:
    photo, sure = cloth(1), restorer(innocent=-100.0)
    (whole,), (half,), (none,) = (sure.restore([photo], strength) for strength in (1.0, 0.5, 0.0))
    assert whole.strength == 1
    assert none.pixels is photo
    full = whole.pixels.astype(int) - photo
    assert np.abs(full).max() > 10
    inside = (whole.pixels > 0) & (whole.pixels < 255)
    assert np.abs((half.pixels.astype(int) - photo)[inside] - full[inside] / 2).max() <= 1


def test_the_correction_grows_from_nothing_at_the_gate() -> None:
    photo = cloth(1)
    severity = max(restorer(innocent=100.0).restore([photo])[0].severity.values())
    lowest = min(restorer(innocent=100.0).restore([photo])[0].severity.values())
    assert severity > lowest
    (just,) = restorer(innocent=severity - 0.03).restore([photo])
    assert just.strength == pytest.approx(0.3, abs=0.01)  # 0.03 of a ramp of 0.1


def test_a_batch_gives_the_same_pictures_as_single_calls_in_order() -> None:
    pictures = [cloth(1), cloth(2, 64, 120), cloth(3), cloth(4, 33, 47)]
    model = restorer(innocent=-100.0)
    for picture, together in zip(pictures, model.restore(pictures), strict=True):
        assert together.pixels.shape == picture.shape
        assert np.abs(model.restore([picture])[0].pixels.astype(int) - together.pixels).max() <= 1


def test_tiles_make_what_the_whole_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, model = cloth(5, 300, 260), restorer(innocent=-100.0)
    (whole,) = model.restore([photo])
    monkeypatch.setattr(restoration, "_WHOLE", 1000)
    monkeypatch.setattr(restoration, "_TILE", 96)
    (tiled,) = model.restore([photo])
    assert np.abs(whole.pixels.astype(int) - tiled.pixels).max() <= 1
    untouched = restorer(innocent=100.0).restore([photo])[0]
    assert untouched.pixels is photo


def test_a_large_photo_is_judged_by_a_few_tiles_and_seen_in_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    judge = RestorationNet.judge

    def seen(net: RestorationNet, pictures: torch.Tensor) -> Judged:
        sizes.append(pictures.shape[2] * pictures.shape[3])
        return judge(net, pictures)

    monkeypatch.setattr(RestorationNet, "judge", seen)
    photo = np.full((2600, 1900, 3), 90, np.uint8)
    assert restorer(innocent=100.0).restore([photo])[0].pixels is photo
    assert len(sizes) <= 6
    assert max(sizes) <= 750**2


@given(length=st.integers(1, 5000))
def test_tiles_cover_every_pixel_once_and_see_around_it(length: int) -> None:
    covered = 0
    for window, inner, place in restoration._spans(length):
        assert place.start == covered
        covered = place.stop
        assert window.start % 16 == 0
        assert window.start + inner.start == place.start
        assert inner.stop - inner.start == place.stop - place.start
        assert place.start - window.start == (32 if place.start else 0)
        assert window.stop - place.stop == min(32, length - place.stop)
        assert window.stop - window.start <= 1.7 * 448
    assert covered == length


def test_enlarging_doubles_the_sides_and_starts_from_cubic_steps() -> None:
    photo = cloth(2, 40, 30)
    net = net_with(100.0)
    torch.nn.init.zeros_(net.body.head.weight)
    (double,) = Restorer(net, name="r", version="1", device=CPU).enlarge([photo])
    assert np.array_equal(double, cv2.resize(photo, (60, 80), interpolation=cv2.INTER_CUBIC))


def test_tiny_uniform_and_wrong_pictures() -> None:
    model = restorer(innocent=-100.0)
    dot = np.zeros((1, 1, 3), np.uint8)
    assert model.restore([dot])[0].pixels is dot
    assert model.enlarge([dot])[0].shape == (2, 2, 3)
    assert model.restore([]) == []
    assert model.restore([np.full((64, 64, 3), 255, np.uint8)])[0].pixels.shape == (64, 64, 3)
    for wrong in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            model.restore([wrong])


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = write_weights(tmp_path, "restoration", RESTORATION_NET, net_with(0.0), CONFIG | {"widths": [8, 16]})
    with pytest.raises(WeightsError, match="does not fit"):
        Restorer.load(source=folder)


def test_damage_is_what_it_says() -> None:
    photo = np.full((64, 64, 3), 128, np.uint8)
    draw = np.random.default_rng(1)
    for _ in range(12):  # every kind of noise
        assert 8 < (noisy(photo, 10, draw).astype(float) - 128).std() < 13
    picture = cloth(3)
    errors = [np.square(compressed(picture, quality).astype(float) - picture).mean() for quality in (90, 50, 10)]
    assert errors == sorted(errors)
    assert enlarged_again(picture, 2.0).shape == picture.shape
    for kernel in (disc(3.0), streak(9.0, 0.7)):
        assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    spread = np.square(np.arange(-6, 7)) @ disc(6.0).sum(0)
    assert spread**0.5 == pytest.approx(3.0, rel=0.1)  # sigma of a disc is half of its radius


def test_damage_depends_on_the_draw_alone_and_a_share_stays_clean() -> None:
    picture, wear = cloth(3), Wear(clean=0.5)
    outcomes = [damaged(picture, wear, np.random.default_rng(seed)) for seed in range(60)]
    again = [damaged(picture, wear, np.random.default_rng(seed)) for seed in range(60)]
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(outcomes, again, strict=True))
    clean = [hurt for hurt, damage in outcomes if damage == Damage()]
    assert 15 <= len(clean) <= 45
    assert all(hurt is picture for hurt in clean)
    assert not Damage().as_severity(picture, picture).any()
    worst = Damage(noise=50, compression=0.9, blur=4).as_severity(picture, np.zeros_like(picture))
    assert (worst >= 0.9).all()
    assert in_any_light(picture, np.random.default_rng(1)).shape == picture.shape


def test_batches_depend_on_the_step_alone_and_pair_damage_with_truth(tmp_path: Path) -> None:
    task = RECIPE.task(write_photos(tmp_path / "data"), tmp_path)
    one, same, other = task.batch(3), task.batch(3), task.batch(4)
    assert torch.equal(one.damaged, same.damaged)
    assert not torch.equal(one.damaged, other.damaged)
    assert one.clean.shape == (4, 3, 32, 32)
    untouched = one.severity.eq(0).all(1)
    for i in range(4):
        assert torch.equal(one.damaged[i], one.clean[i]) == bool(untouched[i])


def test_photos_are_mapped_at_their_own_size(tmp_path: Path) -> None:
    root = write_photos(tmp_path / "data", height=70, width=90)
    photos = load_native(root, "train", tmp_path)
    assert len(photos) == 3
    stored = cv2.imread(str(root / "photos" / "train" / "hat" / "1.jpg"), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(photos.photo(1), stored)
    assert set(np.unique(photos.mask(1))) == {0, 255}
    with pytest.raises(DataError, match="no training photos"):
        load_native(None, "train", tmp_path)


def test_a_run_lowers_its_loss_sets_its_gate_and_is_served_and_measured(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    root = write_photos(tmp_path / "data")
    noise_alone = Wear(clean=0.0, single=1.0, weights=(1.0, 0.0, 0.0, 0.0), noise=(25.0, 40.0))
    plan = replace(RECIPE.plan, steps=80, learning_rate=8e-3, validate_every=80, save_every=80, clip=1.0)
    recipe = replace(RECIPE, wear=noise_alone, plan=plan)
    task = recipe.task(root, tmp_path)
    state = loop.start(task, recipe.plan, CPU)
    for _ in loop.train(task, state, recipe.plan, tmp_path / "checkpoint.pt"):
        pass
    distance = state.losses["distance"]
    gained = (np.mean(distance[:10]) - np.mean(distance[-10:])) / recipe.distance_weight * 10 / np.log(10)
    assert gained > 2, "dB"
    (_, figures) = state.figures[-1]
    assert figures["noise 25"] > 1
    innocent = state.averaged.innocent
    assert [figures[f"innocent/{name}"] for name in DAMAGES] == pytest.approx(innocent.tolist())
    assert task.samples(state.averaged, CPU).shape[2] == 3

    # It has seen nothing undamaged, so to it all photos look alike.
    innocent.zero_()
    folder = write_weights(tmp_path / "w", recipe.name, recipe.architecture, state.averaged, task.config())
    images = root / "photos" / "validation"
    measured = evaluation.run(argparse.Namespace(images=images, weights=folder, limit=2))
    assert measured["n"] == 2
    assert measured["version"] == Restorer.load(source=folder).version
    assert measured["noise_25_db"] - measured["noise_25_nlm_db"] == pytest.approx(
        measured["noise_25_gain_over_nlm"], abs=0.002
    )
    assert measured["noise_25_gain"] > 0
    with pytest.raises(ValueError, match="no photo"):
        evaluation.run(argparse.Namespace(images=tmp_path / "w", weights=folder, limit=2))
