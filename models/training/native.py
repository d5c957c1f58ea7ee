"""Photos at their own size, decoded once: for nets that see single pixels (resizing hides noise and blur)."""

import csv
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Picture
from models.training.scenes import HELP, DataError

Levels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePhotos:
    """N photos and their masks, one after the other in a memory-mapped array."""

    #: uint8 [pixels of all photos, 4]: red, green, blue, mask.
    stored: Levels
    #: Height, width and first pixel of each photo: int64 [N, 3].
    places: NDArray[np.int64]
    #: Whether the mask may be learnt from: bool [N].
    trusted: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many photos there are."""
        return len(self.places)

    def photo(self, row: int) -> Picture:
        """One photo, uint8 [H, W, 3]: a view, so that only the part that is used is read."""
        return self._layers(row)[..., :3]

    def mask(self, row: int) -> Levels:
        """Its mask, uint8 [H, W]: 255 on the product."""
        return self._layers(row)[..., 3]

    def _layers(self, row: int) -> Levels:
        height, width, first = (int(value) for value in self.places[row])
        return self.stored[first : first + height * width].reshape(height, width, 4)


def load_native(data: Path | None, split: str, cache: Path) -> NativePhotos:
    """All photos of a split; decoded once into `cache`. `DataError` where there are none."""
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
    key = hashlib.sha256(repr((rows, "native")).encode()).hexdigest()[:12]
    path, places = cache / f"native-{split}-{key}.npy", cache / f"native-{split}-{key}-places.npy"
    if not path.is_file():
        _decode(data, [name for name, _ in rows], path, places)
    return NativePhotos(
        stored=np.load(path, mmap_mode="r"),
        places=np.load(places),
        trusted=np.array([trusted for _, trusted in rows]),
    )


def _decode(data: Path, names: list[str], path: Path, places: Path) -> None:
    """Two passes: the size of the array is known only once all photos were seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = [_photo(data, name).shape[:2] for name in names]
    counts = np.array([height * width for height, width in sizes])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    np.save(places, np.column_stack([np.array(sizes), first]).astype(np.int64))
    partial = path.with_suffix(f".{os.getpid()}.partial")
    stored = np.lib.format.open_memmap(partial, "w+", np.uint8, (int(counts.sum()), 4))
    for name, (height, width), start in zip(names, sizes, first, strict=True):
        mask = cv2.imread(str(data / "masks" / name), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise DataError(f"{name}: the mask is missing under {data}")
        layers = stored[int(start) : int(start) + height * width].reshape(height, width, 4)
        layers[..., :3] = _photo(data, name)
        layers[..., 3] = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    stored.flush()
    partial.replace(path)


def _photo(data: Path, name: str) -> Picture:
    photo = cv2.imread(str((data / "photos" / name).with_suffix(".jpg")), cv2.IMREAD_COLOR_RGB)
    if photo is None:
        raise DataError(f"{name}: the photo is missing under {data}")
    return np.asarray(photo, np.uint8)
