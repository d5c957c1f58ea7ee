"""Training windows as they will be served: raw photos, and garments cut out on a light seamless background."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

HELP = (
    "give --data DIR: a folder with photos/{train,validation}/CLASS/*.jpg and alpha masks of the same names as "
    "masks/{train,validation}/CLASS/*.png, listed in masks/index.csv with the columns `mask` and `trusted` "
    "(here: --data ../shared; any clothing photos with alpha masks will do)"
)


class DataError(Exception):
    """The training data cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A photo and the alpha mask of its product."""

    photo: Path
    mask: Path


def find_samples(data: Path | None, split: str) -> list[Sample]:
    """All photos of a split whose mask is trusted, in a fixed order; `DataError` where there are none."""
    if data is None:
        raise DataError(f"no training photos: {HELP}")
    index = data / "masks" / "index.csv"
    if not index.is_file():
        raise DataError(f"{index} is missing: {HELP}")
    with index.open(newline="") as rows:
        names = sorted(
            row["mask"]
            for row in csv.DictReader(rows)
            if row["trusted"] == "yes" and row["mask"].startswith(f"{split}/")
        )
    samples = [Sample(photo=(data / "photos" / n).with_suffix(".jpg"), mask=data / "masks" / n) for n in names]
    samples = [sample for sample in samples if sample.photo.is_file() and sample.mask.is_file()]
    if not samples:
        raise DataError(f"no trusted photo of the split {split!r} under {data}: {HELP}")
    return samples


def render_window(sample: Sample, size: int, rng: np.random.Generator, *, cut_out: bool) -> Picture:
    """A random window of the photo at the served scale: uint8 [size, size, 3]."""
    photo = cv2.cvtColor(_read(sample.photo, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    mask = _alpha(_read(sample.mask, cv2.IMREAD_UNCHANGED), photo.shape[:2])
    place = _placement(mask if cut_out else np.full_like(mask, 255), size, rng)
    picture = _warp(photo, place, size, cv2.BORDER_REFLECT_101).astype(np.float32) / 255.0
    picture = np.clip(picture * np.float32(rng.uniform(0.85, 1.15)), 0, 1)
    if cut_out:
        alpha = np.clip(_warp(mask, place, size, cv2.BORDER_CONSTANT).astype(np.float32) / 255.0, 0, 1)
        backdrop = _seamless(alpha, rng)
        picture = alpha[..., None] * picture + (1 - alpha[..., None]) * backdrop
    return np.asarray(np.rint(picture * 255.0), np.uint8)


def _read(path: Path, flags: int) -> Picture:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise DataError(f"{path} is not a readable image")
    return np.asarray(image, np.uint8)


def _alpha(mask: Picture, shape: tuple[int, ...]) -> Picture:
    mask = mask[..., -1] if mask.ndim == 3 else mask
    if mask.shape != shape:
        mask = np.asarray(cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(mask, np.uint8)


def _placement(mask: Picture, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Affine map [2, 3] from photo to window: scaled to 800..1,100 px, perhaps mirrored, centred near the product."""
    height, width = mask.shape
    scale = rng.uniform(800, 1100) / max(height, width)
    rows, columns = np.nonzero(mask > 127)
    pick = int(rng.integers(len(rows))) if len(rows) else 0
    centre = np.array([columns[pick], rows[pick]], float) if len(rows) else np.array([width / 2, height / 2])
    jitter = rng.uniform(-0.5, 0.5, 2) * size
    flip = -1.0 if rng.random() < 0.5 else 1.0
    shift = size / 2 + jitter - scale * centre * (flip, 1.0)
    return np.array([[flip * scale, 0, shift[0]], [0, scale, shift[1]]])


def _warp(image: NDArray[Any], place: NDArray[np.float64], size: int, border: int) -> Picture:
    return np.asarray(cv2.warpAffine(image, place, (size, size), flags=cv2.INTER_CUBIC, borderMode=border), np.uint8)


def _seamless(alpha: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """White (two of three) or a light colour, with a soft contact shadow below the product: float32 [H, W, 3]."""
    colour = np.ones(3, np.float32)
    if rng.random() < 1 / 3:
        colour = (rng.uniform(0.82, 0.99) + rng.uniform(-0.06, 0.06, 3)).clip(0, 1).astype(np.float32)
    shadow = np.zeros_like(alpha)
    if rng.random() < 2 / 3:
        drop = np.array([[1, 0, rng.uniform(-8, 8)], [0, 1, rng.uniform(4, 22)]])
        cast = cv2.warpAffine(alpha, drop, alpha.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        shadow = rng.uniform(0.1, 0.4) * cv2.GaussianBlur(cast, (0, 0), rng.uniform(5, 20))
    return np.asarray(colour * (1.0 - shadow[..., None]), np.float32)
