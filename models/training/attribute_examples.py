"""Examples for the heads of attributes: garments in drawn cloth, and changed copies of photos, as the trunk sees them.

The trunk does not learn here, so each example goes through it once; what it saw is kept in files of a few hundred
examples, so that a killed run goes on where it was.
"""

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.colour import to_lab
from models.nets.product import ProductNet
from models.pictures import Mask, Picture
from models.product import squeezed
from models.training.examples import to_tensor, without_product
from models.training.patterns import PAINTERS, laid
from models.training.photos import Disturbance, Photos, as_taken, in_other_light, place, warp

KINDS = tuple(PAINTERS)
_UNKNOWN = -1
_PER_FILE, _AT_ONCE = 64, 16
#: Classes whose sleeves hang beside the body.
_SLEEVED = frozenset({"dress", "longsleeve", "outwear", "shirt", "t-shirt"})
#: Side at which the unrest of cloth is measured, and its limits for cloth to draw on, and for cloth that is plain.
_SIDE = 200
_QUIET, _PLAIN = (9.0, 4.0, 10.0), (5.0, 2.4, 7.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One picture to make."""

    #: Of the photos.
    row: int
    #: Place in `KINDS` of the cloth that is drawn; -1: its own.
    drawn: int = _UNKNOWN
    #: Whether photo and light are changed.
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """N examples as the trunk sees them."""

    #: float16 [N, D]
    pooled: NDArray[np.float16]
    #: Of which photo each is: int64 [N]
    rows: NDArray[np.int64]
    #: Places in `KINDS`, -1 where nobody knows: int64 [N]
    kinds: NDArray[np.int64]
    #: Whether the cloth was drawn: bool [N]
    drawn: NDArray[np.bool_]
    #: Whether the kind was told by a person: bool [N]
    labelled: NDArray[np.bool_]


def labels_of(data: Path, split: str) -> NDArray[np.int64]:
    """Kinds of the photos' own cloth where a person told them, else -1: int64 [N], in the order of `load_photos`."""
    told = json.loads(files("models.training").joinpath("patterns.json").read_text("utf-8"))["labels"]
    with (data / "masks" / "index.csv").open(newline="") as lines:
        names = sorted(row["mask"] for row in csv.DictReader(lines) if row["mask"].startswith(f"{split}/"))
    kinds = [told.get(Path(name).relative_to(split).with_suffix(".jpg").as_posix()) for name in names]
    return np.array([KINDS.index(kind) if kind else _UNKNOWN for kind in kinds], np.int64)


def own_kinds(photos: Photos, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Kind of each photo's own cloth, -1 where nobody knows, and whether patterns can be drawn on it: [N] each.

    Cloth that nobody looked at is plain where it is quiet; somewhat less quiet cloth can still be drawn on.
    """
    pairs = zip(photos.pictures, photos.masks, strict=True)
    restless = np.array([unrest(picture, mask) for picture, mask in pairs], np.float32)
    plain, unknown = KINDS.index("plain"), labels == _UNKNOWN
    kinds = np.where(unknown & photos.trusted & (restless < _PLAIN).all(1), plain, labels)
    ground = photos.trusted & ((unknown & (restless < _QUIET).all(1)) | (labels == plain))
    return kinds, ground if ground.any() else np.ones_like(ground)


def planned(ground: NDArray[np.bool_], copies: int, drawn: int, seed: int) -> list[Example]:
    """Every photo as it is and in changed copies, and patterns drawn on those that can bear it, each kind as often."""
    examples = [Example(row=row, changed=copy > 0) for row in range(len(ground)) for copy in range(copies + 1)]
    rows, draw = np.flatnonzero(ground), np.random.default_rng((seed, 4))
    order = np.concatenate([draw.permutation(rows) for _ in range(drawn // len(rows) + 1)])[:drawn]
    return examples + [Example(row=int(row), drawn=i % len(KINDS), changed=True) for i, row in enumerate(order)]


def unrest(picture: Picture, mask: NDArray[np.uint8]) -> tuple[float, float, float]:
    """What sets cloth apart from plain cloth in folds, in units of LAB; 99 where there is no cloth.

    Distance of hues from the commonest (92nd percentile); lightness against its surroundings (mean, 95th percentile).
    """
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    inside = cv2.erode((cv2.resize(mask, (_SIDE, _SIDE)) > 200).astype(np.uint8), np.ones((9, 9))).astype(np.bool_)
    if inside.sum() < 400:
        return 99.0, 99.0, 99.0
    lab = cv2.GaussianBlur(to_lab(np.asarray(small, np.uint8)), (0, 0), 1.0)
    hues = (lab[..., 1:] * np.clip(66 / (lab[..., :1] + 16), 0.6, 1.6))[inside]
    away = np.linalg.norm(hues - np.median(hues, 0), axis=1)
    share = inside.astype(np.float32)
    around = cv2.GaussianBlur(lab[..., 0] * share, (0, 0), 8) / np.maximum(cv2.GaussianBlur(share, (0, 0), 8), 1e-3)
    off = np.abs(lab[..., 0] - around)[inside]
    return float(np.percentile(away, 92)), float(off.mean()), float(np.percentile(off, 95))


def made(example: Example, photos: Photos, change: Disturbance, draw: np.random.Generator) -> Picture:
    """The example's picture, `uint8 [W, W, 3]`."""
    picture, mask = photos.pictures[example.row], photos.masks[example.row]
    side = picture.shape[0]
    if example.drawn >= 0:
        sleeves = photos.names[photos.classes[example.row]] in _SLEEVED
        picture = laid(picture, _unit(mask), KINDS[example.drawn], draw, sleeves=sleeves)
    if not example.changed:
        return np.asarray(picture)
    if photos.trusted[example.row] and draw.random() < change.background:
        picture = _elsewhere(picture, mask, photos, draw)
    return as_taken(in_other_light(warp(picture, place(side, side, change, draw), side), change, draw), change, draw)


def _elsewhere(picture: Picture, mask: NDArray[np.uint8], photos: Photos, draw: np.random.Generator) -> Picture:
    """The product on another photo's ground, or on a plain one."""
    ground = np.broadcast_to(draw.integers(60, 256, 3).astype(np.uint8), picture.shape)
    if draw.random() < 0.7:
        other = int(draw.integers(len(photos.classes)))
        ground = without_product(photos.pictures[other], photos.masks[other])
    alpha = _unit(mask)[..., None]
    return np.asarray((picture * alpha + ground * (1 - alpha)).round().astype(np.uint8))


def _unit(mask: NDArray[np.uint8]) -> Mask:
    return np.asarray(mask.astype(np.float32) / np.float32(255))


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes examples and shows them to the trunk."""

    photos: Photos
    net: ProductNet
    side: int
    change: Disturbance
    seed: int
    #: Where files go, and what else they depend on: the version of the net.
    cache: Path
    version: str

    def seen(self, examples: Sequence[Example], own: NDArray[np.int64], labels: NDArray[np.int64]) -> Seen:
        """All examples as the trunk sees them, what lies in the cache is not made again; `own` and `labels` tell the
        kinds of the photos' own cloth, see `own_kinds`.
        """
        key = repr([(e.row, e.drawn, e.changed) for e in examples]) + repr(asdict(self.change))
        key += f"{_PER_FILE} {self.version} {self.seed} {self.side} {self.photos.pictures.shape}"
        folder = self.cache / f"attributes-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        parts = []
        for first in range(0, len(examples), _PER_FILE):
            path = folder / f"{first:06d}.npy"
            if not path.is_file():
                partial = path.with_suffix(f".{os.getpid()}.partial")
                with partial.open("wb") as file:
                    np.save(file, self._look(examples[first : first + _PER_FILE], first))
                partial.replace(path)
            parts.append(np.load(path))
        drawn = np.array([example.drawn for example in examples])
        rows = np.array([example.row for example in examples])
        return Seen(
            pooled=np.concatenate(parts),
            rows=rows,
            kinds=np.where(drawn >= 0, drawn, own[rows]),
            drawn=drawn >= 0,
            labelled=(drawn < 0) & (labels[rows] >= 0),
        )

    def _look(self, examples: Sequence[Example], first: int) -> NDArray[np.float16]:
        """The examples of a file, float16 [N, D]: drawn on threads while the trunk looks at those before."""

        def draw(place: int) -> Picture:
            random = np.random.default_rng((self.seed, 5, first + place))
            return made(examples[place], self.photos, self.change, random)

        with ThreadPoolExecutor(2, thread_name_prefix="examples") as ahead:
            coming = ahead.map(draw, range(len(examples)))
            parts = []
            while part := list(islice(coming, _AT_ONCE)):
                parts.append(self.look(part).cpu().numpy().astype(np.float16))
        return np.concatenate(parts)

    @torch.inference_mode()
    def look(self, pictures: Sequence[Picture]) -> Tensor:
        """What the trunk sees in pictures: float32 [N, D]."""
        device = next(self.net.parameters()).device
        batch = to_tensor(np.stack([squeezed(picture, self.side) for picture in pictures])).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            pooled: Tensor = self.net(batch).features.float()
        return pooled
