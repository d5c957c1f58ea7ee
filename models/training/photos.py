"""The photos that the product net learns from, decoded once and kept as arrays, and what is done to them."""

import csv
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Picture
from models.training.scenes import HELP, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """N photos, each squeezed into a square of side W."""

    #: uint8 [N, W, W, 3]
    pictures: NDArray[np.uint8]
    #: uint8 [N, W, W]
    masks: NDArray[np.uint8]
    #: Whether the mask may be learnt from: bool [N]
    trusted: NDArray[np.bool_]
    #: int64 [N], places in `names`.
    classes: NDArray[np.int64]
    names: tuple[str, ...]


def load_photos(data: Path | None, split: str, side: int, cache: Path) -> Photos:
    """All photos of a split, class by class; decoded once, then mapped from `cache`."""
    if data is None or not (data / "masks" / "index.csv").is_file():
        raise DataError(f"no training photos: {HELP}")
    with (data / "masks" / "index.csv").open(newline="") as lines:
        rows = sorted(
            (row["mask"], row["trusted"] == "yes")
            for row in csv.DictReader(lines)
            if row["mask"].startswith(f"{split}/")
        )
    if not rows:
        raise DataError(f"no photo of the split {split!r} under {data}: {HELP}")
    labels = [name.split("/")[1] for name, _ in rows]
    names = tuple(sorted(set(labels)))
    key = hashlib.sha256(repr((rows, side)).encode()).hexdigest()[:12]
    path = cache / f"photos-{split}-{key}.npy"
    if not path.is_file():
        _decode(data, [name for name, _ in rows], side, path)
    stored = np.load(path, mmap_mode="r")
    return Photos(
        pictures=stored[..., :3],
        masks=stored[..., 3],
        trusted=np.array([trusted for _, trusted in rows]),
        classes=np.array([names.index(label) for label in labels]),
        names=names,
    )


def _decode(data: Path, names: list[str], side: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    stored = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(names), side, side, 4))
    for row, name in enumerate(names):
        photo = cv2.imread(str((data / "photos" / name).with_suffix(".jpg")), cv2.IMREAD_COLOR_RGB)
        mask = cv2.imread(str(data / "masks" / name), cv2.IMREAD_GRAYSCALE)
        if photo is None or mask is None:
            raise DataError(f"{name}: photo or mask is missing under {data}")
        stored[row, ..., :3] = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
        stored[row, ..., 3] = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    stored.flush()
    partial.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """How strongly examples are changed, and how often."""

    rotation: float = 12.0
    #: Smallest and largest zoom.
    zoom: tuple[float, float] = (0.85, 1.4)
    #: Largest change of width against height, as a factor.
    stretch: float = 1.25
    background: float = 0.25
    shadow: float = 0.3
    exposure: float = 0.35
    cast: float = 0.12
    saturation: float = 0.4
    grey: float = 0.05
    blur: float = 0.1
    noise: float = 0.12
    jpeg: float = 0.25


def place(side: int, target: int, change: Disturbance, draw: np.random.Generator) -> NDArray[np.float64]:
    """Random affine map [2, 3] from a photo of side `side` to an example of side `target`."""
    angle = np.deg2rad(np.clip(draw.normal(0, change.rotation / 2), -change.rotation, change.rotation))
    zoom = np.exp(draw.uniform(*np.log(change.zoom))) * target / side
    stretch = np.exp(draw.uniform(-0.5, 0.5) * np.log(change.stretch))
    flip = -1.0 if draw.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scale = turn @ np.diag([flip * zoom * stretch, zoom / stretch])
    slack = max(0.08, abs(zoom * side / target - 1) / 2) * target
    shift = target / 2 + draw.uniform(-slack, slack, 2) - scale @ np.array([side / 2, side / 2])
    return np.column_stack([scale, shift])


def warp(image: NDArray[np.uint8], place: NDArray[np.float64], target: int) -> NDArray[np.uint8]:
    """The part of the image that the map shows, continued by reflection."""
    size = (target, target)
    warped: NDArray[Any] = cv2.warpAffine(image, place, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)


def in_other_light(picture: Picture, change: Disturbance, draw: np.random.Generator) -> Picture:
    """Exposure, contrast, white balance, saturation, a soft shadow: as another lamp would show it."""
    values = picture.astype(np.float32) / np.float32(255)
    values **= np.float32(np.exp(draw.normal(0, change.exposure / 2)))
    values *= np.exp(draw.normal(0, change.cast / 2, 3)).astype(np.float32)
    grey = values.mean(2, keepdims=True)
    colour = 0.0 if draw.random() < change.grey else np.exp(draw.normal(0, change.saturation / 2))
    values = grey + np.float32(colour) * (values - grey)
    if draw.random() < change.shadow:
        values *= _shadow(picture.shape[0], draw)[..., None]
    middle = np.float32(draw.uniform(0.3, 0.7))
    values = (values - middle) * np.float32(np.exp(draw.normal(0, 0.12))) + middle
    return np.asarray(np.clip(values * 255, 0, 255).astype(np.uint8))


def _shadow(side: int, draw: np.random.Generator) -> NDArray[np.float32]:
    """A soft field of light, float32 [side, side]: a few bright and dark spots, smoothly joined."""
    spots = draw.uniform(0.45, 1.1, (int(draw.integers(2, 6)), int(draw.integers(2, 6)))).astype(np.float32)
    return np.asarray(cv2.resize(spots, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def as_taken(picture: Picture, change: Disturbance, draw: np.random.Generator) -> Picture:
    """Blur, noise and compression, as a poor camera leaves them."""
    if draw.random() < change.blur:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), draw.uniform(0.5, 1.5)), np.uint8)
    if draw.random() < change.noise:
        noise = draw.normal(0, draw.uniform(3, 18), picture.shape)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if draw.random() < change.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(20, 90))]
        _, coded = cv2.imencode(".jpg", picture, quality)
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return picture
