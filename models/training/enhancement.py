"""Fit and measure the enhancement: `python -m models.training.enhancement {fit,measure} --data ../shared`.

`--data` holds `photos/` and `masks/` (see `models.training.cutouts`). Photos are damaged by known amounts. `fit` prints
the numbers that stand in `models/enhance/exposure.py` and `models/enhance/white_balance.py`; `measure` prints how much
nearer to the undamaged photo the enhancement comes, and what it does to undamaged photos.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.colour import delta_e_2000, linear_to_srgb, to_lab
from models.enhance import enhance
from models.enhance.exposure import signs as light_signs
from models.enhance.view import LINEAR, LUMA, view_of
from models.enhance.white_balance import signs as cast_signs
from models.pictures import Floats, Mask, Picture
from models.quality.measures import ssim
from models.training.cutouts import trusted

Damage = Callable[[Picture, np.random.Generator], Picture]


def lit(picture: Picture, stops: float, warmth: float = 0.0, tint: float = 0.0) -> Picture:
    """The photo under `stops` more light that is warmer by `warmth` stops and more magenta by `tint`."""
    return _filed(_under(picture, stops, warmth, tint))


def _under(picture: Picture, stops: float, warmth: float, tint: float) -> Floats:
    gains = np.exp2(np.array([tint + warmth, 0.0, tint - warmth], dtype=np.float32))
    gains *= np.float32(2.0**stops) / float(gains @ LUMA)
    return linear_to_srgb(np.clip(LINEAR[picture] * gains, 0, 1)) * np.float32(255)


def blurred(picture: Picture, sigma: float) -> Picture:
    """The photo out of focus."""
    return _filed(cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32))


def noisy(picture: Picture, sigma: float, draw: np.random.Generator) -> Picture:
    """The photo with Gaussian noise of `sigma` sRGB levels on each channel, not compressed again."""
    noise = draw.normal(0, sigma, picture.shape).astype(np.float32)
    return np.asarray(np.clip(picture + noise + 0.5, 0, 255), dtype=np.uint8)


def compressed(picture: Picture, quality: int) -> Picture:
    """The photo as a JPEG of this quality."""
    swapped = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, body = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(body, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def _filed(values: Floats) -> Picture:
    """What a camera would have stored: eight bits, JPEG of quality 92."""
    return compressed(np.clip(values + 0.5, 0, 255).astype(np.uint8), 92)


#: The damage that `measure` does, by name.
DAMAGES: dict[str, Damage] = {
    "none": lambda picture, _: picture,
    "2 stops darker": lambda picture, _: lit(picture, -2),
    "1.5 stops darker": lambda picture, _: lit(picture, -1.5),
    "1 stop darker": lambda picture, _: lit(picture, -1),
    "0.5 stops darker": lambda picture, _: lit(picture, -0.5),
    "0.7 stops lighter": lambda picture, _: lit(picture, 0.7),
    "1 stop lighter": lambda picture, _: lit(picture, 1),
    "warm by 0.3": lambda picture, _: lit(picture, 0, 0.3),
    "warm by 0.5": lambda picture, _: lit(picture, 0, 0.5),
    "cool by 0.3": lambda picture, _: lit(picture, 0, -0.3),
    "cool by 0.5": lambda picture, _: lit(picture, 0, -0.5),
    "warm by 0.5, 1 stop darker": lambda picture, _: lit(picture, -1, 0.5),
    "blur 1.5 px": lambda picture, _: blurred(picture, 1.5),
    "blur 2 px": lambda picture, _: blurred(picture, 2.0),
    "noise 5": lambda picture, draw: noisy(picture, 5, draw),
    "noise 10": lambda picture, draw: noisy(picture, 10, draw),
    "JPEG quality 20": lambda picture, _: compressed(picture, 20),
}


def fit(data: Path, count: int, split: str = "train") -> tuple[Floats, Floats]:
    """Weights and last the bias of the two estimates, from four versions of each photo, one of them undamaged."""
    draw = np.random.default_rng(0)
    light, cast, stops, warmths = [], [], [], []
    for photo, mask in trusted(data, split, count):
        view = view_of(photo, mask)
        for turn in range(4):
            off = draw.uniform(-2.2, 1.2) if turn else 0.0
            light.append(light_signs(view_of(_lit_quickly(view.picture, off, 0, 0), _plain(view.product))))
            stops.append(off)
            warmth, tint = (draw.uniform(-0.7, 0.7), draw.normal(0, 0.06)) if turn else (0.0, 0.0)
            dimmed = _lit_quickly(view.picture, draw.uniform(-1, 0.4) if turn else 0.0, warmth, tint)
            cast.append(cast_signs(view_of(dimmed, _plain(view.product))))
            warmths.append(warmth)
    return ridge(np.array(light), np.array(stops)), ridge(np.array(cast), np.array(warmths))


def _plain(product: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Mask:
    return product.astype(np.float32)


def _lit_quickly(picture: Picture, stops: float, warmth: float, tint: float) -> Picture:
    return np.asarray(_under(picture, stops, warmth, tint) + 0.5, dtype=np.uint8)


def ridge(rows: Floats, truth: Floats, penalty: float = 0.01) -> Floats:
    """Weights and last the bias of a linear regression; `penalty` is on the standardised columns, per row."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-6
    design = np.concatenate([(rows - mean) / spread, np.ones((len(rows), 1))], 1).astype(np.float64)
    load = np.diag([penalty * len(rows)] * rows.shape[1] + [0.0])
    weights = np.linalg.solve(design.T @ design + load, design.T @ truth)
    plain = weights[:-1] / spread
    return np.array([*plain, weights[-1] - plain @ mean], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Row:
    """One photo under one damage: CIEDE2000, L* and SSIM inside the product against the undamaged photo."""

    colour_before: float
    colour_after: float
    light_before: float
    light_after: float
    structure_before: float
    structure_after: float
    applied: tuple[str, ...]


def measure(data: Path, count: int) -> Iterator[tuple[str, list[Row]]]:
    """Damage validation photos and enhance them."""
    photos = list(trusted(data, "validation", count))
    for name, damage in DAMAGES.items():
        draw = np.random.default_rng(1)
        yield name, [_row(photo, mask, damage(photo, draw)) for photo, mask in photos]


def _row(truth: Picture, mask: Mask, damaged: Picture) -> Row:
    inside = mask > 0.9
    done = enhance(damaged, mask)
    planes = [to_lab(picture) for picture in (truth, damaged, done.pixels)]
    structure = [float(ssim(plane[..., 0], planes[0][..., 0])[inside].mean()) for plane in planes]
    lab, before, after = (plane[inside][::5] for plane in planes)
    return Row(
        colour_before=float(delta_e_2000(before, lab).mean()),
        colour_after=float(delta_e_2000(after, lab).mean()),
        light_before=float(abs(before[:, 0].mean() - lab[:, 0].mean())),
        light_after=float(abs(after[:, 0].mean() - lab[:, 0].mean())),
        structure_before=structure[1],
        structure_after=structure[2],
        applied=tuple(one.part for one in done.applied),
    )


_FIGURES = ("colour_before", "colour_after", "light_before", "light_after", "structure_before", "structure_after")


def _print_measure(data: Path, count: int) -> None:
    parts = ("exposure", "white_balance", "denoise", "sharpen")
    _say(
        "damage | dE00 before | after | L* before | after | SSIM before | after | changed | nearer of changed |",
        " | ".join(parts),
    )
    for name, rows in measure(data, count):
        changed = [row for row in rows if row.applied]
        better = np.mean([row.colour_after < row.colour_before for row in changed]) if changed else float("nan")
        means = [float(np.mean([getattr(row, field) for row in rows])) for field in _FIGURES]
        shares = [float(np.mean([part in row.applied for row in rows])) for part in parts]
        figures = " | ".join(f"{value:.2f}" for value in [*means, len(changed) / len(rows), float(better), *shares])
        _say(f"{name} | {figures}")
        if name == "none":
            after = [row.colour_after for row in rows]
            _say(f"  n = {len(rows)}; dE00 mean {np.mean(after):.3f}, 95th percentile {np.percentile(after, 95):.3f}")


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.enhancement", description=__doc__)
    parser.add_argument("task", choices=["fit", "measure"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=900)
    options = parser.parse_args(arguments)
    if options.task == "measure":
        _print_measure(options.data, options.count)
        return
    for name, weights in zip(("exposure", "white balance"), fit(options.data, options.count), strict=True):
        _say(f"{name}: weights {', '.join(f'{weight:.4f}' for weight in weights[:-1])}; bias {weights[-1]:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
