"""What the style net learns from, and a run of its recipe: windows, crops, figures through the served class."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from models.losses import gradient_difference, multiscale_dissimilarity, psnr, ssim
from models.styles.filters import FILTERS
from models.styles.textures import sheet, textures
from models.styles.transfer import StyleTransfer
from models.training.loop import Plan
from models.training.measure import measure, teach
from models.training.record import read_record
from models.training.run import Settings, execute
from models.training.scenes import DataError, find_samples, render_window
from models.training.style import StyleRecipe, StyleTask
from models.training.windows import WindowPlan, fingerprint, load_windows

STYLES = ("pencil", "poster", "crayon")
RECIPE = StyleRecipe(
    styles=STYLES,
    width=4,
    blocks=1,
    detail=4,
    windows=3,
    validation_windows=2,
    window=64,
    crops=2,
    crop=48,
    rim=4,
    plan=Plan(steps=5, learning_rate=2e-3, save_every=2, validate_every=3, warmup_steps=2, average=0.5),
)
WINDOWS = WindowPlan(styles=STYLES, count=3, side=64, seed=7)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four photos of a coloured square with masks; the last mask is not trusted."""
    torch.set_num_threads(1)
    root = tmp_path / "data"
    rows = []
    for split in ("train", "validation"):
        (root / "photos" / split / "hat").mkdir(parents=True)
        (root / "masks" / split / "hat").mkdir(parents=True)
        for i in range(2):
            photo = np.full((60, 40, 3), 30 * i + 40, np.uint8)
            photo[15:45, 10:30] = (40, 90 + 40 * i, 200)
            mask = np.zeros((60, 40), np.uint8)
            mask[15:45, 10:30] = 255
            cv2.imwrite(str(root / "photos" / split / "hat" / f"{i}.jpg"), photo)
            cv2.imwrite(str(root / "masks" / split / "hat" / f"{i}.png"), mask)
            rows.append([f"{split}/hat/{i}.png", "yes" if i == 0 or split == "train" else "no"])
    with (root / "masks" / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["mask", "trusted"], *rows])
    return root


@pytest.fixture
def task(data: Path, tmp_path: Path) -> StyleTask:
    return RECIPE.task(data, tmp_path / "cache")


def test_the_recipe_teaches_every_filter_there_is() -> None:
    assert StyleRecipe().styles == tuple(FILTERS)


