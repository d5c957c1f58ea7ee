"""Photos from files, for the command lines of this room. The pipeline has a decoder of its own that trusts nothing."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Mask, Picture

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")


def photos_under(folder: Path) -> Iterator[Path]:
    """Relative paths of all photos in all folders below, in order; `ValueError` where there is no such folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield path.relative_to(folder)


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file that was named, and every photo in a folder that was named."""
    for path in paths:
        if path.is_dir():
            yield from (path / name for name in photos_under(path))
        else:
            yield path


def read_photo(path: Path) -> Picture:
    """A photo, upright, sRGB, what is transparent on white; `ValueError` where it cannot be read."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is not None and stored.ndim == 3 and stored.shape[2] == 4:
        levels = _unit(stored)
        flat = levels[..., :3] * levels[..., 3:] + (1 - levels[..., 3:])
        return np.asarray((flat[..., ::-1] * 255).round().astype(np.uint8))
    # Read again: only this way the orientation is applied and 16 bits become 8.
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if photo is None:
        raise ValueError(f"{path} is not a readable picture")
    return np.asarray(photo, np.uint8)


def read_mask(path: Path) -> Mask:
    """A mask `[H, W]` in 0..1: the alpha channel of a file that has one, else its grey."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError(f"{path} is not a readable picture")
    alpha = stored[..., -1] if stored.ndim == 3 and stored.shape[2] == 4 else stored
    alpha = alpha[..., 0] if alpha.ndim == 3 else alpha
    return _unit(alpha)


def _unit(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Levels of any type in 0..1."""
    white = np.iinfo(stored.dtype).max if stored.dtype.kind in "iu" else 1.0
    return np.asarray(np.clip(stored.astype(np.float32) / np.float32(white), 0, 1), np.float32)


def write_rgba(path: Path, picture: Picture, alpha: Mask) -> None:
    """A PNG with the alpha as its transparency, whole or not at all."""
    levels = (alpha * 255).round().astype(np.uint8)
    coded, body = cv2.imencode(".png", np.dstack([picture[..., ::-1], levels]))
    if not coded:
        raise OSError(f"{path} could not be written")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(body.tobytes())
    partial.replace(path)
