"""What the stain net learns: drawn stains on products, among prints and patterns that are none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.losses import soft_iou
from models.nets.stains import STAIN_NET, StainNet, StainNetConfig
from models.pictures import Floats, Picture
from models.repair.stains import SIDE, squeezed
from models.training.blemishes import blemished
from models.training.loop import Group, Plan
from models.training.photos import Disturbance, Photos, as_taken, in_other_light, load_photos, place, warp

#: Each tenth training photo is kept from the net: on those it is found out how suspicious clean photos look to it.
_HELD_OUT = 10
#: Clean photos of which so many stay below the level where proposals start.
_INNOCENT_SHARE = 0.96
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StainRecipe:
    """A run of the stain net."""

    version: str = "1.0"
    net: StainNetConfig = field(default_factory=StainNetConfig)
    #: Side of the decoded photos.
    stored: int = 400
    batch: int = 8
    #: Share of the photos that get stains, and of the others that get a print.
    stained: float = 0.55
    printed: float = 0.35
    change: Disturbance = field(
        default_factory=lambda: Disturbance(rotation=8.0, zoom=(0.9, 1.5), exposure=0.3, noise=0.1, blur=0.08)
    )
    stain_weight: float = 4.0
    overlap_weight: float = 0.3
    photo_weight: float = 0.3
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=6_000,
            learning_rate=1e-3,
            warmup_steps=150,
            weight_decay=0.01,
            average=0.998,
            save_every=100,
            validate_every=2_000,
            clip=1.0,
            half=True,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "stains"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return STAIN_NET

    def task(self, data: Path | None, cache: Path) -> "StainTask":
        """Photos are decoded once into the cache."""
        train, validation = (load_photos(data, split, self.stored, cache) for split in ("train", "validation"))
        return StainTask(self, train, validation)

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return {
            "what": "Marks what may be a stain, a bleached spot or a pulled thread on a product.",
            "data": "Photos of clothing-dataset-small (CC0), split `train`, with their masks; all stains are drawn.",
            "licence": "Apache-2.0; trained from scratch.",
            "limits": "Never saw a real stain. Faint grease and thin pulls are often missed; an odd print, a label or "
            "a button may be taken for a stain.",
            "use": "To propose places to a person who reviews the photo; never to change a photo unasked.",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StainBatch:
    """Pictures float32 [B, 3, S, S], products and stains [B, 1, S, S], all in 0..1."""

    pictures: Tensor
    products: Tensor
    stains: Tensor


class StainTask:
    """Trains places and photos together."""

    def __init__(self, recipe: StainRecipe, train: Photos, validation: Photos) -> None:
        self.recipe, self.train, self.validation = recipe, train, validation
        torch.manual_seed(recipe.plan.seed)
        self.net: StainNet = StainNet(recipe.net)
        trusted = np.flatnonzero(train.trusted)
        apart = np.arange(len(trusted)) % _HELD_OUT == _HELD_OUT - 1
        self._rows, self._held_out = trusted[~apart], trusted[apart]

    def config(self) -> Mapping[str, Any]:
        """The net's configuration."""
        net = self.recipe.net
        return {"widths": list(net.widths), "down": list(net.down), "up": list(net.up)}

    def groups(self) -> Sequence[Group]:
        """Biases do not decay."""
        parameters = list(self.net.parameters())
        return [
            Group(parameters=[p for p in parameters if p.ndim > 1]),
            Group(parameters=[p for p in parameters if p.ndim <= 1], decay=False),
        ]

    def batch(self, step: int) -> StainBatch:
        """Each photo once per epoch, in an order and with stains that depend on seed and step alone."""
        recipe, examples = self.recipe, []
        for number in range(step * recipe.batch, (step + 1) * recipe.batch):
            epoch, turn = divmod(number, len(self._rows))
            order = np.random.default_rng((recipe.plan.seed, 1, epoch)).permutation(self._rows)
            draw = np.random.default_rng((recipe.plan.seed, 2, number))
            examples.append(self._example(int(order[turn]), draw))
        pictures, products, stains = zip(*examples, strict=True)
        seen, masks = squeezed(pictures, products, SIDE)
        return StainBatch(pictures=seen, products=masks, stains=torch.from_numpy(np.stack(stains))[:, None])

    def _example(self, row: int, draw: np.random.Generator) -> tuple[Picture, Floats, Floats]:
        recipe = self.recipe
        where = place(recipe.stored, SIDE, recipe.change, draw)
        picture = in_other_light(warp(self.train.pictures[row], where, SIDE), recipe.change, draw)
        product = warp(self.train.masks[row], where, SIDE).astype(np.float32) / np.float32(255)
        stains = np.zeros_like(product)
        if draw.random() < recipe.stained:
            picture, stains = stained(picture, product, draw)
        elif draw.random() < recipe.printed:
            picture = printed(picture, product, draw)
        return as_taken(picture, recipe.change, draw), product, stains

    def loss(self, batch: StainBatch, device: torch.device) -> Mapping[str, Tensor]:
        """Cross entropy on the product, overlap on stained photos, and cross entropy of the photos."""
        stains, products = batch.stains.to(device), batch.products.to(device)
        pictures = batch.pictures.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            found = self.net(pictures, products)
        inside = (products > 0.5).float()
        weight = inside * (1 + self.recipe.stain_weight * stains)
        error = functional.binary_cross_entropy_with_logits(found.places, stains, weight, reduction="sum")
        having = (stains.amax((1, 2, 3)) > 0.5).float()
        overlap = (1 - soft_iou(found.places.sigmoid() * inside, stains * inside)) * having
        photo = functional.binary_cross_entropy_with_logits(found.photo, having)
        return {
            "places": error / weight.sum().clamp_min(1),
            "overlap": self.recipe.overlap_weight * overlap.sum() / having.sum().clamp_min(1),
            "photo": self.recipe.photo_weight * photo,
        }

    @torch.inference_mode()
    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Share of stained photos that are found, of clean ones that are taken for stained, and the overlap.

        Sets the net's level of suspicion besides: the last validation comes before the last checkpoint.
        """
        trained = cast("StainNet", net)
        clean = [self._as_stored(self.train, int(row)) for row in self._held_out]
        level = torch.tensor(_judged(trained, clean, device)[0]).quantile(_INNOCENT_SHARE)
        # In the learning net as well: what is averaged goes on from there.
        for each in (trained, self.net):
            each.innocent.copy_(level)
        rows = np.flatnonzero(self.validation.trusted)
        clean = [self._as_stored(self.validation, int(row)) for row in rows]
        spoilt = [(*stained(*one, np.random.default_rng((5, i)), 1), one[1]) for i, one in enumerate(clean)]
        false, _ = _judged(trained, clean, device)
        true, places = _judged(trained, [(picture, product) for picture, _, product in spoilt], device)
        overlaps = [_overlap(place > 0, mask > 0.5) for place, (_, mask, _) in zip(places, spoilt, strict=True)]
        return {
            "recall": float((np.array(true) > float(level)).mean()),
            "false": float((np.array(false) > float(level)).mean()),
            "overlap": float(np.mean(overlaps)),
            "level": float(level),
            "n": float(len(rows)),
        }

    @torch.inference_mode()
    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """Stained photos, the true and the found places."""
        rows = np.flatnonzero(self.validation.trusted)[:: max(1, int(self.validation.trusted.sum()) // 12)][:12]
        clean = [self._as_stored(self.validation, int(row)) for row in rows]
        spoilt = [(*stained(*one, np.random.default_rng((5, i)), 1), one[1]) for i, one in enumerate(clean)]
        _, places = _judged(cast("StainNet", net), [(picture, product) for picture, _, product in spoilt], device)
        lines = [
            np.vstack([picture, _grey(mask), _grey(np.asarray(1 / (1 + np.exp(-place)), np.float32))])
            for (picture, mask, _), place in zip(spoilt, places, strict=True)
        ]
        return np.hstack(lines)

    def _as_stored(self, photos: Photos, row: int) -> tuple[Picture, Floats]:
        size = (SIDE, SIDE)
        picture = np.asarray(cv2.resize(photos.pictures[row], size, interpolation=cv2.INTER_AREA), np.uint8)
        product = cv2.resize(photos.masks[row], size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        return picture, np.asarray(product, np.float32)


def stained(picture: Picture, product: Floats, draw: np.random.Generator, most: int = 3) -> tuple[Picture, Floats]:
    """The picture with one stain or more, and what they cover, float32 [H, W]; untouched where none has room."""
    total = np.zeros_like(product)
    for _ in range(int(draw.integers(1, most + 1))):
        for _ in range(4):
            blemish = blemished(picture, product, draw)
            if blemish is not None:
                picture, total = blemish.picture, np.maximum(total, blemish.mask)
                break
    return picture, total


def printed(picture: Picture, product: Floats, draw: np.random.Generator) -> Picture:
    """The picture with something on its product that is meant: a word, a patch, a figure, in one clear colour."""
    places = np.argwhere(product > 0.9)
    if len(places) < 100:
        return picture
    row, column = (int(value) for value in places[int(draw.integers(len(places)))])
    side = round(float(draw.uniform(0.03, 0.12)) * picture.shape[0])
    colour = [int(value) for value in draw.integers(0, 256, 3)]
    layer, kind = picture.copy(), int(draw.integers(4))
    if kind == 0:
        letters = "".join(draw.choice(list("ABCDEFGHKLMNORSTUXYZ"), int(draw.integers(2, 7))))
        at, scale = (column - 2 * side, row), side / 14
        cv2.putText(layer, letters, at, int(draw.integers(0, 5)), scale, colour, max(1, side // 7), cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(layer, (column - side, row - side // 2), (column + side, row + side // 2), colour, -1)
    elif kind == 2:
        cv2.circle(layer, (column, row), side // 2, colour, int(draw.choice([-1, 2, 3])), cv2.LINE_AA)
    else:
        angles = np.arange(10) * np.pi / 5 + draw.uniform(0, np.pi)
        reach = np.where(np.arange(10) % 2, 0.45, 1) * side
        star = np.stack([column + reach * np.cos(angles), row + reach * np.sin(angles)], 1)
        cv2.fillPoly(layer, [star.round().astype(np.int32)], colour, cv2.LINE_AA)
    cover = (product * np.float32(draw.uniform(0.7, 1)))[..., None]
    return np.asarray((picture + (layer.astype(np.float32) - picture) * cover + 0.5).astype(np.uint8))


def _judged(
    net: StainNet, photos: Sequence[tuple[Picture, Floats]], device: torch.device
) -> tuple[list[float], list[Floats]]:
    """Logit of each photo, and its places."""
    logits: list[float] = []
    places: list[Floats] = []
    for first in range(0, len(photos), _AT_ONCE):
        pictures, products = zip(*photos[first : first + _AT_ONCE], strict=True)
        with torch.autocast(device.type, torch.bfloat16):
            found = net(*(one.to(device) for one in squeezed(pictures, products, SIDE)))
        logits += found.photo.cpu().tolist()
        places += list(found.places[:, 0].cpu().numpy())
    return logits, places


def _overlap(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float((found & true).sum() / max(1, (found | true).sum()))


def _grey(mask: Floats) -> Picture:
    return np.repeat((mask.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
