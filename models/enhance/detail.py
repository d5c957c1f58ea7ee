"""Noise and blur of a photo: how much there is, and mild filters against them."""

import cv2
import numpy as np

from models.matting import box
from models.pictures import Floats, Mask, Picture

#: Blur counts at this long side, about what is served: a large photo is reduced, which takes small blur away.
_SERVED_SIDE = 1000
#: Width (sigma, px) at which edges start to count as blurred, and at which the correction is whole. Of undamaged photos
#: 99 in 100 have sharper edges.
_SHARP, _BLURRED = 1.1, 1.4
#: Blur above this cannot be mended without inventing detail; edges are steepened as if it were this.
_MOST_BLUR = 2.5
#: Share of the detail that full sharpening adds.
_AMOUNT = 1.0
#: Noise (sigma, sRGB levels) at which smoothing starts, and at which it is whole.
_CLEAN, _NOISY = 2.0, 4.0
#: The two blurs that the width of edges is told from, px.
_FINE, _COARSE = 0.7, 1.6


def grey_of(picture: Picture) -> Floats:
    """Luma of a picture, `float32 [H, W]`, 0..255."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def edge_width(picture: Picture, alpha: Mask) -> float:
    """Sigma of the blur of the product's edges in px at a long side of 1,000 px at most; 0 where there are no edges.

    The gradient of a step under two Gaussian blurs gives its own (Zhuo and Sim, "Defocus map estimation from a single
    image", Pattern Recognition 44, 2011); the median over the strongest edges counts.
    """
    scale = min(1.0, _SERVED_SIDE / max(alpha.shape))
    grey = grey_of(picture)
    if scale < 1:
        size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    near = cv2.dilate((alpha > 0.5).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if not near.any():
        return 0.0
    fine, coarse = _slope(grey, _FINE), _slope(grey, _COARSE)
    crest = fine >= np.asarray(cv2.dilate(fine, np.ones((3, 3), np.uint8)))
    edges = near & crest & (fine > max(2.0, float(np.percentile(fine[near], 95))))
    if edges.sum() < 20:
        return 0.0
    ratio = np.maximum((fine[edges] / np.maximum(coarse[edges], 1e-3)) ** 2, 1.0001)
    variance = (_COARSE**2 - ratio * _FINE**2) / (ratio - 1)
    return float(np.sqrt(np.median(np.clip(variance, 0, 25))))


def _slope(grey: Floats, sigma: float) -> Floats:
    smooth = cv2.GaussianBlur(grey, (0, 0), sigma)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *axis, ksize=3, scale=0.125) for axis in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(across, down), dtype=np.float32)


def sharpening(width: float) -> float:
    """Share of the full sharpening that edges of this width call for: 0, or 0.2 to 1."""
    return _worthwhile((width - _SHARP) / (_BLURRED - _SHARP))


def smoothing(noise: float) -> float:
    """Share of the full smoothing that noise of this sigma calls for: 0, or 0.2 to 1."""
    return _worthwhile((noise - _CLEAN) / (_NOISY - _CLEAN))


def _worthwhile(share: float) -> float:
    """Nobody would see less than a fifth: better to leave the photo alone."""
    return min(1.0, share) if share >= 0.2 else 0.0


def sharpened(picture: Picture, width: float) -> Picture:
    """Unsharp mask on luma for edges of `width` (as `edge_width` gives it); flat cloth is left alone."""
    sigma = min(width, _MOST_BLUR) * max(1.0, max(picture.shape[:2]) / _SERVED_SIDE)
    grey = grey_of(picture)
    detail = grey - np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), dtype=np.float32)
    size = np.abs(detail)
    added = np.clip(detail * (size / (size + np.float32(1.5))) * _AMOUNT, -24, 24)
    return np.clip(picture + added[..., None] + 0.5, 0, 255).astype(np.uint8)


def smoothed(picture: Picture, noise: float) -> Picture:
    """Luma smoothed where it holds nothing but noise of this sigma, colour a little wherever it is."""
    ycc = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), dtype=np.float32)
    luma = ycc[..., 0]
    mean = box(luma, 2)
    variance = np.maximum(box(luma * luma, 2) - mean * mean, 0)
    keep = np.maximum(variance - np.float32(noise**2), 0) / (variance + np.float32(1e-3))
    held = np.asarray(mean * (1 - keep), dtype=np.float32)
    slope, offset = box(np.asarray(keep, dtype=np.float32), 2), box(held, 2)
    ycc[..., 0] = slope * luma + offset
    ycc[..., 1:] = cv2.GaussianBlur(ycc[..., 1:], (0, 0), 1.2)
    return np.asarray(cv2.cvtColor(np.clip(ycc + 0.5, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
