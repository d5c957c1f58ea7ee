"""What the quality net is taught and how it is measured."""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluate import quality as evaluate
from models.evaluate.unseen import UNSEEN
from models.pictures import Picture
from models.quality.judge import Judgement, View
from models.training.composites import badly_cut, composed_pair
from models.training.distortions import LEVELS, TRAINED
from models.training.ladders import NAMELESS, ladder, ranking, retold
from models.training.loop import Plan, start, train
from models.training.quality import NONE, QualityRecipe, QualityTask
from models.training.scenes import DataError
from tests.support.quality_weights import WIDTHS, write_weights

ALL = {**TRAINED, **UNSEEN}
VIEW = View(side=64, crops=2, sketch=32)
RECIPE = QualityRecipe(
    widths=WIDTHS,
    view=VIEW,
    groups=2,
    further=4,
    composites=2,
    validation_composites=1,
    validation_photos=2,
    plan=Plan(steps=2, learning_rate=1e-3, warmup_steps=1, average=0.9, save_every=10, validate_every=10),
)


def photo(seed: int = 0, height: int = 160, width: int = 120) -> tuple[Picture, np.ndarray]:
    """A striped cloth with a seam on a soft floor, and its mask."""
    draw = np.random.default_rng(seed)
    floor = cv2.resize(draw.uniform(90, 190, (4, 3, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:height, :width]
    stripes = 120 + 60 * np.sin((x + 0.3 * y) / 3.0)[..., None] * draw.uniform(0.3, 1, 3)
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 3, height // 3), 20, 0, 360, 255, -1)
    mixed = np.where(mask[..., None] > 0, stripes, floor) + draw.normal(0, 2, floor.shape)
    return np.clip(mixed, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    root, rows = tmp_path_factory.mktemp("data"), []
    for split in ("train", "validation"):
        for part in ("photos", "masks"):
            (root / part / split / "hat").mkdir(parents=True)
        for i in range(3):
            picture, mask = photo(i)
            cv2.imwrite(str(root / "photos" / split / "hat" / f"{i}.jpg"), picture[..., ::-1])
            cv2.imwrite(str(root / "masks" / split / "hat" / f"{i}.png"), mask)
            rows.append([f"{split}/hat/{i}.png", "yes"])
    with (root / "masks" / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["mask", "trusted"], *rows])
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_nothing_that_is_measured_as_unseen_is_trained_on() -> None:
    assert len(TRAINED) == 12
    assert not set(TRAINED) & set(UNSEEN)
    assert not set(TRAINED.values()) & set(UNSEEN.values())


@pytest.mark.parametrize("name", ALL)
def test_every_level_is_further_from_the_photo(name: str) -> None:
    picture, _ = photo(1)
    before = picture.copy()
    away = []
    for level in LEVELS:
        damaged = ALL[name](picture, level, np.random.default_rng(3))
        assert (damaged.shape, damaged.dtype) == (picture.shape, np.uint8)
        assert np.array_equal(damaged, ALL[name](picture, level, np.random.default_rng(3)))
        away.append(float(((damaged.astype(float) - picture) ** 2).mean()))
    assert np.array_equal(picture, before)
    assert all(better < worse for better, worse in zip([0.0, *away], away, strict=False)), away


@pytest.mark.parametrize("name", TRAINED)
def test_small_strengths_are_harmless_and_odd_shapes_survive(name: str) -> None:
    picture, _ = photo(2)
    weak = TRAINED[name](picture, 0.02, np.random.default_rng(0)).astype(float)
    assert abs(weak - picture).mean() < 12
    for shape in ((1, 40), (33, 1)):
        part = picture[: shape[0], : shape[1]]
        assert TRAINED[name](part, 1.0, np.random.default_rng(0)).shape == part.shape


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]))
def test_a_ladder_goes_from_good_to_bad(seed: int, double: float) -> None:
    picture, mask = photo(seed % 5, 100, 90)
    soft = (mask / 255).astype(np.float32)
    rungs = ladder(picture, soft, VIEW, double, np.random.default_rng(seed))
    again = ladder(picture, soft, VIEW, double, np.random.default_rng(seed))
    damages = [rung.damage for rung in rungs]
    assert damages[0] == 0 < damages[1] < damages[2] <= 1
    assert rungs[0].type == 0 < rungs[1].type <= len(TRAINED)
    assert rungs[2].type == (NAMELESS if double else rungs[1].type)
    for one, other in zip(rungs, again, strict=True):
        assert np.array_equal(one.view.crops, other.view.crops)
        assert one.view.crops.shape == (2, 64, 64, 3)
    assert not np.array_equal(rungs[0].view.crops, rungs[2].view.crops)


