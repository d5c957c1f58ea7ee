"""Cleaning a binary mask: which regions are the product, which holes are its own."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Mask

Region = NDArray[np.bool_]

#: Below this a soft mask shows nothing that one would see on white.
_FAINT = 0.08


def clean(mask: Region, probability: Mask) -> Region:
    """The product's regions out of a cut `[h, w]`: slips and specks go, small or probable holes are filled.

    `probability [h, w]` says where the product was expected; it decides about the parts that stand apart.
    """
    if not mask.any():
        return mask
    return _without_holes(_kept(mask, probability), probability)


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), dtype=np.uint8)


def _kept(mask: Region, probability: Mask) -> Region:
    """Open the mask, choose among the parts, then grow back to the original outline of those parts."""
    radius = max(1, round(0.008 * max(mask.shape)))
    solid = mask.astype(np.uint8)
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, _disc(radius))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.asarray(opened, dtype=np.uint8), connectivity=8)
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    belief = np.bincount(labels.ravel(), weights=probability.ravel(), minlength=count) / np.maximum(areas, 1)
    weight = areas * belief
    main = int(np.argmax(weight))
    # A second shoe is as large and as probable as the first; a door handle or a cushion in the corner is not.
    left, top, width, height = stats[:, :4].T
    cut_off = (left == 0) | (top == 0) | (left + width == mask.shape[1]) | (top + height == mask.shape[0])
    keep = (weight > 0.25 * weight[main]) | ((weight > 0.03 * weight[main]) & (belief > 0.85) & ~cut_off)
    keep[0], keep[main] = False, True
    grown = cv2.dilate(keep[labels].astype(np.uint8), _disc(radius + 2))
    return mask & (np.asarray(grown) > 0)


def _without_holes(mask: Region, probability: Mask) -> Region:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    rows, columns = mask.shape
    filled = mask.copy()
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        if left == 0 or top == 0 or left + width == columns or top + height == rows:
            continue
        hole = labels[top : top + height, left : left + width] == label
        belief = float(probability[top : top + height, left : left + width][hole].mean())
        if area < 0.0003 * mask.size or belief > 0.35:
            filled[top : top + height, left : left + width] |= hole
    return filled


def without_crumbs(mask: Mask, share: float = 0.05) -> Mask:
    """The soft mask `[H, W]` without the pieces that are smaller than a share of the largest one, and without what is
    faint and hangs together with none that stays; as it is where nothing is sure.

    Slips of floor at the frame's edge, a stranger's sleeve: a product in several pieces, such as shoes, has pieces of
    one size. A thing that was thought of for a moment leaves a smear on white.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask >= 0.5).astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    sizes = stats[1:, cv2.CC_STAT_AREA]
    small = np.flatnonzero(sizes < share * sizes.max()) + 1
    crumbs = np.isin(labels, small)
    stays = (labels > 0) & ~crumbs
    _, faint = cv2.connectedComponents((mask >= _FAINT).astype(np.uint8), connectivity=8)
    hangs = np.isin(faint, np.unique(faint[stays]))
    reach = np.ones((9, 9), np.uint8)
    near = cv2.dilate(stays.astype(np.uint8), reach) > 0
    around = (cv2.dilate(crumbs.astype(np.uint8), reach) > 0) & ~near
    return np.asarray(np.where(around | crumbs | ~(hangs | near), 0, mask), np.float32)


def pieces(mask: Mask, share: float = 0.2) -> int:
    """How many parts of about one size the soft mask shows: at least a share of the largest one each."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((mask >= 0.5).astype(np.uint8), connectivity=8)
    if count < 2:
        return 0
    sizes = stats[1:, cv2.CC_STAT_AREA]
    return int((sizes >= share * sizes.max()).sum())
