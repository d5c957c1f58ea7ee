"""What cameras and files add to a photo: noise, and the blocks of JPEG."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats, Mask, Picture

#: Noise is told from blocks of this side; JPEG's own blocks are as large.
_BLOCK = 8
#: Twice the Laplacian along both axes: blind to slopes, so shade and folds do not count.
_MASK: Floats = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
#: The percentile of blocks that noise is read from: noise lies everywhere, pattern and seams do not.
_QUIET = 5
#: Noise counts at this long side, about what is served: a large photo is reduced, and its noise averages out.
_SERVED_SIDE = 1000
#: Fewer blocks say nothing.
_FEWEST = 5
#: Steps of more than this many levels are edges, and so are places whose neighbours differ by more than `_FLAT`.
_STEP, _FLAT = 8, 4


def noise_of(picture: Picture, alpha: Mask) -> float:
    """Sigma of the noise on luma, in sRGB levels, of a photo reduced to a long side of 1,000 px if it is larger.

    Immerkaer's estimate ("Fast noise variance estimation", CVIU 64, 1996) block by block, of which the 5th percentile
    counts; once inside the mask and once everywhere, of which the lower one counts: cloth may glitter, walls may be
    rough, noise is on both. Burnt-out and black blocks hide noise. 0 where too little is left.
    Only for photos as they come: enlarging hides noise from every such formula.
    """
    grey = _grey(picture)
    scale = _SERVED_SIDE / max(alpha.shape)
    if scale < 1:
        size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    rows, columns = (size // _BLOCK * _BLOCK for size in alpha.shape)
    rough = np.abs(np.asarray(cv2.filter2D(grey, cv2.CV_32F, _MASK), dtype=np.float32))
    sigma = _blocks(rough[:rows, :columns]) * np.float32(np.sqrt(np.pi / 2) / 6)
    usable = ((grey > 6) & (grey < 249))[:rows, :columns]
    product = usable & (alpha[:rows, :columns] > 0.9)
    return min(_quiet(sigma, product), _quiet(sigma, usable))


def _quiet(sigma: Floats, usable: NDArray[np.bool_]) -> float:
    full = _blocks(usable.astype(np.float32)) > 0.95
    return float(np.percentile(sigma[full], _QUIET)) if full.sum() >= _FEWEST else 0.0


def _blocks(values: Floats) -> Floats:
    """Means of the blocks; the shape must be a multiple of the block's side."""
    size = (values.shape[1] // _BLOCK, values.shape[0] // _BLOCK)
    if 0 in size:
        return np.zeros((0, 0), dtype=np.float32)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def blockiness_of(picture: Picture) -> float:
    """Mean height, in sRGB levels, of the steps along a grid of 8 px where the photo is flat; about 0 without a grid.

    Only for a file as it came: scaling takes the grid apart. The grid may start anywhere (cropped files).
    """
    grey = _grey(picture)
    return (_grid(grey) + _grid(np.ascontiguousarray(grey.T))) / 2


def _grid(grey: Floats) -> float:
    """Steps between columns at the most conspicuous of the eight offsets, less the median of the others."""
    if grey.shape[1] < 4 * _BLOCK:
        return 0.0
    steps = np.abs(np.diff(grey, axis=1))
    around = (steps[:, :-2] + steps[:, 2:]) / 2
    excess = np.clip(steps[:, 1:-1] - around, -_STEP, _STEP)
    flat: NDArray[np.bool_] = around < _FLAT
    total, count = np.where(flat, excess, 0).sum(0), flat.sum(0)
    heights = [float(total[turn::_BLOCK].sum() / (count[turn::_BLOCK].sum() + 20)) for turn in range(_BLOCK)]
    most = max(heights)
    heights.remove(most)
    return most - float(np.median(heights))


def _grey(picture: Picture) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.float32)
