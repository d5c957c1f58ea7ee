"""Where the product probably is: cues of classical saliency, weighed by logistic regression. No net.

The cues are computed at a long side of 128 px. Their 26 weights were fitted on 350 listing photos with known masks.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import to_lab
from models.matting import box
from models.pictures import Floats, Mask, Picture

#: Long side at which the cues are computed.
SIDE = 128
_WORDS = 24
Labels = NDArray[np.int32]


def probability(picture: Picture) -> Mask:
    """How probably each pixel shows the product: `[h, w]`, 0..1, at a long side of at most 128 px.

    The picture must be at least 16 px wide and high at that size.
    """
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    lab = np.asarray(cv2.GaussianBlur(to_lab(small), (3, 3), 0.7), dtype=np.float32)
    logit = cues(lab) @ _WEIGHTS + _BIAS
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), dtype=np.float32)


def cues(lab: Floats) -> Floats:
    """The evidence of each pixel, `[h, w, 25]`, in the order of the weights."""
    labels, colours = colour_words(lab)
    x, y = _grid(*labels.shape)
    place = [x * x, y * y, y, (x * y) ** 2, x**4, y**4]
    spread = np.percentile(lab, 97, axis=(0, 1)) - np.percentile(lab, 3, axis=(0, 1))
    barrier = np.sort(barrier_distance(lab), axis=0) / (spread.sum() + 10)
    light = lab[..., 0]
    texture = np.sqrt(np.maximum(box(light * light, 3) - box(light, 3) ** 2, 0)) / 10
    chroma = np.hypot(lab[..., 1], lab[..., 2]) / 50
    by_word = np.moveaxis(_word_cues(labels, colours, x, y)[labels], -1, 0)
    planes = [*place, *barrier, *np.sqrt(barrier), *by_word, texture, box(texture, 5), chroma, light / 50]
    return np.stack(planes, -1).astype(np.float32)


def barrier_distance(lab: Floats, passes: int = 2) -> Floats:
    """Minimum barrier distance `[4, h, w]` to the top, bottom, left and right side of the frame.

    The least range of colours that any way to that side meets. Strand et al., CVIU 2013; swept line by line after
    Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS", ICCV 2015. Four sides apart, because a product
    often runs out of the frame on one of them.
    """
    planes = np.repeat(lab[None], 4, 0)
    high, low = planes.copy(), planes.copy()
    cost = np.full(planes.shape[:3], np.inf, dtype=np.float32)
    cost[0, 0] = cost[1, -1] = cost[2, :, 0] = cost[3, :, -1] = 0
    upright = (planes, high, low, cost)
    turned = tuple(np.swapaxes(array, 1, 2) for array in upright)
    for _ in range(passes):
        _sweep(*upright)
        _sweep(*turned)
        _sweep(*(array[:, ::-1] for array in upright))
        _sweep(*(array[:, ::-1] for array in turned))
    return cost


def _sweep(planes: Floats, high: Floats, low: Floats, cost: Floats) -> None:
    """Carry the best ways from each line to the next, in place."""
    for line in range(1, planes.shape[1]):
        new_high = np.maximum(high[:, line - 1], planes[:, line])
        new_low = np.minimum(low[:, line - 1], planes[:, line])
        new_cost = (new_high - new_low).sum(-1)
        better = new_cost < cost[:, line]
        np.copyto(cost[:, line], new_cost, where=better)
        np.copyto(high[:, line], new_high, where=better[..., None])
        np.copyto(low[:, line], new_low, where=better[..., None])


def colour_words(lab: Floats) -> tuple[Labels, Floats]:
    """The picture in at most 24 colours: label of each pixel `[h, w]`, the colours `[24, 3]`. Nothing is random."""
    flat = np.ascontiguousarray(lab.reshape(-1, 3))
    centred = flat - flat.mean(0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    rank = np.argsort(np.argsort(centred @ axis, kind="stable"), kind="stable")
    start = (rank * _WORDS // len(flat)).astype(np.int32)[:, None]
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.3)
    _, labels, centres = cv2.kmeans(flat, _WORDS, start, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    return np.asarray(labels, dtype=np.int32).reshape(lab.shape[:2]), np.asarray(centres, dtype=np.float32)


def _word_cues(labels: Labels, colours: Floats, x: Floats, y: Floats) -> Floats:
    """Per colour `[24, 7]`: its share in the frame's edge, its distance to the edge's colours, how central it is.

    The first follows boundary connectivity: Zhu et al., "Saliency Optimization from Robust Background Detection",
    CVPR 2014. Counts are shared among similar colours, so that folds of one cloth stand together.
    """
    count = len(colours)
    area = np.bincount(labels.ravel(), minlength=count) + 1.0
    margin = max(1, round(0.03 * min(labels.shape)))
    band = np.ones(labels.shape, dtype=bool)
    band[margin:-margin, margin:-margin] = False
    edge = np.bincount(labels[band], minlength=count) / band.sum()
    sides = (labels[:3], labels[-3:], labels[:, :3], labels[:, -3:])
    by_side = np.stack([np.bincount(side.ravel(), minlength=count) / side.size for side in sides], -1)
    central = np.exp(-2 * (x * x + 0.7 * y * y))
    centre = np.bincount(labels.ravel(), weights=central.ravel(), minlength=count) / area
    between = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    near = np.exp(-between / 8)
    total = near @ (area / area.sum())
    hits = np.sort(near @ by_side, axis=1)[:, 1:] / total[:, None]
    planes = [
        np.log(near @ edge / total + 0.05),
        between @ edge / 50,
        centre,
        near @ (centre * area) / (near @ area),
        *np.log(hits + 0.05).T,
    ]
    return np.stack(planes, -1).astype(np.float32)


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """x and y of each pixel's centre in -1..1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (2 * x + 1) / width - 1, (2 * y + 1) / height - 1


_PLACE = (-0.524, -0.818, -0.555, -0.021, -0.218, 0.258)
_BARRIER = (2.524, 0.197, 0.430, 1.476, 2.802, 0.350, 0.472, 1.267)
_WORD = (-0.356, 0.043, 2.014, 4.577, -0.270, -0.418, -0.351)
_CLOTH = (-0.121, 0.080, -1.589, -0.748)
_WEIGHTS = np.array([*_PLACE, *_BARRIER, *_WORD, *_CLOTH], dtype=np.float32)
_BIAS = -5.396