def test_ranking_asks_for_distance_in_proportion_to_damage() -> None:
    damage = torch.tensor([0.0, 0.2, 1.0, 0.0, 0.5, 0.6])
    assert ranking(-4 * damage, damage, 4.0).item() == pytest.approx(0, abs=1e-6)
    assert ranking(-9 * damage, damage, 4.0).item() == 0
    # Equal scores lack margin times distance: 4 * (.2 + 1 + .8 + .5 + .6 + .1) / 6.
    assert ranking(torch.ones(6), damage, 4.0).item() == pytest.approx(4 * 3.2 / 6)
    # One pair the wrong way round lacks its own distance too.
    swapped = torch.tensor([0.0, -4.0, -0.8, 0.0, -2.0, -2.4])
    assert ranking(swapped, damage, 4.0).item() == pytest.approx((3.2 + 3.2 + 3.2) / 6, rel=1e-5)


def test_a_bad_cut_is_another_cut() -> None:
    _, mask = photo(0)
    alpha = (mask / 255).astype(np.float32)
    for seed in range(12):
        bad = badly_cut(alpha, np.random.default_rng(seed))
        assert bad.shape == alpha.shape
        assert 0 <= bad.min() <= bad.max() <= 1 + 1e-6
        assert abs(bad - alpha).mean() > 0.002
    empty = np.zeros_like(alpha)
    assert np.array_equal(badly_cut(empty, np.random.default_rng(0)), empty)


def test_both_composites_have_one_ground() -> None:
    picture, mask = photo(0)
    good, bad = composed_pair(picture, (mask / 255).astype(np.float32), (1, 2))
    assert good.pixels.shape == bad.pixels.shape
    free = (good.mask < 0.01) & (bad.mask < 0.01)
    assert free.any()
    assert np.median(abs(good.pixels.astype(int) - bad.pixels)[free]) <= 4


def test_photo_and_composite_get_the_same_past() -> None:
    picture, mask = photo(3)
    alpha = (mask / 255).astype(np.float32)
    for is_photo in (True, False):
        one, other = (retold(picture, alpha, VIEW, np.random.default_rng(5), photo=is_photo) for _ in range(2))
        assert one.crops.shape == (2, 64, 64, 3)
        assert np.array_equal(one.crops, other.crops)


def test_a_step_sees_the_same_every_time_and_no_other_does(data: Path, cache: Path) -> None:
    task = RECIPE.task(data, cache)
    again = RECIPE.task(data, cache)
    one, same, next_one = task.batch(3), again.batch(3), task.batch(4)
    assert torch.equal(one.crops, same.crops)
    assert torch.equal(one.sketches, same.sketches)
    assert not torch.equal(one.crops, next_one.crops)
    assert one.crops.shape == (3 * 2 + 4, 2, 3, 64, 64)
    assert one.realism.tolist() == [0, 1, 0.5, 1]
    assert one.damage.view(-1, 3)[:, 0].tolist() == [0, 0]


