"""The examples of the quality net: one photo from undamaged to worst, and pictures with a random past."""

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from models.pictures import Mask, Picture
from models.quality.crops import crop_places
from models.quality.judge import View, Viewed
from models.training.distortions import TRAINED, jpeg

#: The type of an undamaged picture, before those of `TRAINED`.
NONE = "none"
#: The type of a picture whose damage has no single name: not learnt from.
NAMELESS = -100
#: Strengths that are drawn, and how far those of one ladder lie apart at least.
_WEAKEST, _APART = 0.05, 0.12
#: Damage that comes upon other damage and never undoes it, as sharpening would undo blur, or light darkness.
_UPON = ("noise", "shot noise", "JPEG blocks", "colour cast", "banding")
#: Crops lie up to so many px from the best places; a share of them anywhere.
_JITTER, _ANYWHERE = 32, 0.25
#: Side of the part of a picture that realism is learnt from.
_PART = 448


@dataclass(frozen=True, slots=True)
class Rung:
    """A picture and what is known of it."""

    view: Viewed
    #: 0..1
    damage: float
    #: Place in the net's types, or `NAMELESS`.
    type: int


def ladder(picture: Picture, mask: Mask | None, view: View, double: float, draw: np.random.Generator) -> list[Rung]:
    """A picture, the same damaged, and the same damaged more: with another kind upon the first in a share `double`."""
    places = _places(picture, mask, view, draw)
    distortions = list(TRAINED.values())
    kind = int(draw.integers(len(distortions)))
    upon = [name for name in _UPON if name != list(TRAINED)[kind]]
    other = TRAINED[upon[int(draw.integers(len(upon)))]]
    first, further = sorted(draw.uniform(_WEAKEST, 1, 2))
    first = min(first, 1 - _APART)
    seed = int(draw.integers(1 << 60))
    damaged = distortions[kind](picture, first, np.random.default_rng(seed))
    if draw.random() < double:
        second = draw.uniform(_APART, 1)
        worst = other(damaged, second, draw)
        damage, name = 1 - (1 - first) * (1 - second), NAMELESS
    else:
        damage, name = max(further, first + _APART), 1 + kind
        worst = distortions[kind](picture, damage, np.random.default_rng(seed))
    return [
        Rung(view.at(picture, places), 0.0, 0),
        Rung(view.at(damaged, places), first, 1 + kind),
        Rung(view.at(worst, places), damage, name),
    ]


def _places(picture: Picture, mask: Mask | None, view: View, draw: np.random.Generator) -> list[tuple[int, int]]:
    """Places of the crops, some way off the best ones."""
    room = np.maximum(0, np.array(picture.shape[:2]) - view.side)
    best = np.array(crop_places(picture, mask, view.side, view.crops))
    moved = np.clip(best + draw.integers(-_JITTER, _JITTER + 1, best.shape), 0, room)
    anywhere = draw.integers(0, room + 1, best.shape)
    chosen = np.where(draw.random((len(best), 1)) < _ANYWHERE, anywhere, moved)
    return [(int(row), int(column)) for row, column in chosen]


def as_stored(picture: Picture, mask: Mask | None, draw: np.random.Generator) -> tuple[Picture, Mask | None]:
    """As another shop may hold the same photo: a little smaller, or stored once more, and no worse for it."""
    if draw.random() < 0.3:
        scale = draw.uniform(0.7, 1)
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        mask = None if mask is None else np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32)
    if draw.random() < 0.3:
        picture = jpeg(picture, int(draw.integers(88, 98)))
    return picture, mask


def retold(picture: Picture, mask: Mask, view: View, draw: np.random.Generator, *, photo: bool) -> Viewed:
    """A picture with a random past, so that neither its size nor its compression tells whether it is a photo.

    A composite was enlarged or reduced when its product was placed, so a photo is enlarged or reduced as well. Then
    both are reduced a little and stored as JPEG, with blocks that lie anywhere.
    """
    if photo:
        picture, mask = _zoomed(*_part(picture, mask, draw), float(np.exp(draw.uniform(np.log(0.7), np.log(2.0)))))
    picture, mask = _zoomed(picture, mask, draw.uniform(0.75, 1))
    top, left = (int(value) for value in draw.integers(0, 8, 2))
    if draw.random() < 0.9:
        wide = cv2.copyMakeBorder(picture, top, 0, left, 0, cv2.BORDER_REPLICATE)
        picture = jpeg(np.asarray(wide, np.uint8), int(draw.integers(50, 98)))[top:, left:]
    return view.at(picture, _places(picture, mask, view, draw))


def _part(picture: Picture, mask: Mask, draw: np.random.Generator) -> tuple[Picture, Mask]:
    room = np.maximum(0, np.array(mask.shape) - _PART)
    top, left = (int(value) for value in draw.integers(0, room + 1))
    window = slice(top, top + _PART), slice(left, left + _PART)
    return picture[window], mask[window]


def _zoomed(picture: Picture, mask: Mask, zoom: float) -> tuple[Picture, Mask]:
    size = (max(32, round(picture.shape[1] * zoom)), max(32, round(picture.shape[0] * zoom)))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    larger = cv2.resize(picture, size, interpolation=method)
    return np.asarray(larger, np.uint8), np.asarray(cv2.resize(mask, size), np.float32)


def ranking(score: Tensor, damage: Tensor, margin: float) -> Tensor:
    """How far pictures of a ladder of three lack their distance, mean over all pairs of all ladders.

    A picture should be `margin` logits above one that is damaged by 1 more. score and damage: float [3 * G].
    """
    scores, damages = score.view(-1, 3), damage.view(-1, 3)
    lack = [
        (margin * (damages[:, worse] - damages[:, better]) - (scores[:, better] - scores[:, worse])).clamp_min(0).mean()
        for better, worse in ((0, 1), (0, 2), (1, 2))
    ]
    return (lack[0] + lack[1] + lack[2]) / 3
