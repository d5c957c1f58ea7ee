"""Fit and measure the cut-out without weights: `python -m models.training.cutouts {fit,measure} --data ../shared`.

`--data` holds `photos/` and `masks/` with `masks/index.csv` (columns `mask`, `trusted`). `fit` prints the numbers that
stand in `models/saliency.py` and `models/confidence.py`; `measure` prints how good masks and confidence are.
"""

import argparse
import csv
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import to_lab
from models.cutout import REVIEW_CONFIDENCE, GrabCut
from models.cutout.confidence import overlap, trust
from models.cutout.saliency import SIDE, cues
from models.pictures import Floats, Mask, Picture

#: A cut is good when it overlaps the true mask by this much.
GOOD = 0.9
_PIXELS_PER_PHOTO = 500


def trusted(data: Path, split: str, count: int, seed: int = 0) -> Iterator[tuple[Picture, Mask]]:
    """Photos of a split with their trusted masks, drawn evenly over the classes."""
    by_class: dict[str, list[str]] = {}
    with (data / "masks" / "index.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["mask"].startswith(f"{split}/") and row["trusted"] == "yes":
                by_class.setdefault(row["mask"].split("/")[1], []).append(row["mask"])
    draw = random.Random(seed)  # noqa: S311
    rounds = [draw.sample(names, len(names)) for _, names in sorted(by_class.items())]
    longest = max(map(len, rounds), default=0)
    chosen = [names[turn] for turn in range(longest) for names in rounds if turn < len(names)]
    for name in chosen[:count]:
        photo = cv2.imread(str(data / "photos" / Path(name).with_suffix(".jpg")), cv2.IMREAD_COLOR_RGB)
        mask = cv2.imread(str(data / "masks" / name), cv2.IMREAD_GRAYSCALE)
        if photo is None or mask is None:
            raise FileNotFoundError(f"{name}: photo or mask is missing under {data}")
        yield np.asarray(photo, dtype=np.uint8), np.asarray(mask, dtype=np.float32) / np.float32(255)


def _at(mask: Mask, shape: tuple[int, ...]) -> Mask:
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def logistic(rows: Floats, truth: Floats, ridge: float, steps: int = 30) -> tuple[NDArray[np.float64], float]:
    """Weights `[n]` and bias of a logistic regression by Newton's method; `truth` may be soft.

    `ridge` is the penalty on the weights of the standardised columns, per row.
    """
    mean, spread = rows.mean(0), rows.std(0) + 1e-6
    design = np.concatenate([(rows - mean) / spread, np.ones((len(rows), 1))], 1).astype(np.float64)
    penalty = np.diag([2 * ridge * len(rows)] * rows.shape[1] + [1e-9])
    weights = np.zeros(design.shape[1])
    for _ in range(steps):
        guess = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (guess - truth) + penalty @ weights
        curve = (design * (guess * (1 - guess))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(curve, slope)
    plain = weights[:-1] / spread
    return plain, float(weights[-1] - plain @ mean)


def fit_saliency(data: Path, count: int) -> tuple[NDArray[np.float64], float]:
    """The weights of the cues, from random pixels of training photos."""
    draw = np.random.default_rng(0)
    rows, truth = [], []
    for photo, mask in trusted(data, "train", count):
        scale = min(1.0, SIDE / max(photo.shape[:2]))
        size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
        small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        lab = np.asarray(cv2.GaussianBlur(to_lab(small), (3, 3), 0.7), dtype=np.float32)
        pick = draw.integers(0, size[0] * size[1], _PIXELS_PER_PHOTO)
        found = cues(lab)
        rows.append(found.reshape(-1, found.shape[-1])[pick])
        truth.append(_at(mask, lab.shape).ravel()[pick])
    return logistic(np.concatenate(rows), np.concatenate(truth), ridge=1e-3)


def judged(data: Path, split: str, count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """The signs `[n, 12]` of each cut and its IoU with the trusted mask `[n]`."""
    backend = GrabCut()
    rows, quality = [], []
    for photo, mask in trusted(data, split, count, seed):
        found = backend.search(photo)
        if found is not None:
            cut, values = found
            rows.append(values)
            quality.append(overlap(cut.astype(np.float32), (_at(mask, cut.shape) > 0.5).astype(np.float32)))
    return np.array(rows, dtype=np.float32), np.array(quality, dtype=np.float32)


def report(data: Path, count: int) -> str:
    """How good the masks of the validation split are, and whether confidence knows."""
    rows, quality = judged(data, "validation", count)
    confidence = np.array([trust(row) for row in rows])
    order = np.argsort(-confidence)
    half = len(order) // 2
    passed, poor = confidence >= REVIEW_CONFIDENCE, quality < GOOD
    lines = [
        f"photos {len(quality)}, mean IoU {quality.mean():.3f}, median {np.median(quality):.3f}, "
        f"tenth percentile {np.quantile(quality, 0.1):.3f}, good (IoU >= {GOOD}) {(~poor).mean():.3f}",
        f"mean IoU of the more confident half {quality[order[:half]].mean():.3f}, "
        f"of the other half {quality[order[half:]].mean():.3f}",
        f"at confidence {REVIEW_CONFIDENCE}: {passed.mean():.3f} pass, {(~poor[passed]).mean():.3f} of these are good, "
        f"{(~passed[poor]).mean():.3f} of the poor ones are held back",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(prog="python -m models.training.cutouts", description=__doc__)
    parser.add_argument("command", choices=("fit", "measure"))
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--count", type=int, default=350, help="photos to use")
    options = parser.parse_args(arguments)
    if options.command == "measure":
        sys.stdout.write(report(options.data, options.count) + "\n")
        return
    weights, bias = fit_saliency(options.data, options.count)
    sys.stdout.write(f"saliency weights {np.round(weights, 3).tolist()} bias {bias:.3f}\n")
    rows, quality = judged(options.data, "train", options.count, seed=5)
    weights, bias = logistic(rows, (quality > GOOD).astype(np.float32), ridge=0.01)
    sys.stdout.write(f"confidence weights {np.round(weights, 2).tolist()} bias {bias:.2f}\n")


if __name__ == "__main__":
    main()
