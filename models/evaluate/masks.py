"""How close cut-outs come to known masks: overlap, outline, mean error, and whether the confidence can be believed."""

import argparse
import csv
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.cutout import REVIEW_CONFIDENCE, GrabCut, MaskBackend
from models.cutout.learned import LearnedCutout
from models.photo_files import photos_under, read_mask, read_photo
from models.pictures import Mask

#: A found outline counts within this many pixels of the true one, at the mask's own size.
REACH = 2
#: A cut is good when it overlaps the true mask by this much.
GOOD = 0.9


@dataclass(frozen=True, slots=True)
class Scores:
    """How one cut-out compares with its true mask."""

    iou: float
    boundary: float
    error: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos, in any folders")
    parser.add_argument("--masks", type=Path, required=True, help="masks: the same relative paths, with .png")
    parser.add_argument("--backend", choices=("learned", "grabcut"), default="learned")
    parser.add_argument("--weights", type=Path, help="folder with weights.json, or a .safetensors file")
    parser.add_argument("--limit", type=int, help="only so many photos")
    parser.add_argument("--worst", type=int, default=0, help="name so many of the worst on stderr")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """The figures over all photos that have a trusted mask."""
    backend: MaskBackend = GrabCut() if options.backend == "grabcut" else LearnedCutout.load(weights=options.weights)
    names, skipped = pairs(options.images, options.masks)
    names = names[: options.limit]
    if not names:
        raise ValueError(f"no photo under {options.images} has a trusted mask under {options.masks}")
    scores, confidence = [], []
    for number, name in enumerate(names, 1):
        truth = read_mask((options.masks / name).with_suffix(".png"))
        picture = read_photo(options.images / name)
        (cut,) = backend.cut([picture])
        scores.append(compared(at_size_of(cut.alpha, truth), truth))
        confidence.append(cut.confidence)
        if number % 50 == 0:
            sys.stderr.write(f"{number} of {len(names)}\n")
    for place in np.argsort([score.iou for score in scores])[: options.worst]:
        sys.stderr.write(f"{scores[place].iou:.3f} confidence {confidence[place]:.2f} {names[place]}\n")
    return {**summary(scores, np.array(confidence)), "n": len(names), "skipped": skipped, "backend": backend.version}


def summary(scores: list[Scores], confidence: NDArray[np.float64]) -> dict[str, float]:
    """Means and tails, and what the review threshold does."""
    iou = np.array([score.iou for score in scores])
    passed = confidence >= REVIEW_CONFIDENCE
    figures = {
        "iou_mean": iou.mean(),
        "iou_p5": np.quantile(iou, 0.05),
        "iou_min": iou.min(),
        "boundary_f": np.mean([score.boundary for score in scores]),
        "mae": np.mean([score.error for score in scores]),
        "good": (iou >= GOOD).mean(),
        "passed": passed.mean(),
        "good_of_passed": (iou[passed] >= GOOD).mean() if passed.any() else 0.0,
        "poor_held_back": (~passed[iou < GOOD]).mean() if (iou < GOOD).any() else 1.0,
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def compared(alpha: Mask, truth: Mask) -> Scores:
    """Both `[H, W]`."""
    found, true = alpha >= 0.5, truth >= 0.5
    union = (found | true).sum()
    return Scores(
        iou=float((found & true).sum() / union) if union else 1.0,
        boundary=boundary_f(found, true, REACH),
        error=float(np.abs(alpha - truth).mean()),
    )


def boundary_f(found: NDArray[np.bool_], true: NDArray[np.bool_], reach: int) -> float:
    """F measure of two outlines that may lie `reach` px apart (Perazzi et al., "DAVIS", CVPR 2016): 0..1."""
    ours, theirs = _outline(found), _outline(true)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    precision = float(ours[cv2.dilate(theirs, disk) > 0].sum() / ours.sum())
    recall = float(theirs[cv2.dilate(ours, disk) > 0].sum() / theirs.sum())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The region's own pixels that touch what is outside it, within the frame."""
    solid = region.astype(np.uint8)
    return np.asarray(solid - cv2.erode(solid, np.ones((3, 3), np.uint8), borderValue=1), np.uint8)


def at_size_of(alpha: Mask, truth: Mask) -> Mask:
    """The alpha at the size of the true mask."""
    if alpha.shape == truth.shape:
        return alpha
    return np.asarray(cv2.resize(alpha, truth.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def pairs(images: Path, masks: Path) -> tuple[list[Path], int]:
    """Relative paths of the photos with a trusted mask, and how many others were skipped."""
    distrusted = _distrusted(masks)
    kept, skipped = [], 0
    for name in photos_under(images):
        mask = name.with_suffix(".png")
        if mask.as_posix() in distrusted or not (masks / mask).is_file():
            skipped += 1
        else:
            kept.append(name)
    return kept, skipped


def _distrusted(masks: Path) -> set[str]:
    index = masks / "index.csv"
    if not index.is_file():
        return set()
    with index.open(newline="") as lines:
        return {row["mask"] for row in csv.DictReader(lines) if row["trusted"] != "yes"}
