"""Training: seeded, resumable, and it leaves what it promises."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from models.losses import gradient_difference, multiscale_dissimilarity, psnr, ssim
from models.style_transfer import StyleTransfer
from models.training import recipes, trainer
from models.training.__main__ import app
from models.training.data import StyleWindows, draw_batch, load_windows, make_windows, save_windows
from models.training.run import StyleRun
from models.training.scenes import DataError, find_samples, render_window

RECIPE = replace(
    recipes.style(),
    styles=("pencil", "poster"),
    width=4,
    blocks=1,
    detail=4,
    windows=3,
    validation_windows=2,
    window=64,
    crop=48,
    rim=4,
    steps=5,
    save_every=2,
    warmup_steps=2,
)


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
def windows(data: Path) -> StyleWindows:
    return make_windows(RECIPE, find_samples(data, "train"), RECIPE.windows, lambda: None)


def run_in(out: Path, data: Path | None) -> StyleRun:
    console = Console(file=io.StringIO())
    return StyleRun(recipe=RECIPE, data=data, out=out, device=torch.device("cpu"), console=console)


def test_a_killed_run_goes_on_to_the_same_weights(windows: StyleWindows, tmp_path: Path) -> None:
    device = torch.device("cpu")
    straight = trainer.start(RECIPE, device)
    losses = list(trainer.train(straight, RECIPE, windows, tmp_path / "straight.pt"))
    assert len(losses) == RECIPE.steps

    killed = trainer.start(RECIPE, device)
    steps = trainer.train(killed, RECIPE, windows, tmp_path / "killed.pt")
    for _ in range(3):  # the last checkpoint is of step 2: the third step is lost
        next(steps)
    (tmp_path / "killed.partial").write_bytes(b"half a checkpoint")

    again = trainer.start(RECIPE, device)
    trainer.resume(again, tmp_path / "killed.pt")
    assert again.step == 2
    list(trainer.train(again, RECIPE, windows, tmp_path / "killed.pt"))
    assert again.losses == straight.losses
    for name, tensor in straight.net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[name], tensor, atol=0, rtol=0)


def test_training_lowers_the_loss(windows: StyleWindows, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=40, save_every=1000)
    losses = list(trainer.train(trainer.start(recipe, torch.device("cpu")), recipe, windows, tmp_path / "c.pt"))
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


def test_a_run_leaves_report_pictures_and_weights_that_can_be_served(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_in(out, data).execute(resume=False, train=True, weights=out / "weights")
    report = json.loads((out / "run.json").read_text())
    assert report["steps"] == RECIPE.steps
    assert set(report["validation"]) == {"pencil", "poster"}
    assert cv2.imread(str(out / "loss.png")) is not None
    assert cv2.imread(str(out / "samples.png")).shape == (2 * 64, 5 * 64, 3)
    model = StyleTransfer.load(weights=out / "weights")
    assert model.version == report["version"]
    assert model.version in (out / "weights" / "style.md").read_text("utf-8")
    assert model.styles == RECIPE.styles


def test_export_and_resume_need_a_checkpoint(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to resume"):
        run_in(tmp_path / "empty", data).execute(resume=True, train=False, weights=tmp_path)


def test_without_photos_the_command_says_how_to_point_to_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["style", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "--data DIR" in result.output
    missing = CliRunner().invoke(app, ["style", "--data", str(tmp_path), "--out", str(tmp_path)])
    assert missing.exit_code == 2
    assert "index.csv is missing" in " ".join(missing.output.split())


def test_only_trusted_photos_are_used(data: Path) -> None:
    assert len(find_samples(data, "train")) == 2
    assert [sample.photo.name for sample in find_samples(data, "validation")] == ["0.jpg"]
    with pytest.raises(DataError, match="no trusted photo of the split 'test'"):
        find_samples(data, "test")


def test_a_cut_out_lies_on_a_light_background(data: Path) -> None:
    sample = find_samples(data, "train")[0]
    window = render_window(sample, 900, np.random.default_rng(1), cut_out=True)
    assert window.shape == (900, 900, 3)
    assert np.quantile(window.min(axis=2), 0.99) > 180


def test_windows_survive_the_disk_and_batches_depend_on_the_step_alone(windows: StyleWindows, tmp_path: Path) -> None:
    save_windows(windows, tmp_path / "w.npz")
    stored = load_windows(tmp_path / "w.npz")
    one, same, other = (draw_batch(w, 48, 7, step) for w, step in ((windows, 4), (stored, 4), (windows, 5)))
    assert torch.equal(one.targets, same.targets)
    assert torch.equal(one.textures, same.textures)
    assert not torch.equal(one.pictures, other.pictures)


def test_losses_against_values_worked_out_by_hand() -> None:
    x = torch.full((1, 3, 32, 32), 0.5)
    assert psnr(x, x + 0.1).item() == pytest.approx(20.0, abs=1e-3)  # -10 log10(0.01)
    assert ssim(x, x).item() == pytest.approx(1.0)
    assert multiscale_dissimilarity(x, x).item() == pytest.approx(0.0, abs=1e-6)
    assert gradient_difference(x, x + 0.2).item() == pytest.approx(0.0, abs=1e-6)
    ramp = torch.arange(32) * 0.01
    assert gradient_difference(x, x + ramp).item() == pytest.approx(0.01, abs=1e-4)
