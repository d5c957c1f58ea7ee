"""How well a style net draws what its teachers draw, on windows it never saw, through the served code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.losses import psnr, ssim
from models.pictures import Picture
from models.styles.filters import FILTERS
from models.styles.transfer import StyleTransfer

#: Nothing is compared nearer to the frame, where neither net nor teacher sees what it needs.
_RIM = 24
#: Blur after which styles made of dots are compared: standard deviation in pixels.
_BLUR = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """Windows uint8 [N, W, W, 3], and under each style's name what its teacher makes of them."""

    windows: NDArray[np.uint8]
    drawn: Mapping[str, NDArray[np.uint8]]


def teach(windows: NDArray[np.uint8], styles: Sequence[str]) -> Taught:
    """Let the teachers draw whole windows, placed as served pictures are."""
    return Taught(
        windows=windows,
        drawn={style: np.stack([FILTERS[style](window, (0, 0)) for window in windows]) for style in styles},
    )


def measure(model: StyleTransfer, taught: Taught) -> dict[str, float]:
    """PSNR in dB, SSIM, and SSIM after a blur, per style and as means over the styles. `white_kept`: where window and
    teacher are white, 99.9 % of the net's pixels are at least so bright (of 255).
    """
    inside = slice(_RIM, taught.windows.shape[1] - _RIM)
    figures: dict[str, float] = {"n": float(len(taught.windows))}
    names = ("psnr_db", "ssim", "ssim_blurred", "white_kept")
    rows = {}
    for style in model.styles:
        drawn = np.stack(model.apply(list(taught.windows), [style] * len(taught.windows)))
        paper = taught.windows.min(axis=3) >= 254
        rows[style] = _compare(
            drawn[:, inside, inside], taught.drawn[style][:, inside, inside], paper[:, inside, inside]
        )
    for place, name in enumerate(names):
        values = [row[place] for row in rows.values()]
        figures[name] = round(float(min(values) if name == "white_kept" else np.mean(values)), 4)
    for place, name in enumerate(names):
        figures |= {f"{name}/{style}": round(row[place], 4) for style, row in rows.items()}
    return figures


def _compare(
    drawn: NDArray[np.uint8], target: NDArray[np.uint8], paper: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    x, y = as_tensor(drawn), as_tensor(target)
    blurred = [
        as_tensor(np.stack([cv2.GaussianBlur(picture, (0, 0), _BLUR) for picture in p])) for p in (drawn, target)
    ]
    white = paper & (target.min(axis=3) >= 254)
    kept = float(np.quantile(drawn.min(axis=3)[white], 0.001)) if white.any() else 255.0
    return float(psnr(x, y).mean()), float(ssim(x, y).mean()), float(ssim(blurred[0], blurred[1]).mean()), kept


def sample_grid(model: StyleTransfer, taught: Taught, columns: int = 3, side: int = 192) -> Picture:
    """A row per style: for each of some windows the window, the teacher and the net: uint8 [S * side, 9 * side, 3]."""
    windows = [np.ascontiguousarray(window) for window in taught.windows[:columns]]
    corner = slice((windows[0].shape[0] - side) // 2, (windows[0].shape[0] + side) // 2)
    if windows[0].shape[0] < side:
        corner = slice(None)
    lines = []
    for style in model.styles:
        drawn = model.apply(windows, [style] * len(windows))
        cells = [
            picture[corner, corner]
            for window, teacher, net in zip(windows, taught.drawn[style], drawn, strict=False)
            for picture in (window, teacher, net)
        ]
        lines.append(np.hstack(cells))
    return np.vstack(lines)


def as_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in 0..1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255.0
