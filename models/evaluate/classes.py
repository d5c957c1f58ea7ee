"""How often the class of a photo is recognised."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.photo_files import photos_under, read_photo
from models.product import ProductModel

_AT_ONCE = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos in one folder per class")
    parser.add_argument("--weights", type=Path, help="folder with weights.json, or a .safetensors file")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """The figures over all photos whose folder is a class of the weights."""
    model = ProductModel.load(weights=options.weights)
    known = [name for name in photos_under(options.images) if name.parent.name in model.classes]
    skipped = sum(1 for _ in photos_under(options.images)) - len(known)
    if not known:
        raise ValueError(f"no folder under {options.images} is one of: {', '.join(model.classes)}")
    confusion = np.zeros((len(model.classes), len(model.classes)), np.int64)
    for first in range(0, len(known), _AT_ONCE):
        part = known[first : first + _AT_ONCE]
        for name, sight in zip(part, model.see([read_photo(options.images / one) for one in part]), strict=True):
            confusion[model.classes.index(name.parent.name), int(sight.classes.argmax())] += 1
        sys.stderr.write(f"{first + len(part)} of {len(known)}\n")
    return {
        **summary(confusion),
        "classes": list(model.classes),
        "confusion": confusion.tolist(),
        "n": len(known),
        "skipped": skipped,
        "version": model.version,
    }


def summary(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy and macro-F1 of a matrix [true, found]; classes that do not occur are left out of the mean."""
    right = np.diag(confusion).astype(np.float64)
    either = confusion.sum(0) + confusion.sum(1)
    f1 = 2 * right / np.maximum(either, 1)
    return {
        "accuracy": round(float(right.sum() / max(1, confusion.sum())), 4),
        "macro_f1": round(float(f1[confusion.sum(1) > 0].mean()), 4),
    }
