"""A few drawn photos with masks, and weights of untrained nets, as training and serving expect them on disk."""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from safetensors.torch import save
from torch import nn

from models.registry.manifest import WeightsEntry, enlist
from serve.interfaces import Picture


def cloth(seed: int, height: int = 96, width: int = 80) -> Picture:
    """A checked square on a plain ground, a little grainy: `uint8 [height, width, 3]`."""
    draw = np.random.default_rng(seed)
    photo = np.full((height, width, 3), draw.integers(120, 230, 3), np.float32)
    rows, columns = np.mgrid[:height, :width]
    inside = product_of(height, width) > 0
    checks = 18 * np.sign(np.sin(rows / 3.0) * np.sin(columns / 3.0))
    photo[inside] = draw.integers(40, 200, 3) + checks[inside][:, None]
    return (photo + draw.normal(0, 1, photo.shape)).clip(0, 255).astype(np.uint8)


def product_of(height: int = 96, width: int = 80) -> np.ndarray:
    """The mask of every such photo: `uint8 [height, width]`, 0 or 255."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 6 : -height // 6, width // 6 : -width // 6] = 255
    return mask


def write_photos(root: Path, count: int = 3, height: int = 96, width: int = 80) -> Path:
    """`count` photos for each split, with masks and their index."""
    rows = []
    for split in ("train", "validation"):
        for folder in ("photos", "masks"):
            (root / folder / split / "hat").mkdir(parents=True)
        for i in range(count):
            photo = cloth(i + 10 * (split == "train"), height, width)
            cv2.imwrite(str(root / "photos" / split / "hat" / f"{i}.jpg"), photo, [cv2.IMWRITE_JPEG_QUALITY, 95])
            cv2.imwrite(str(root / "masks" / split / "hat" / f"{i}.png"), product_of(height, width))
            rows.append([f"{split}/hat/{i}.png", "yes"])
    with (root / "masks" / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["mask", "trusted"], *rows])
    return root


def write_weights(folder: Path, name: str, architecture: str, net: nn.Module, config: Mapping[str, object]) -> Path:
    """The net's tensors in a folder that `X.load(source=folder)` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    body = save({key: tensor.contiguous() for key, tensor in net.state_dict().items()})
    (folder / f"{name}.safetensors").write_bytes(body)
    (folder / f"{name}.md").write_text("")
    sha256 = hashlib.sha256(body).hexdigest()
    entry = WeightsEntry(
        file=f"{name}.safetensors",
        sha256=sha256,
        version=f"1-{sha256[:8]}",
        architecture=architecture,
        config=config,
        licence="Apache-2.0",
        card=f"{name}.md",
    )
    enlist(folder, name, entry)
    return folder
