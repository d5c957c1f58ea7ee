"""How well holes in photos are filled, against OpenCV's two methods; with masks, how well stains are found as well."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.evaluate.restoration import chosen
from models.photo_files import photos_under, read_mask, read_photo
from models.pictures import Mask, Picture
from models.repair.inpainting import Inpainter
from models.repair.stains import StainDetector
from models.training.blemishes import KINDS, Blemish, blemished, blot, scratch

#: OpenCV's methods, each with the reaches that are tried; the best of all counts, for each photo anew.
METHODS = {"ns": cv2.INPAINT_NS, "telea": cv2.INPAINT_TELEA}
REACHES = (3, 5)
#: A hole's radius, as a share of the photo's short side.
RADIUS = (0.01, 0.07)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos, in any folders")
    parser.add_argument("--masks", type=Path, help="masks of the products: the same relative paths, with .png")
    parser.add_argument("--weights", type=Path, help="folder with weights.json")
    parser.add_argument("--limit", type=int, default=0, help="so many photos, evenly spread; 0 for all")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """Mean PSNR in the holes in dB, and the share of photos on which the net beats the best classical filling."""
    inpainter = Inpainter.load(source=options.weights)
    names = chosen(list(photos_under(options.images)), options.limit)
    if not names:
        raise ValueError(f"no photo under {options.images}")
    seen: dict[str, list[float]] = defaultdict(list)
    for number, name in enumerate(names, 1):
        photo = read_photo(options.images / name)
        product = _product(options.masks, name, photo.shape)
        for figure, value in _figures(inpainter, photo, product, number).items():
            seen[figure].append(value)
        if number % 25 == 0:
            sys.stderr.write(f"{number} of {len(names)}\n")
    means = {figure: round(float(np.mean(values)), 3) for figure, values in seen.items()}
    stains = _stains(options, names) if options.masks else {}
    return {"n": len(names), **means, "version": inpainter.version, **stains}


def _product(masks: Path | None, name: Path, size: tuple[int, ...]) -> Mask:
    """Where holes may lie: on the product, without a mask in the middle of the photo."""
    height, width = size[:2]
    path = (masks / name).with_suffix(".png") if masks else None
    if path is not None and path.is_file():
        return np.asarray(cv2.resize(read_mask(path), (width, height), interpolation=cv2.INTER_AREA), np.float32)
    middle = np.zeros((height, width), np.float32)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = 1
    return middle


def _figures(inpainter: Inpainter, photo: Picture, product: Mask, seed: int) -> dict[str, float]:
    hole = _holes(product, np.random.default_rng((seed, 3)))
    (ours,) = inpainter.fill([photo], [hole.astype(np.float32)])
    marked = hole.astype(np.uint8)
    theirs = {
        name: max(_masked_psnr(np.asarray(cv2.inpaint(photo, marked, reach, method)), photo, hole) for reach in REACHES)
        for name, method in METHODS.items()
    }
    found, best = _masked_psnr(ours, photo, hole), max(theirs.values())
    return {
        "psnr": found,
        **{f"psnr_{name}": value for name, value in theirs.items()},
        "gain": found - best,
        "better": float(found > best),
        "outside_unchanged": float(np.array_equal(ours[~hole], photo[~hole])),
    }


def _holes(product: Mask, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Three holes on the product, one of them a scratch: bool [H, W]."""
    rows, columns = np.nonzero(product > 0.5)
    hole, short = np.zeros(product.shape, bool), min(product.shape)
    for turn in range(3):
        place = int(draw.integers(len(rows))) if len(rows) else 0
        centre = (int(columns[place]), int(rows[place])) if len(rows) else (short // 2, short // 2)
        radius = float(np.exp(draw.uniform(*np.log(RADIUS)))) * short
        hole |= blot(hole.shape, centre, radius, draw) > 0.5 if turn else _line(hole.shape, centre, radius, draw)
    hole[product.shape[0] // 2, product.shape[1] // 2] |= not hole.any()
    return hole


def _line(size: tuple[int, ...], centre: tuple[int, int], radius: float, draw: np.random.Generator) -> NDArray[Any]:
    line = (scratch(size, centre, 4 * radius, draw) > 0.1).astype(np.uint8)
    return np.asarray(cv2.dilate(line, np.ones((3, 3), np.uint8)) > 0)


def _masked_psnr(found: Picture, truth: Picture, hole: NDArray[np.bool_]) -> float:
    error = float(np.square(found[hole].astype(np.float32) - truth[hole]).mean())
    return float(10 * np.log10(255**2 / max(error, 0.05)))


def _stains(options: argparse.Namespace, names: list[Path]) -> dict[str, Any]:
    """Recall of drawn stains by kind, overlap, and how many clean photos are taken for stained."""
    detector = StainDetector.load(source=options.weights)
    kinds: dict[str, list[bool]] = defaultdict(list)
    false, overlaps, hits = [], [], []
    for number, name in enumerate(names, 1):
        path = (options.masks / name).with_suffix(".png")
        if not path.is_file():
            continue
        photo = read_photo(options.images / name)
        product = _product(options.masks, name, photo.shape)
        stain = _one(photo, product, np.random.default_rng((number, 4)))
        if stain is None:
            continue
        clean, found = detector.find([photo, stain.picture], [product, product])
        false.append(clean.found)
        true = stain.mask > 0.5
        shared = (found.mask > 0.5) & true
        hits.append(bool(shared.sum() >= 0.3 * true.sum()))
        kinds[stain.kind].append(hits[-1])
        overlaps.append(float(shared.sum() / max(1, ((found.mask > 0.5) | true).sum())))
    by_kind = {kind: round(float(np.mean(kinds[kind])), 3) for kind in KINDS if kinds[kind]}
    return {
        "stains_n": len(false),
        "stains_recall": round(float(np.mean(hits)), 3) if hits else 0.0,
        "stains_recall_by_kind": by_kind,
        "stains_false": round(float(np.mean(false)), 3) if false else 0.0,
        "stains_overlap": round(float(np.mean(overlaps)), 3) if overlaps else 0.0,
        "stains_version": detector.version,
    }


def _one(photo: Picture, product: Mask, draw: np.random.Generator) -> Blemish | None:
    for _ in range(5):
        stain = blemished(photo, product, draw)
        if stain is not None:
            return stain
    return None
