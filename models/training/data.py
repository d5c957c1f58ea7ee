"""The training set: windows at the served scale with what every teacher makes of them, kept as uint8 on disk."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import filters, textures
from models.training import scenes
from models.training.recipes import StyleRecipe

Picture = NDArray[np.uint8]

#: What the teachers see around a window, so that its rim is drawn as inside a whole picture.
MARGIN = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleWindows:
    """N windows of side W and their targets in S styles."""

    #: uint8 [N, W, W, 3]
    pictures: NDArray[np.uint8]
    #: uint8 [N, S, W, W, 3]
    targets: NDArray[np.uint8]
    #: Place of each window on the textures, (row, column): int64 [N, 2]
    origins: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleBatch:
    """One crop of side K per style: pictures and targets float32 [S, 3, K, K] in 0..1, style int64 [S]."""

    pictures: Tensor
    textures: Tensor
    targets: Tensor
    style: Tensor


def make_windows(
    recipe: StyleRecipe, samples: Sequence[scenes.Sample], count: int, advance: Callable[[], None]
) -> StyleWindows:
    """Render windows, every second one cut out, and let the teachers draw them; `advance` is called after each."""
    side = recipe.window
    pictures = np.empty((count, side, side, 3), np.uint8)
    targets = np.empty((count, len(recipe.styles), side, side, 3), np.uint8)
    origins = np.empty((count, 2), np.int64)
    inside = slice(MARGIN, MARGIN + side)
    for i in range(count):
        rng = np.random.default_rng((recipe.seed, i))
        wide = _render(samples, rng, side + 2 * MARGIN, cut_out=i % 2 == 0)
        origin = rng.integers(textures.TILE, size=2)
        start = (int(origin[0]) - MARGIN, int(origin[1]) - MARGIN)
        pictures[i], origins[i] = wide[inside, inside], origin
        for j, name in enumerate(recipe.styles):
            targets[i, j] = filters.FILTERS[name](wide, start)[inside, inside]
        advance()
    return StyleWindows(pictures=pictures, targets=targets, origins=origins)


def validation_windows(recipe: StyleRecipe, samples: Sequence[scenes.Sample]) -> Picture:
    """Windows for measuring, every second one cut out: uint8 [N, W, W, 3]."""
    generators = [np.random.default_rng((recipe.seed + 1, i)) for i in range(recipe.validation_windows)]
    return np.stack([_render(samples, g, recipe.window, cut_out=i % 2 == 0) for i, g in enumerate(generators)])


def save_windows(windows: StyleWindows, path: Path) -> None:
    """Write the windows whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, pictures=windows.pictures, targets=windows.targets, origins=windows.origins)
    partial.replace(path)


def load_windows(path: Path) -> StyleWindows:
    """Windows as `save_windows` wrote them."""
    with np.load(path, allow_pickle=False) as stored:
        return StyleWindows(pictures=stored["pictures"], targets=stored["targets"], origins=stored["origins"])


def fingerprint(recipe: StyleRecipe, samples: Sequence[scenes.Sample]) -> str:
    """Changes when the windows would: by recipe, photos, or what the teachers make of the first window."""
    probe = make_windows(recipe, samples, 1, lambda: None)
    settings = (recipe.styles, recipe.windows, recipe.seed)
    names = [sample.photo.name for sample in samples]
    digest = hashlib.sha256(repr((settings, names)).encode())
    digest.update(probe.pictures.tobytes() + probe.targets.tobytes())
    return digest.hexdigest()[:16]


def draw_batch(windows: StyleWindows, crop: int, seed: int, step: int) -> StyleBatch:
    """The batch of a step: depends on seed and step alone, so a resumed run sees what it would have seen."""
    rng = np.random.default_rng((seed, step))
    count, styles, side = windows.targets.shape[:3]
    pictures, targets, fields = [], [], []
    for style in range(styles):
        i = int(rng.integers(count))
        row, column = (int(v) for v in rng.integers(side - crop + 1, size=2))
        area = (slice(row, row + crop), slice(column, column + crop))
        pictures.append(windows.pictures[i][area])
        targets.append(windows.targets[i, style][area])
        fields.append(
            textures.textures(crop, crop, (int(windows.origins[i, 0]) + row, int(windows.origins[i, 1]) + column))
        )
    return StyleBatch(
        pictures=as_tensor(np.stack(pictures)),
        targets=as_tensor(np.stack(targets)),
        textures=torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2),
        style=torch.arange(styles),
    )


def _render(samples: Sequence[scenes.Sample], rng: np.random.Generator, size: int, *, cut_out: bool) -> Picture:
    sample = samples[int(rng.integers(len(samples)))]
    return scenes.render_window(sample, size, rng, cut_out=cut_out)


def as_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in 0..1, channels last in memory."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0
