"""Differentiable measures of how far a picture is from its target. Pictures are float [B, 3, H, W] in 0..1."""

import torch
from torch import Tensor
from torch.nn import functional

_C1, _C2 = 0.01**2, 0.03**2


def ssim(x: Tensor, y: Tensor, window: int = 7) -> Tensor:
    """Mean structural similarity with a flat window, per picture: [B] in -1..1.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity"
    (2004).
    """
    mean_x, mean_y = _mean(x, window), _mean(y, window)
    var_x = _mean(x * x, window) - mean_x * mean_x
    var_y = _mean(y * y, window) - mean_y * mean_y
    covariance = _mean(x * y, window) - mean_x * mean_y
    light = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    return (light * structure).mean(dim=(1, 2, 3))


def multiscale_dissimilarity(x: Tensor, y: Tensor, scales: int = 3) -> Tensor:
    """1 - SSIM, averaged over scales that halve, per picture: [B], 0 for equal pictures.

    A mean over scales instead of the weighted product of Wang, Simoncelli and Bovik (2003): it has a gradient
    everywhere.
    """
    total = torch.zeros(x.shape[0], device=x.device)
    for scale in range(scales):
        if scale:
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
        total = total + (1 - ssim(x, y))
    return total / scales


def gradient_difference(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of the horizontal and vertical steps, per picture: [B]."""
    error = x - y
    across = (error[..., 1:] - error[..., :-1]).abs().mean(dim=(1, 2, 3))
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean(dim=(1, 2, 3))
    return across + down


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, per picture: [B], at most 100."""
    mse = (x - y).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
    return -10 * torch.log10(mse)


def _mean(x: Tensor, window: int) -> Tensor:
    return functional.avg_pool2d(x, window, stride=1)


def weighted_bce(logits: Tensor, masks: Tensor, weight: Tensor) -> Tensor:
    """Binary cross entropy of `[B, 1, H, W]`, a weighted mean over the pixels: [B]."""
    error = functional.binary_cross_entropy_with_logits(logits, masks, weight, reduction="none")
    return error.sum((1, 2, 3)) / weight.sum((1, 2, 3))


def soft_iou(masks: Tensor, truth: Tensor) -> Tensor:
    """Soft intersection over union of `[B, 1, H, W]` in 0..1: [B]."""
    both = (masks * truth).sum((1, 2, 3))
    return (both + 1) / ((masks + truth).sum((1, 2, 3)) - both + 1)