def test_a_run_leaves_weights_that_can_be_served(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    execute(RECIPE, Settings(out=out, data=data, cache=tmp_path / "cache", threads=1), Console(quiet=True))
    model = StyleTransfer.load(weights=out / "weights")
    assert model.styles == STYLES
    run = read_record(out)
    assert model.version == run["weights"]["version"]
    assert {"psnr_db", "ssim", "ssim_blurred", "white_kept", "n", "psnr_db/pencil", "ssim/poster"} <= set(
        run["figures"][-1]
    )
    # Three windows for each of three styles are not there: two, each as it is, as taught, as learnt.
    assert cv2.imread(str(out / "samples" / "step-000005.png")).shape == (3 * 64, 2 * 3 * 64, 3)
    card = (out / "weights" / "style.md").read_text("utf-8")
    assert "| pencil |" in card
    assert "Nothing was written" not in card


def test_windows_are_drawn_once_and_known_by_what_they_show(data: Path, tmp_path: Path) -> None:
    samples, cache = find_samples(data, "train"), tmp_path / "cache"
    first = load_windows(WINDOWS, samples, cache)
    (path,) = cache.glob("*.npy")
    before = path.stat().st_mtime_ns
    again = load_windows(WINDOWS, samples, cache)
    assert path.stat().st_mtime_ns == before
    np.testing.assert_array_equal(first.targets, again.targets)
    np.testing.assert_array_equal(first.origins, again.origins)
    assert not list(cache.glob("*.partial"))
    changed = [replace(WINDOWS, seed=8), replace(WINDOWS, styles=STYLES[:2]), replace(WINDOWS, count=2)]
    names = {fingerprint(plan, samples) for plan in (WINDOWS, *changed)} | {fingerprint(WINDOWS, samples[:1])}
    assert len(names) == 5


def test_a_crop_meets_the_textures_that_its_teacher_met(task: StyleTask) -> None:
    batch = task.batch(3)
    assert batch.pictures.shape == batch.targets.shape == (2, 3, 48, 48)
    for place, style in enumerate(batch.style.tolist()):
        found = [
            (row, column)
            for window in range(3)
            for row in range(17)
            for column in range(17)
            if torch.equal(
                torch.from_numpy(
                    textures(
                        48,
                        48,
                        (int(task.train.origins[window, 0]) + row, int(task.train.origins[window, 1]) + column),
                        sheet(STYLES[style]),
                    )
                ).permute(2, 0, 1),
                batch.textures[place],
            )
            and np.array_equal(
                (batch.targets[place].permute(1, 2, 0) * 255).round().byte().numpy(),
                task.train.targets[window, style][row : row + 48, column : column + 48],
            )
        ]
        assert found


def test_batches_depend_on_the_step_alone_and_every_style_takes_its_turn(task: StyleTask) -> None:
    one, same, other = task.batch(4), task.batch(4), task.batch(5)
    assert torch.equal(one.targets, same.targets)
    assert not torch.equal(one.pictures, other.pictures)
    dealt = torch.cat([task.batch(step).style for step in range(3)]).tolist()
    assert sorted(dealt[:3]) == sorted(dealt[3:]) == [0, 1, 2]


def test_every_parameter_learns_and_a_styles_own_faster(task: StyleTask) -> None:
    groups = {group.rate: group.parameters for group in task.groups()}
    assert set(groups) == {1.0, 2.0, 10.0}
    assert sum(p.numel() for group in groups.values() for p in group) == sum(p.numel() for p in task.net.parameters())


def test_figures_are_those_of_the_drawing(task: StyleTask) -> None:
    class Copyist:
        styles = ("pencil",)

        def apply(self, pictures: list, styles: list) -> list:
            return [FILTERS[style](picture, (0, 0)) for picture, style in zip(pictures, styles, strict=True)]

    figures = measure(Copyist(), teach(task.validation.pictures, ("pencil",)))
    assert figures["ssim/pencil"] == figures["ssim_blurred/pencil"] == pytest.approx(1.0, abs=1e-4)
    assert figures["psnr_db/pencil"] == 100
    assert figures["n"] == 2


def test_only_trusted_photos_are_used(data: Path) -> None:
    assert len(find_samples(data, "train")) == 2
    assert [sample.photo.name for sample in find_samples(data, "validation")] == ["0.jpg"]
    with pytest.raises(DataError, match="no trusted photo of the split 'test'"):
        find_samples(data, "test")
    with pytest.raises(DataError, match="--data DIR"):
        RECIPE.task(None, data)


def test_a_cut_out_lies_on_a_light_background(data: Path) -> None:
    sample = find_samples(data, "train")[0]
    window = render_window(sample, 900, np.random.default_rng(1), cut_out=True)
    assert window.shape == (900, 900, 3)
    assert np.quantile(window.min(axis=2), 0.99) > 180


def test_losses_against_values_worked_out_by_hand() -> None:
    x = torch.full((1, 3, 32, 32), 0.5)
    assert psnr(x, x + 0.1).item() == pytest.approx(20.0, abs=1e-3)  # -10 log10(0.01)
    assert ssim(x, x).item() == pytest.approx(1.0)
    assert multiscale_dissimilarity(x, x).item() == pytest.approx(0.0, abs=1e-6)
    assert gradient_difference(x, x + 0.2).item() == pytest.approx(0.0, abs=1e-6)
    ramp = torch.arange(32) * 0.01
    assert gradient_difference(x, x + ramp).item() == pytest.approx(0.01, abs=1e-4)
