"""What the restoration net learns: photos as they were, from crops at their own size that were damaged in many ways."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.losses import psnr
from models.nets.restoration import DAMAGES, RESTORATION_NET, RestorationNet, RestorationNetConfig
from models.pictures import Floats, Picture
from models.training.degradations import (
    Wear,
    as_levels,
    compressed,
    damaged,
    enlarged_again,
    in_any_light,
)
from models.training.loop import Group, Plan
from models.training.native import NativePhotos, load_native

#: Room around a crop, so that the grid of a JPEG may start anywhere in it, and a blur has something to reach for.
_ROOM = 16
#: Validation crops: how many, and their side.
_LOOKS, _SIDE = 32, 256
#: The gate is set on so many undamaged training photos: of these, this share lies below each of its levels.
_INNOCENTS, _INNOCENT_SHARE = 240, 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationRecipe:
    """A run of the restoration net."""

    version: str = "1.0"
    net: RestorationNetConfig = field(default_factory=RestorationNetConfig)
    #: Side of the crops, and how many a step sees.
    side: int = 128
    batch: int = 12
    wear: Wear = field(default_factory=Wear)
    #: Share of the photos shown in another light.
    light: float = 0.3
    #: Distance from the truth, in 0..1, from which on it counts by its share and no more by its square; and the
    #: weights of the terms.
    softness: float = 1 / 255
    distance_weight: float = 0.02
    spectrum_weight: float = 0.01
    severity_weight: float = 0.02
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=8_000,
            learning_rate=1e-3,
            warmup_steps=300,
            betas=(0.9, 0.99),
            average=0.999,
            save_every=200,
            validate_every=2000,
            clip=0.5,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "restoration"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return RESTORATION_NET

    def task(self, data: Path | None, cache: Path) -> "RestorationTask":
        """Photos are decoded once into the cache."""
        train, validation = (load_native(data, split, cache) for split in ("train", "validation"))
        return RestorationTask(self, train, validation)

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return {
            "what": "Takes noise, blur and JPEG's traces out of photos, and tells how much of each there is.",
            "data": "Photos of clothing-dataset-small (CC0), split `train`, damaged by models.training.degradations.",
            "licence": "Apache-2.0; trained from scratch.",
            "limits": "The photos are JPEGs themselves, so traces of good JPEGs count as clean, and those of poor ones "
            "are only partly taken out. Blur is told, but hardly made less. Text and faces were not trained on apart; "
            "nothing is invented.",
            "use": "Photos of products before they are cut out; behind the gate of models.repair.restoration.",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationBatch:
    """Damaged and clean crops float32 [B, 3, S, S] in 0..1, severity float32 [B, 4]."""

    damaged: Tensor
    clean: Tensor
    severity: Tensor


class RestorationTask:
    """Trains correction and severity together."""

    def __init__(self, recipe: RestorationRecipe, train: NativePhotos, validation: NativePhotos) -> None:
        self.recipe, self.train, self.validation = recipe, train, validation
        torch.manual_seed(recipe.plan.seed)
        self.net: RestorationNet = RestorationNet(recipe.net)

    def config(self) -> Mapping[str, Any]:
        """The net's configuration."""
        net = self.recipe.net
        return {"widths": list(net.widths), "down": list(net.down), "up": list(net.up)}

    def groups(self) -> Sequence[Group]:
        """All alike."""
        return [Group(parameters=list(self.net.parameters()))]

    def batch(self, step: int) -> RestorationBatch:
        """Each photo once per epoch, in an order and with damages that depend on seed and step alone."""
        examples = [self._example(number) for number in range(step * self.recipe.batch, (step + 1) * self.recipe.batch)]
        hurt, clean, severity = (np.stack(column) for column in zip(*examples, strict=True))
        return RestorationBatch(damaged=to_tensor(hurt), clean=to_tensor(clean), severity=torch.from_numpy(severity))

    def _example(self, number: int) -> tuple[Picture, Picture, Floats]:
        recipe = self.recipe
        epoch, turn = divmod(number, len(self.train))
        order = np.random.default_rng((recipe.plan.seed, 1, epoch)).permutation(len(self.train))
        draw = np.random.default_rng((recipe.plan.seed, 2, number))
        clean = random_crop(self.train.photo(int(order[turn])), recipe.side + _ROOM, draw)
        if draw.random() < recipe.light:
            clean = in_any_light(clean, draw)
        hurt, damage = damaged(clean, recipe.wear, draw)
        # Most files begin with their grid; some were cropped.
        top, left = (8, 8) if draw.random() < 0.6 else (int(value) for value in draw.integers(0, _ROOM + 1, 2))
        place = (slice(top, top + recipe.side), slice(left, left + recipe.side))
        return hurt[place], clean[place], damage.as_severity(clean[place], hurt[place])

    def loss(self, batch: RestorationBatch, device: torch.device) -> Mapping[str, Tensor]:
        """Decibels from the truth per crop, the difference of the spectra, and the severity.

        In decibels the little that JPEG takes away weighs as much as heavy noise does.
        """
        hurt = batch.damaged.to(device, memory_format=torch.channels_last)
        clean = batch.clean.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            found, opinion = self.net(hurt)
        error = found - clean
        square = error.square().mean((1, 2, 3))
        spectrum = torch.view_as_real(torch.fft.rfft2(error, norm="ortho"))
        severity = functional.smooth_l1_loss(opinion, batch.severity.to(device), beta=0.05)
        return {
            "distance": self.recipe.distance_weight * (1 + square / self.recipe.softness**2).log().mean(),
            "spectrum": self.recipe.spectrum_weight * spectrum.abs().mean(),
            "severity": self.recipe.severity_weight * severity,
        }

    @torch.inference_mode()
    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Mean gain in dB over the damaged photo, without a gate; for clean photos the distance from themselves.

        Sets the net's gate besides: the last validation comes before the last checkpoint.
        """
        trained = cast("RestorationNet", net)
        level = innocence(trained, self.train, device)
        # In the learning net as well: what is averaged goes on from there.
        for each in (trained, self.net):
            each.innocent.copy_(level)
        clean = validation_crops(self.validation, _LOOKS, _SIDE)
        truth, figures = to_tensor(clean), {}
        for name, damage in PROBES.items():
            hurt = to_tensor(np.stack([damage(crop, np.random.default_rng(i)) for i, crop in enumerate(clean)]))
            with torch.autocast(device.type, torch.bfloat16):
                seen, _ = net(hurt.to(device, memory_format=torch.channels_last))
            found = (seen.float().cpu().clamp(0, 1) * 255).round() / 255
            before = 0.0 if name == "clean" else psnr(hurt, truth)
            figures[name] = float((psnr(found, truth) - before).mean())
        figures["n"] = float(len(clean))
        return figures | {f"innocent/{name}": value for name, value in zip(DAMAGES, level.tolist(), strict=True)}

    @torch.inference_mode()
    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """Crops damaged in all ways; what the net makes of them; as they were."""
        clean, chosen = validation_crops(self.validation, 2 * len(PROBES), _SIDE), list(PROBES.values()) * 2
        hurt = np.stack(
            [damage(crop, np.random.default_rng(i)) for i, (crop, damage) in enumerate(zip(clean, chosen, strict=True))]
        )
        seen, _ = net(to_tensor(hurt).to(device, memory_format=torch.channels_last))
        found = (seen.float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return np.hstack([np.vstack(rows) for rows in zip(hurt, found, clean, strict=True)])


def _gaussian(sigma: float) -> Callable[[Picture, np.random.Generator], Picture]:
    return lambda picture, draw: as_levels(picture + draw.normal(0, sigma, picture.shape).astype(np.float32))


#: Damages by which a run is judged as it goes.
PROBES: Mapping[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "clean": lambda picture, _: picture,
    "noise 10": _gaussian(10),
    "noise 25": _gaussian(25),
    "noise 50": _gaussian(50),
    "jpeg 20": lambda picture, _: compressed(picture, 20),
    "jpeg 40": lambda picture, _: compressed(picture, 40),
    "blur 1.5": lambda picture, _: np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8),
    "double": lambda picture, _: enlarged_again(picture, 2),
}


@torch.inference_mode()
def innocence(net: RestorationNet, photos: NativePhotos, device: torch.device) -> Tensor:
    """The severity of each damage that hardly any undamaged photo reaches: float [4]."""
    seen = []
    for row in np.linspace(0, len(photos) - 1, _INNOCENTS).astype(int):
        photo = photos.photo(int(row))
        height, width = (side // net.stride * net.stride for side in photo.shape[:2])
        if min(height, width) >= 4 * net.stride:
            seen.append(net.judge(to_tensor(photo[None, :height, :width]).to(device)).severity[0])
    return torch.stack(seen).quantile(_INNOCENT_SHARE, dim=0)


def random_crop(photo: Picture, side: int, draw: np.random.Generator) -> Picture:
    """A square of a photo, now and then mirrored; small photos are continued by reflection."""
    lacking = [(0, max(0, side - length)) for length in photo.shape[:2]]
    if any(after for _, after in lacking):
        photo = np.pad(photo, [*lacking, (0, 0)], mode="symmetric")
    top, left = (int(draw.integers(0, length - side + 1)) for length in photo.shape[:2])
    crop = photo[top : top + side, left : left + side]
    return np.ascontiguousarray(crop[:, ::-1] if draw.random() < 0.5 else crop)


def validation_crops(photos: NativePhotos, count: int, side: int) -> Picture:
    """The middles of evenly chosen photos, uint8 [count, side, side, 3]; always the same."""
    rows = np.linspace(0, len(photos) - 1, count).astype(int)
    crops = []
    for row in rows:
        photo = photos.photo(int(row))
        lacking = [(0, max(0, side - length)) for length in photo.shape[:2]]
        photo = np.pad(photo, [*lacking, (0, 0)], mode="symmetric")
        top, left = ((length - side) // 2 for length in photo.shape[:2])
        crops.append(photo[top : top + side, left : left + side])
    return np.stack(crops)


def to_tensor(pictures: Picture) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in 0..1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
