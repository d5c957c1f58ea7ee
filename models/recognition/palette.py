"""The main colours of a product, and their names.

Light and shade belong to the photo, not to the cloth: clusters of colour (in LAB, lightness weighed down) that differ
in light alone count as one, and its lightness is read above the middle, where cloth is neither in folds nor glossy.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import delta_e_2000, from_lab, lab_of, parse_hex, to_lab
from models.pictures import Floats, Mask, Picture

#: Longer side at which colours are counted.
_SIDE = 256
_CLUSTERS = 7
#: Lightness counts so much beside a* and b*; clusters nearer than this are one cloth.
_LIGHTNESS, _NEAR = 0.4, 12.0
#: L* + 16 of middle lightness.
_MIDDLE = 66.0
#: The lightness of a cloth: this percentile of its pixels.
_LIT = 60
#: Largest difference in lightness to a name that needs no "light" or "dark".
_SHADE = 13.0
#: Pixels that are looked at.
_FEWEST, _MOST = 12, 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourName:
    """A name of a colour in each language."""

    en: str
    zh: str
    #: The basic colour that it belongs to, such as `blue`.
    family: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """One of the main colours of a product."""

    name: ColourName
    #: sRGB, 0..255.
    srgb: tuple[int, int, int]
    #: Of the product's area, 0..1.
    share: float
    #: Share of its pixels that are of the same basic colour, seen one by one in even light: 0..1.
    confidence: float

    @property
    def hex(self) -> str:
        """As in `#1e90ff`."""
        return "#{:02x}{:02x}{:02x}".format(*self.srgb)


@dataclass(frozen=True, slots=True)
class _Named:
    name: ColourName
    lab: tuple[float, float, float]
    shades: bool


def main_colours(picture: Picture, mask: Mask, *, most: int = 3, least: float = 0.08) -> list[Colour]:
    """Up to `most` colours of what is inside the mask, of at least a share of `least` each, the largest first.

    The mask may be of another size. Empty where nothing is inside.
    """
    lab = _samples(picture, mask)
    if len(lab) < _FEWEST:
        return []
    cloths = _cloths(lab)
    named: dict[ColourName, NDArray[np.bool_]] = {}
    for cloth in range(int(cloths.max()) + 1):
        own = cloths == cloth
        name = name_of(_middle(lab[own]))
        named[name] = named[name] | own if name in named else own
    ordered = sorted(named, key=lambda name: -int(named[name].sum()))[:most]
    colours = [_colour(name, lab[named[name]], len(lab)) for name in ordered]
    return [colour for colour in colours if colour.share >= least]


def name_of(lab: Floats) -> ColourName:
    """The name of one colour, LAB `[3]`."""
    named = _names()
    away = delta_e_2000(np.asarray(lab, np.float32)[None], np.array([one.lab for one in named], np.float32))
    nearest = named[int(np.argmin(away))]
    off = float(lab[0]) - nearest.lab[0]
    if not nearest.shades or abs(off) < _SHADE:
        return nearest.name
    modifier = _data()["modifiers"]["light" if off > 0 else "dark"]
    words = {language: modifier[language].format(name=getattr(nearest.name, language)) for language in ("en", "zh")}
    return ColourName(en=words["en"], zh=words["zh"], family=nearest.name.family)


def families() -> tuple[str, ...]:
    """All basic colours."""
    return tuple(dict.fromkeys(one.name.family for one in _names()))


def _samples(picture: Picture, mask: Mask) -> Floats:
    """LAB of the pixels well inside the mask: float32 [N, 3]."""
    scale = min(1.0, _SIDE / max(picture.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    inside = (cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) > 0.5).astype(np.uint8)
    core = cv2.erode(inside, np.ones((5, 5), np.uint8))
    chosen = core if core.sum() >= 0.3 * inside.sum() else inside
    found = to_lab(small)[chosen > 0]
    return np.ascontiguousarray(found[:: max(1, len(found) // _MOST)])


def _cloths(lab: Floats) -> NDArray[np.intp]:
    """Which cloth each pixel belongs to: int [N]."""
    # In shade chroma shrinks with lightness; here it does not.
    gain = np.clip(_MIDDLE / (lab[:, :1] + 16), 0.6, 1.8)
    space = np.concatenate([lab[:, :1] * _LIGHTNESS, lab[:, 1:] * gain], axis=1).astype(np.float32)
    count = min(_CLUSTERS, len(space))
    cv2.setRNGSeed(5)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, found, centres = cv2.kmeans(space, count, np.empty(0, np.int32), stop, 2, cv2.KMEANS_PP_CENTERS)
    labels = np.asarray(found).ravel()
    sizes = np.bincount(labels, minlength=count)
    return np.asarray(_joined(np.asarray(centres, np.float32), sizes)[labels], np.intp)


def _joined(centres: Floats, sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Clusters joined to the nearest larger one while any two are near: which group each is in."""
    group = np.arange(len(centres))
    centres, weights = centres.astype(np.float64), sizes.astype(np.float64)
    while True:
        alive = np.unique(group)
        apart = np.linalg.norm(centres[alive, None] - centres[None, alive], axis=-1)
        np.fill_diagonal(apart, np.inf)
        if len(alive) == 1 or apart.min() >= _NEAR:
            return np.searchsorted(alive, group)
        one, other = (int(alive[i]) for i in np.unravel_index(int(apart.argmin()), apart.shape))
        total = max(weights[one] + weights[other], 1e-9)
        centres[one] = (centres[one] * weights[one] + centres[other] * weights[other]) / total
        weights[one] += weights[other]
        group[group == other] = one


def _middle(lab: Floats) -> Floats:
    return np.array([np.percentile(lab[:, 0], _LIT), *np.median(lab[:, 1:], axis=0)], np.float32)


def _colour(name: ColourName, lab: Floats, total: int) -> Colour:
    middle = _middle(lab)
    even = lab[:: max(1, len(lab) // 400)].copy()
    # Each pixel in the light of the whole.
    even[:, 1:] *= np.clip((middle[0] + 16) / (even[:, :1] + 16), 0.6, 1.8)
    even[:, 0] = middle[0]
    anchors = np.array([one.lab for one in _names()], np.float32)
    nearest = delta_e_2000(even[:, None], anchors[None]).argmin(1)
    same = np.array([one.name.family == name.family for one in _names()])[nearest].mean()
    red, green, blue = (int(value) for value in from_lab(middle[None, None])[0, 0])
    share, confidence = round(len(lab) / total, 4), round(float(same), 4)
    return Colour(name=name, srgb=(red, green, blue), share=share, confidence=confidence)


@cache
def _data() -> dict[str, Any]:
    body = files("models.recognition").joinpath("data", "colours.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(body)
    return found


@cache
def _names() -> tuple[_Named, ...]:
    found = []
    for row in _data()["colours"]:
        light, red, yellow = (float(value) for value in lab_of(parse_hex(row["srgb"])))
        name = ColourName(en=row["en"], zh=row["zh"], family=row["family"])
        found.append(_Named(name, (light, red, yellow), row["shades"]))
    return tuple(found)
