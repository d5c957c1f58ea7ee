"""How like its teachers the style net draws, and whether products stay what they are."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.losses import psnr, ssim
from models.photo_files import photos_under, read_mask, read_photo
from models.pictures import Picture
from models.product import ProductModel
from models.registry.sources import WeightsError
from models.styles.filters import FILTERS
from models.styles.transfer import StyleTransfer

#: Styles made of dots, lines or pieces of a fixed screen: a dot half a pixel off costs PSNR that no eye sees.
SCREENED = frozenset({"engraving", "stipple", "halftone", "comic", "riso", "cross_stitch", "pointillism"})
#: What is to be reached: PSNR in dB, or for the screened SSIM after a blur of `_BLUR` px; share of classes kept.
_PSNR, _BLURRED, _KEPT = 26.0, 0.9, 0.8
_BLUR = 4.0
#: Long side of the pictures, as served; side of the window that is compared, and what the teacher sees around it.
_LONGEST, _WINDOW, _AROUND = 1000, 320, 48
#: Period in px of the grid that a net with a stride of 4 might leave.
_PERIOD = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos in any folders")
    parser.add_argument("--masks", type=Path, help="same paths as .png: every second photo is cut out on white first")
    parser.add_argument("--weights", type=Path, help="weights of the style net, the bundled ones by default")
    parser.add_argument("--product", type=Path, help="weights of the product net, the bundled ones by default")
    parser.add_argument("--limit", type=int, default=24, help="so many photos, spread over all")


@dataclass(slots=True)
class _Tally:
    """What was found of one style, a value per picture."""

    psnr_db: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    ssim_blurred: list[float] = field(default_factory=list)
    grid_levels: list[float] = field(default_factory=list)
    white_kept: list[float] = field(default_factory=list)
    class_kept: list[float] = field(default_factory=list)

    def figures(self, style: str) -> dict[str, Any]:
        """Means, but the darkest white; None for what could not be measured."""
        found: dict[str, Any] = {name: _mean(getattr(self, name)) for name in self.__dataclass_fields__}
        found["white_kept"] = min(self.white_kept, default=None)
        like = found["ssim_blurred"] >= _BLURRED if style in SCREENED else found["psnr_db"] >= _PSNR
        kept = found["class_kept"]
        found["reached"] = bool(like and (kept is None or kept >= _KEPT))
        return found


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """Figures per style; `class_kept` is null where there are no weights of the product net."""
    model = StyleTransfer.load(weights=options.weights)
    product = _product(options.product)
    names = list(photos_under(options.images))
    if not names:
        raise ValueError(f"no photo under {options.images}")
    names = [names[round(place)] for place in np.linspace(0, len(names) - 1, min(options.limit, len(names)))]
    tallies = {style: _Tally() for style in model.styles}
    for number, name in enumerate(names):
        mask = options.masks / name.with_suffix(".png") if options.masks and number % 2 else None
        look(model, product, served(options.images / name, mask), tallies)
        sys.stderr.write(f"{number + 1} of {len(names)}\n")
    styles = {style: tally.figures(style) for style, tally in tallies.items()}
    return {
        "styles": styles,
        "reached": sum(figures["reached"] for figures in styles.values()),
        "n": len(names),
        "version": model.version,
        "product": product.version if product else None,
    }


def served(photo: Path, mask: Path | None) -> Picture:
    """A photo at the served size, on white where its mask says so."""
    picture = read_photo(photo).astype(np.float32)
    if mask is not None and mask.is_file():
        alpha = cv2.resize(read_mask(mask), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
        picture = picture * alpha + 255 * (1 - alpha)
    share = _LONGEST / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share)))
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC if share > 1 else cv2.INTER_AREA)
    return np.asarray(np.rint(np.clip(large, 0, 255)), np.uint8)


def look(model: StyleTransfer, product: ProductModel | None, picture: Picture, tallies: Mapping[str, _Tally]) -> None:
    """Draw a picture in all styles and add what is found to the tallies."""
    drawn = [model.apply([picture], [style])[0] for style in tallies]
    classes = [int(sight.classes.argmax()) for sight in product.see([picture, *drawn])] if product else []
    top, left = (max(0, (side - _WINDOW) // 2) for side in picture.shape[:2])
    rows, columns = (slice(start, start + _WINDOW) for start in (top, left))
    start = (max(0, top - _AROUND), max(0, left - _AROUND))
    seen = picture[start[0] : top + _WINDOW + _AROUND, start[1] : left + _WINDOW + _AROUND]
    for place, (style, tally) in enumerate(tallies.items()):
        taught = FILTERS[style](seen, start)[top - start[0] :, left - start[1] :][:_WINDOW, :_WINDOW]
        _compare(drawn[place][rows, columns], taught, picture[rows, columns], tally)
        if classes:
            tally.class_kept.append(float(classes[place + 1] == classes[0]))


def _compare(drawn: Picture, taught: Picture, picture: Picture, tally: _Tally) -> None:
    x, y = _tensor(drawn), _tensor(taught)
    tally.psnr_db.append(float(psnr(x, y)))
    tally.ssim.append(float(ssim(x, y)))
    tally.ssim_blurred.append(float(ssim(_tensor(_blurred(drawn)), _tensor(_blurred(taught)))))
    tally.grid_levels.append(grid_levels(drawn, taught))
    white = (taught.min(axis=2) >= 254) & (picture.min(axis=2) >= 254)
    if white.sum() > 1000:
        tally.white_kept.append(float(np.quantile(drawn.min(axis=2)[white], 0.001)))


def grid_levels(drawn: Picture, taught: Picture) -> float:
    """What repeats itself every 2 or 4 px in the net's drawing and not in the teacher's: largest deviation of a place's
    mean from the mean of all places, in levels of 255.
    """
    difference = (drawn.astype(np.float64) - taught).mean(axis=2)
    height, width = (side - side % _PERIOD for side in difference.shape)
    places = (
        difference[:height, :width].reshape(height // _PERIOD, _PERIOD, width // _PERIOD, _PERIOD).mean(axis=(0, 2))
    )
    return float(np.abs(places - places.mean()).max())


def _product(weights: Path | None) -> ProductModel | None:
    """The classifier; None, and said so, where no weights were named and none are bundled."""
    try:
        return ProductModel.load(weights=weights)
    except WeightsError as error:
        if weights is not None:
            raise ValueError(str(error)) from error
        sys.stderr.write(f"no classes are compared: {error}\n")
        return None


def _tensor(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255.0


def _blurred(picture: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _BLUR), np.uint8)


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
