"""How far a cut can be trusted: signs that need no known answer, weighed by logistic regression."""

import cv2
import numpy as np

from models.colour import to_lab
from models.cutout.regions import Region
from models.matting import box
from models.pictures import Floats, Mask, Picture

#: Names of the signs, in the order of their weights.
SIGNS = (
    "agreement",
    "doubt",
    "stability",
    "removed",
    "contrast",
    "weak_edge",
    "area",
    "area_far",
    "touch",
    "overlap",
    "solidity",
    "edge_length",
)


def overlap(first: Mask, second: Mask) -> float:
    """Soft intersection over union of two masks, 0..1; 1 where both are empty."""
    union = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / union if union > 0 else 1.0


def signs(picture: Picture, probability: Mask, raw: Region, cut: Region, second: Region) -> Floats:
    """The signs of a cut `[12]`, all `[h, w]` at working size.

    `raw` is the cut before cleaning, `second` the cut from other seeds; `cut` is neither empty nor full.
    """
    mask = cut.astype(np.float32)
    lab = to_lab(picture)
    size = float(mask.sum())
    strength = _edge_strength(lab, mask)
    frame = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    contours, _ = cv2.findContours(cut.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = sum(float(cv2.contourArea(cv2.convexHull(contour))) for contour in contours)
    length = sum(float(cv2.arcLength(contour, True)) for contour in contours)
    share = size / mask.size
    values = [
        overlap(probability, mask),
        float(((probability > 0.15) & (probability < 0.85)).sum()) / size,
        overlap(mask, second.astype(np.float32)),
        float((raw != cut).sum()) / size,
        float(np.median(strength)) / 20 if strength.size else 0.0,
        float((strength < 6).mean()) if strength.size else 1.0,
        share,
        abs(share - 0.4),
        float(frame.mean()),
        _colour_overlap(lab, mask),
        min(1.5, size / max(hull, 1.0)),
        length / np.sqrt(size) / 10,
    ]
    return np.array(values, dtype=np.float32)


def _edge_strength(lab: Floats, mask: Mask) -> Floats:
    """LAB distance between just inside and just outside, at each pixel of the outline within the frame."""
    reach = 4
    inner, outer = box(mask, reach)[..., None], box(1 - mask, reach)[..., None]
    inside = box(lab * mask[..., None], reach) / (inner + 1e-4)
    outside = box(lab * (1 - mask[..., None]), reach) / (outer + 1e-4)
    edge = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))) > 0
    edge[:2] = edge[-2:] = edge[:, :2] = edge[:, -2:] = False
    return np.asarray(np.linalg.norm(inside - outside, axis=-1)[edge], dtype=np.float32)


def _colour_overlap(lab: Floats, mask: Mask) -> float:
    """Share of colour that product and background have in common (histogram intersection, 10 levels a channel)."""
    levels = np.clip((lab + np.array([0, 60, 60])) / np.array([10, 12, 12]), 0, 9).astype(np.int32)
    index = (levels[..., 0] * 100 + levels[..., 1] * 10 + levels[..., 2]).ravel()
    inside = np.bincount(index, weights=mask.ravel(), minlength=1000)
    outside = np.bincount(index, weights=1 - mask.ravel(), minlength=1000)
    return float(np.minimum(inside / inside.sum(), outside / outside.sum()).sum())


def trust(values: Floats) -> float:
    """Estimated probability that the cut overlaps the true mask by at least 0.9, from its `signs`."""
    return float(1 / (1 + np.exp(-np.clip(values @ _WEIGHTS + _BIAS, -30, 30))))


_WEIGHTS = np.array(
    [2.44, -0.13, -2.09, -12.30, 0.56, -21.43, 4.07, -1.82, -11.85, -3.80, 3.58, -2.69], dtype=np.float32
)
_BIAS = -1.60
