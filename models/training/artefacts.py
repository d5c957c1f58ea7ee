"""Measure the figures of noise and JPEG blocks: `python -m models.training.artefacts --data ../shared`.

Prints how `models/quality/artefacts.py` tells validation photos as they are from the same photos with noise added or
compressed again: what the limits in `serve/catalog/quality.yaml` were chosen from.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.pictures import Picture
from models.quality.artefacts import blockiness_of, noise_of
from models.training.cutouts import trusted
from models.training.enhancement import compressed, noisy

Draw = np.random.Generator
CASES: dict[str, Callable[[Picture, Draw], Picture]] = {
    "as it is": lambda picture, _: picture,
    "noise 5": lambda picture, draw: noisy(picture, 5, draw),
    "noise 10": lambda picture, draw: noisy(picture, 10, draw),
    "noise 20": lambda picture, draw: noisy(picture, 20, draw),
    "noise 10, JPEG 92": lambda picture, draw: compressed(noisy(picture, 10, draw), 92),
    "noise 20, JPEG 92": lambda picture, draw: compressed(noisy(picture, 20, draw), 92),
    "JPEG 90": lambda picture, _: compressed(picture, 90),
    "JPEG 50": lambda picture, _: compressed(picture, 50),
    "JPEG 20": lambda picture, _: compressed(picture, 20),
    "JPEG 10": lambda picture, _: compressed(picture, 10),
    "JPEG 10, cropped by 3 px": lambda picture, _: np.ascontiguousarray(compressed(picture, 10)[3:, 3:]),
}


def measure(data: Path, count: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Noise and blockiness, `[photos, 2]`, for each case."""
    draw = np.random.default_rng(0)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for photo, mask in trusted(data, "validation", count):
        for name, case in CASES.items():
            changed = case(photo, draw)
            cut = photo.shape[0] - changed.shape[0]
            rows[name].append((noise_of(changed, mask[cut:, cut:]), blockiness_of(changed)))
    return {name: np.array(values) for name, values in rows.items()}


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.artefacts", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--limits", type=float, nargs=2, default=(3.5, 2.0), metavar=("NOISE", "BLOCKINESS"))
    options = parser.parse_args(arguments)
    sys.stdout.write("case | n | noise 10, 50, 90, 97 % | above | blockiness 10, 50, 90, 97 % | above\n")
    for name, values in measure(options.data, options.count).items():
        line = f"{name} | {len(values)}"
        for column, limit in zip(values.T, options.limits, strict=True):
            spread = ", ".join(f"{value:.2f}" for value in np.percentile(column, [10, 50, 90, 97]))
            line += f" | {spread} | {(column > limit).mean():.1%}"
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
