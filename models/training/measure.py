"""How well a style net draws what its teachers draw, measured on windows it never saw, through the served code."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.filters import FILTERS
from models.losses import psnr, ssim
from models.style_transfer import StyleTransfer
from models.training.data import MARGIN, as_tensor

Picture = NDArray[np.uint8]
#: PSNR in dB and SSIM in 0..1 per style, each the mean over the windows.
Figures = Mapping[str, Mapping[str, float]]


def measure(model: StyleTransfer, windows: NDArray[np.uint8]) -> Figures:
    """Compare net and teachers on windows uint8 [N, W, W, 3], without the rim that neither could see beyond."""
    inside = slice(MARGIN, windows.shape[1] - MARGIN)
    figures = {}
    for style in model.styles:
        drawn = np.stack([model.apply([window], [style])[0] for window in windows])[:, inside, inside]
        taught = np.stack([FILTERS[style](window, (0, 0)) for window in windows])[:, inside, inside]
        x, y = as_tensor(drawn), as_tensor(taught)
        white = (taught.min(axis=3) >= 254) & (windows[:, inside, inside].min(axis=3) >= 254)
        figures[style] = {
            "psnr_db": round(float(psnr(x, y).mean()), 2),
            "ssim": round(float(ssim(x, y).mean()), 4),
            "darkest_permille_on_white": float(np.quantile(drawn.min(axis=3)[white], 0.001)) if white.any() else 255.0,
        }
    return figures


def sample_grid(model: StyleTransfer, windows: NDArray[np.uint8], rows: int) -> Picture:
    """Input, then teacher and net for each style, one row per window: uint8 [rows * W, (1 + 2 S) * W, 3]."""
    lines = []
    for window in windows[:rows]:
        drawn = model.apply([window] * len(model.styles), model.styles)
        cells = [
            cell
            for style, net in zip(model.styles, drawn, strict=True)
            for cell in (FILTERS[style](window, (0, 0)), net)
        ]
        lines.append(np.hstack([window, *cells]))
    return np.vstack(lines)