def test_it_learns_and_shows_what_it_learnt(data: Path, cache: Path, tmp_path: Path) -> None:
    task: QualityTask = RECIPE.task(data, cache)
    state = start(task, RECIPE.plan, torch.device("cpu"))
    before = state.net.score.weight.clone()
    steps = [seen.step for seen in train(task, state, RECIPE.plan, tmp_path / "checkpoint.pt")]
    assert steps[-1] == 2
    assert not torch.equal(before, state.net.score.weight)
    assert set(state.losses) == {"order", "score", "severity", "type", "realism"}
    assert all(np.isfinite(values).all() for values in state.losses.values())
    (_, figures) = state.figures[-1]
    assert set(figures) >= {"order", "severity_srcc", "type_accuracy", "clean_p5", "realism_auc", "cut_auc"}
    assert task.samples(state.averaged, torch.device("cpu")).shape == (12 * 64, 6 * 64, 3)
    assert task.config()["types"][0] == NONE


def test_what_it_sees_again_and_again_it_learns(data: Path, cache: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, widths=(8, 16, 16, 16), plan=replace(RECIPE.plan, steps=25, learning_rate=5e-3))
    task = recipe.task(data, cache)
    batch = task.batch(0)
    task.batch = lambda _: batch
    state = start(task, recipe.plan, torch.device("cpu"))
    task.validate = lambda *_: {}
    *_, state = train(task, state, recipe.plan, tmp_path / "checkpoint.pt")
    # Score and realism are entropies of soft targets: far above zero at their best.
    for name, share in (("order", 0.5), ("type", 0.6), ("severity", 0.6), ("score", 0.9), ("realism", 0.8)):
        assert np.mean(state.losses[name][-3:]) < share * np.mean(state.losses[name][:3]), name


def test_without_photos_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data"):
        RECIPE.task(tmp_path, tmp_path)


def test_the_card_tells_everything() -> None:
    assert all(RECIPE.card()[section].strip() for section in ("what", "data", "limits", "use"))


def judged(score: float, kind: str) -> Judgement:
    return Judgement(score=score, severity=1 - score, type=kind, probability=1, realism=1, judged=True)


def test_figures_of_a_judge_who_is_always_right_and_of_one_who_is_always_wrong() -> None:
    right = [judged(1 - level, "blur" if level else NONE) for level in (0.0, *LEVELS)]
    found = evaluate.figures({"blur": [right], "noise": []}, {"haze": [right]})
    assert found["pairwise_unseen"] == found["pairwise_trained"] == found["severity_srcc"] == 1
    assert found["type_accuracy"] == found["clean_called_clean"] == found["clean_best"] == 1
    assert found["score_by_level"] == [1, 0.8, 0.6, 0.4, 0.2, 0]
    assert (found["below"]["0.5"], found["below"]["0.7"]) == ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1])
    wrong = [judged(level, "noise") for level in (0.0, *LEVELS)]
    found = evaluate.figures({"blur": [wrong], "noise": []}, {"haze": [wrong, right]})
    assert (found["pairwise_unseen"], found["pairwise_trained"], found["severity_srcc"]) == (0.5, 0, -1)
    assert (found["type_accuracy"], found["clean_called_clean"], found["clean_best"]) == (0, 0, 0)


def test_pairs_with_the_undamaged_photo_are_told_apart() -> None:
    scores = [0.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    found = evaluate.figures({"blur": [[judged(score, "blur") for score in scores]]}, {})
    assert found["pairwise_trained"] == round(10 / 15, 4)
    assert found["pairwise_trained_damaged"] == 1
    assert found["pairwise_trained_neighbours"] == 0.8


def test_the_figures_come_from_the_command(data: Path, tmp_path: Path) -> None:
    folder = write_weights(tmp_path)
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    images, masks = str(data / "photos" / "validation"), str(data / "masks" / "validation")
    common = ["--weights", str(folder), "--images", images, "--kinds", "3", "--limit", "2"]
    found = evaluate.run(parser.parse_args([*common, "--masks", masks]))
    assert found["n"] == 2
    assert 0 <= found["pairwise_unseen"] <= 1
    assert set(found["pairwise_by_kind"]) == {*list(TRAINED)[:6], *list(UNSEEN)[:6]}
    assert 0 <= found["realism_auc"] <= 1
    with pytest.raises(ValueError, match="no photo"):
        evaluate.run(parser.parse_args(["--weights", str(folder), "--images", str(folder)]))
