"""The figures of the styles."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.evaluate.__main__ import main
from models.evaluate.styles import _Tally, grid_levels, served


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    torch.set_num_threads(1)
    picture = np.full((40, 60, 3), 250, np.uint8)
    picture[10:30, 15:45] = (30, 60, 160)
    for folder, name in (("images/hat", "one.jpg"), ("images/hat", "two.jpg")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / folder / name), picture)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 15:45] = 255
    (tmp_path / "masks/hat").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "masks/hat/two.png"), mask)
    return tmp_path


def test_figures_of_every_style_come_as_one_line(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.evaluate.styles._LONGEST", 160)
    monkeypatch.setattr("models.evaluate.styles._WINDOW", 96)
    monkeypatch.setattr("models.evaluate.styles._product", lambda _: None)
    arguments = ["styles", "--images", str(photos / "images"), "--masks", str(photos / "masks")]
    assert main(arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["n"] == 2
    assert {"oil", "pencil"} <= set(figures["styles"])
    for style in figures["styles"].values():
        assert style["psnr_db"] > 10
        assert style["class_kept"] is None
    assert figures["product"] is None


def test_a_masked_photo_lies_on_white_at_the_served_size(photos: Path) -> None:
    picture = served(photos / "images/hat/two.jpg", photos / "masks/hat/two.png")
    assert picture.shape == (667, 1000, 3)
    assert picture[:100].min() == 255
    assert served(photos / "images/hat/two.jpg", None)[:100].mean() < 252


@pytest.mark.parametrize("step", [2, 4])
def test_a_grid_that_the_teacher_has_not_is_found(step: int) -> None:
    taught = np.random.default_rng(2).integers(60, 200, (64, 64, 3)).astype(np.uint8)
    drawn = taught.copy()
    drawn[:, ::step] += 8
    assert grid_levels(taught, taught) == 0
    assert grid_levels(drawn, taught) == pytest.approx(8 * (1 - 1 / step))


@pytest.mark.parametrize(
    ("style", "psnr_db", "blurred", "kept", "reached"),
    [
        ("oil", 27.0, 0.5, [1.0], True),
        ("oil", 25.0, 1.0, [1.0], False),
        ("halftone", 12.0, 0.95, [1.0], True),
        ("halftone", 30.0, 0.85, [1.0], False),
        ("oil", 27.0, 0.5, [1.0, 0.0], False),
        ("oil", 27.0, 0.5, [], True),
    ],
)
def test_what_is_reached(style: str, psnr_db: float, blurred: float, kept: list[float], *, reached: bool) -> None:
    tally = _Tally(psnr_db=[psnr_db], ssim_blurred=[blurred], class_kept=kept)
    assert tally.figures(style)["reached"] is reached


def test_no_photos_and_weights_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    assert main(["styles", "--images", str(tmp_path / "missing")]) == 2
    assert main(["styles", "--images", str(tmp_path), "--product", str(tmp_path)]) == 2
