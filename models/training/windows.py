"""Windows at the served scale with what every drawing filter makes of them, drawn once and mapped from disk."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.pictures import Picture
from models.styles.filters import FILTERS
from models.styles.textures import TILE
from models.training.readers import on_all_cores
from models.training.scenes import Sample, render_window

#: What the teachers see around a window, so that its rim is drawn as inside a whole picture.
MARGIN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """Which windows to draw: so many of so many pixels, in these styles."""

    styles: tuple[str, ...]
    count: int
    side: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """N windows of side W and their targets in S styles."""

    #: uint8 [N, W, W, 3]
    pictures: NDArray[np.uint8]
    #: uint8 [N, S, W, W, 3]
    targets: NDArray[np.uint8]
    #: Place of each window on the textures, (row, column): int64 [N, 2]
    origins: NDArray[np.int64]


def load_windows(plan: WindowPlan, samples: Sequence[Sample], cache: Path) -> Windows:
    """Draw the windows unless the cache has them; every second one shows its product cut out."""
    path = cache / f"windows-{fingerprint(plan, samples)}.npy"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.partial")
        shape = (plan.count, 1 + len(plan.styles), plan.side, plan.side, 3)
        stored = np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)
        for number, drawn in enumerate(on_all_cores(partial(draw_window, plan, samples), plan.count)):
            stored[number] = drawn
        stored.flush()
        unfinished.replace(path)
    everything = np.load(path, mmap_mode="r")
    origins = np.stack([_origin(plan, number) for number in range(plan.count)])
    return Windows(pictures=everything[:, 0], targets=everything[:, 1:], origins=origins)


def draw_window(plan: WindowPlan, samples: Sequence[Sample], number: int) -> NDArray[np.uint8]:
    """A window, then its target in each style: uint8 [1 + S, W, W, 3]; depends on plan and number alone."""
    draw = np.random.default_rng((plan.seed, number))
    sample = samples[int(draw.integers(len(samples)))]
    wide = render_window(sample, plan.side + 2 * MARGIN, draw, cut_out=number % 2 == 0)
    row, column = (int(place) - MARGIN for place in _origin(plan, number))
    inside = slice(MARGIN, MARGIN + plan.side)
    drawn: list[Picture] = [wide, *[FILTERS[style](wide, (row, column)) for style in plan.styles]]
    return np.stack([picture[inside, inside] for picture in drawn])


def _origin(plan: WindowPlan, number: int) -> NDArray[np.int64]:
    return np.random.default_rng((plan.seed, number, 1)).integers(TILE, size=2)


def fingerprint(plan: WindowPlan, samples: Sequence[Sample]) -> str:
    """Changes when the windows would: by plan, photos, or what the teachers make of the first window."""
    names = [sample.photo.name for sample in samples]
    digest = hashlib.sha256(repr((astuple(plan), MARGIN, names)).encode())
    digest.update(draw_window(plan, samples, 0).tobytes())
    return digest.hexdigest()[:16]
