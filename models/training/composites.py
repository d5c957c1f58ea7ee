"""Pictures as the studio makes them, cut well and cut badly: what photos are told from."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.backdrops import Backdrop, InScene, Plain
from models.pictures import Mask, Picture
from models.scenes.registry import SCENES
from models.studio import StudioShot, compose
from models.training.native import NativePhotos
from models.training.readers import on_all_cores

#: Of shots that are larger, a part of this side is kept.
_SIDE = 448


@dataclass(frozen=True, slots=True, kw_only=True)
class Composites:
    """N pairs of one photo: cut by its mask, and cut badly."""

    #: uint8 [N, 2, W, W, 4]: red, green, blue, mask.
    stored: NDArray[np.uint8]

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.stored)

    def picture(self, row: int, *, bad: bool) -> tuple[Picture, Mask]:
        """One of them, and the mask that it was cut by."""
        layers = self.stored[row, int(bad)]
        return np.ascontiguousarray(layers[..., :3]), layers[..., 3].astype(np.float32) / np.float32(255)


def load_composites(photos: NativePhotos, count: int, seed: int, cache: Path) -> Composites:
    """Pairs of `count` photos with trusted masks (all, where there are fewer); made once, then mapped from `cache`."""
    rows = np.random.default_rng((seed, 11)).permutation(np.flatnonzero(photos.trusted))[:count]
    start = photos.stored[:4096].tobytes()
    key = hashlib.sha256(repr((start, photos.places.tobytes(), rows.tolist(), seed, 1)).encode()).hexdigest()[:12]
    path = cache / f"composites-{key}.npy"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.partial")
        stored = np.lib.format.open_memmap(unfinished, "w+", np.uint8, (len(rows), 2, _SIDE, _SIDE, 4))
        for place, pair in enumerate(
            on_all_cores(lambda place: _stored_pair(photos, int(rows[place]), seed), len(rows))
        ):
            stored[place] = pair
        stored.flush()
        unfinished.replace(path)
    return Composites(stored=np.load(path, mmap_mode="r"))


def _stored_pair(photos: NativePhotos, row: int, seed: int) -> NDArray[np.uint8]:
    """Windows of both shots of a photo: uint8 [2, S, S, 4], red, green, blue, mask."""
    pair = np.empty((2, _SIDE, _SIDE, 4), np.uint8)
    mask = photos.mask(row).astype(np.float32) / np.float32(255)
    for layers, shot in zip(
        pair, composed_pair(np.ascontiguousarray(photos.photo(row)), mask, (seed, row)), strict=True
    ):
        window = _window(shot.mask, np.random.default_rng((seed, 12, row)))
        layers[..., :3] = shot.pixels[window]
        layers[..., 3] = (shot.mask[window] * 255).round()
    return pair


def composed_pair(photo: Picture, mask: Mask, seed: Sequence[int]) -> tuple[StudioShot, StudioShot]:
    """The product on a plain ground or in a scene, cut by its mask and cut badly."""
    draw = np.random.default_rng((*seed, 13))
    side = int(draw.integers(_SIDE, 2 * _SIDE + 1))
    backdrop = _backdrop(draw)
    figure, bad = int(draw.integers(1 << 30)), badly_cut(mask, draw)
    first, second = (
        compose(photo, alpha, size=(side, side), backdrop=backdrop, fill=0.88, shadow=True, seed=figure)
        for alpha in (mask, bad)
    )
    return first, second


def _backdrop(draw: np.random.Generator) -> Backdrop:
    if draw.random() < 0.4:
        level = 255 if draw.random() < 0.5 else int(draw.integers(190, 256))
        return Plain((level, level, level))
    scene = SCENES[sorted(SCENES)[int(draw.integers(len(SCENES)))]]
    return InScene(scene, scene.light)


def _grown(mask: Mask, draw: np.random.Generator) -> Mask:
    """A halo of the old background, or a rim that is missing."""
    side = 2 * int(draw.integers(2, 7)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask, disc) if draw.random() < 0.7 else cv2.erode(mask, disc), np.float32)


def _coarse(mask: Mask, draw: np.random.Generator) -> Mask:
    """The outline of a mask that was found on a far smaller picture."""
    height, width = mask.shape
    factor = int(draw.integers(10, 24))
    small = cv2.resize(mask, (max(2, width // factor), max(2, height // factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip((cv2.resize(small, (width, height)) - 0.5) * 3 + 0.5, 0, 1), np.float32)


def _patched(mask: Mask, draw: np.random.Generator) -> Mask:
    """Some patches along the outline are lost, others of the background kept."""
    found = mask.copy()
    outline = np.argwhere(cv2.morphologyEx((mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))))
    for _ in range(int(draw.integers(3, 9))):
        row, column = (int(value) for value in outline[int(draw.integers(len(outline)))])
        axes = tuple(int(value) for value in draw.integers(8, max(9, min(mask.shape) // 9), 2))
        cv2.ellipse(found, (column, row), axes, float(draw.uniform(0, 180)), 0, 360, float(draw.integers(2)), -1)
    return np.asarray(cv2.GaussianBlur(found, (0, 0), 0.8), np.float32)


_CUTS: tuple[Callable[[Mask, np.random.Generator], Mask], ...] = (_grown, _coarse, _patched)


def badly_cut(mask: Mask, draw: np.random.Generator) -> Mask:
    """A mask as cut-outs go wrong, float32 [H, W] in 0..1; a mask without product stays as it is."""
    if not (mask > 0.5).any() or (mask > 0.5).all():
        return mask
    return _CUTS[int(draw.integers(len(_CUTS)))](mask, draw)


def _window(mask: Mask, draw: np.random.Generator) -> tuple[slice, slice]:
    """A part of the stored side around a place on the product."""
    inside = np.argwhere(mask > 0.5)
    centre = inside[int(draw.integers(len(inside)))] if len(inside) else np.array(mask.shape) // 2
    corner = np.clip(centre - _SIDE // 2, 0, np.array(mask.shape) - _SIDE)
    return slice(int(corner[0]), int(corner[0]) + _SIDE), slice(int(corner[1]), int(corner[1]) + _SIDE)
