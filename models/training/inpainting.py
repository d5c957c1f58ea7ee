"""What the inpainting net learns: cloth as it was under holes shaped like stains and scratches."""

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

from models.nets.inpainting import INPAINTING_NET, InpaintingNet, InpaintingNetConfig
from models.pictures import Floats, Picture
from models.repair.inpainting import fillings
from models.training.blemishes import blot, scratch
from models.training.degradations import in_any_light
from models.training.loop import Group, Plan
from models.training.native import NativePhotos, load_native
from models.training.restoration import to_tensor

Hole = NDArray[np.bool_]

#: Validation crops: how many, and their side.
_LOOKS, _SIDE = 48, 192


@dataclass(frozen=True, slots=True, kw_only=True)
class InpaintingRecipe:
    """A run of the inpainting net."""

    version: str = "1.0"
    net: InpaintingNetConfig = field(default_factory=InpaintingNetConfig)
    #: Side of the crops, and how many a step sees.
    side: int = 128
    batch: int = 12
    #: Smallest and largest radius of a hole, px.
    radius: tuple[float, float] = (3.0, 30.0)
    #: Share of the photos shown in another light.
    light: float = 0.2
    #: Distance, in 0..1, up to which errors count by their square.
    softness: float = 0.06
    coarse_weight: float = 0.5
    step_weight: float = 0.3
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=11_000,
            learning_rate=1e-3,
            warmup_steps=300,
            betas=(0.9, 0.99),
            average=0.999,
            save_every=200,
            validate_every=1000,
            clip=1.0,
            half=True,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "inpainting"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return INPAINTING_NET

    def task(self, data: Path | None, cache: Path) -> "InpaintingTask":
        """Photos are decoded once into the cache."""
        train, validation = (load_native(data, split, cache) for split in ("train", "validation"))
        return InpaintingTask(self, train, validation)

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return {
            "what": "Fills marked places of a photo, such as stains and scratches, from what lies around them.",
            "data": "Photos of clothing-dataset-small (CC0), split `train`, with drawn holes.",
            "licence": "Apache-2.0; trained from scratch.",
            "limits": "Large holes come out smooth: nothing is invented. Prints and buttons under a hole are lost.",
            "use": "Stains and scratches that a person has confirmed; never to change what a product is.",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InpaintingBatch:
    """Both fillings and the truth float32 [B, 3, S, S] in 0..1, holes float32 [B, 1, S, S] of 0 and 1."""

    carried: Tensor
    smooth: Tensor
    holes: Tensor
    truth: Tensor


class InpaintingTask:
    """Trains the filling of holes."""

    def __init__(self, recipe: InpaintingRecipe, train: NativePhotos, validation: NativePhotos) -> None:
        self.recipe, self.train, self.validation = recipe, train, validation
        torch.manual_seed(recipe.plan.seed)
        self.net: InpaintingNet = InpaintingNet(recipe.net)

    def config(self) -> Mapping[str, Any]:
        """The net's configuration."""
        net = self.recipe.net
        return {"widths": list(net.widths), "down": list(net.down), "up": list(net.up)}

    def groups(self) -> Sequence[Group]:
        """All alike."""
        return [Group(parameters=list(self.net.parameters()))]

    def batch(self, step: int) -> InpaintingBatch:
        """Each photo once per epoch, in an order and with holes that depend on seed and step alone."""
        recipe, examples = self.recipe, []
        for number in range(step * recipe.batch, (step + 1) * recipe.batch):
            epoch, turn = divmod(number, len(self.train))
            order = np.random.default_rng((recipe.plan.seed, 1, epoch)).permutation(len(self.train))
            draw = np.random.default_rng((recipe.plan.seed, 2, number))
            crop = product_crop(self.train, int(order[turn]), recipe.side, draw)
            if draw.random() < recipe.light:
                crop = in_any_light(crop, draw)
            examples.append((crop, holes_like_blemishes(crop.shape[:2], recipe.radius, draw)))
        return together(examples)

    def loss(self, batch: InpaintingBatch, device: torch.device) -> Mapping[str, Tensor]:
        """Distance in the holes, per pixel and over squares of 4 px, and the difference of their steps."""
        holes, truth = batch.holes.to(device), batch.truth.to(device)
        carried, smooth = (one.to(device, memory_format=torch.channels_last) for one in (batch.carried, batch.smooth))
        with torch.autocast(device.type, torch.bfloat16):
            found = self.net(carried, smooth, holes)
        error = found - truth
        area = 3 * holes.sum()
        soft = self.recipe.softness
        coarse = functional.avg_pool2d(error, 4).abs().sum() * 16 / area
        steps = (error[..., 1:] - error[..., :-1]).abs().sum() + (error[..., 1:, :] - error[..., :-1, :]).abs().sum()
        return {
            "distance": ((error.square() + soft**2).sqrt() - soft).sum() / area,
            "coarse": self.recipe.coarse_weight * coarse,
            "steps": self.recipe.step_weight * steps / area,
        }

    @torch.inference_mode()
    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Masked PSNR in dB, its gain over the better classical filling, and the share of crops where it is better."""
        batch = self._looks(_LOOKS)
        with torch.autocast(device.type, torch.bfloat16):
            found = net(*(one.to(device) for one in (batch.carried, batch.smooth, batch.holes))).float().cpu()
        ours = _masked_psnr(found.clamp(0, 1), batch)
        theirs = torch.maximum(_masked_psnr(batch.carried, batch), _masked_psnr(batch.smooth, batch))
        return {
            "psnr": float(ours.mean()),
            "gain": float((ours - theirs).mean()),
            "better": float((ours > theirs).float().mean()),
            "n": float(_LOOKS),
        }

    @torch.inference_mode()
    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """Crops with holes, edges carried on, what the net makes of them, as they were."""
        batch = self._looks(12)
        found = net(*(one.to(device) for one in (batch.carried, batch.smooth, batch.holes))).float().cpu()
        with_holes = batch.truth * (1 - batch.holes) + batch.holes
        lines = [
            (one.clamp(0, 1) * 255).round().to(torch.uint8) for one in (with_holes, batch.carried, found, batch.truth)
        ]
        return np.vstack([np.hstack(list(line.permute(0, 2, 3, 1).numpy())) for line in lines])

    def _looks(self, count: int) -> InpaintingBatch:
        """Validation crops with holes, always the same."""
        examples = []
        for turn, row in enumerate(np.linspace(0, len(self.validation) - 1, count).astype(int)):
            draw = np.random.default_rng((11, turn))
            crop = product_crop(self.validation, int(row), _SIDE, draw)
            examples.append((crop, holes_like_blemishes(crop.shape[:2], self.recipe.radius, draw)))
        return together(examples)


def together(examples: Sequence[tuple[Picture, Hole]]) -> InpaintingBatch:
    """Crops and their holes as a batch."""
    filled = [fillings(crop, hole) for crop, hole in examples]
    return InpaintingBatch(
        carried=_stacked([carried for carried, _ in filled]),
        smooth=_stacked([smooth for _, smooth in filled]),
        holes=torch.from_numpy(np.stack([hole for _, hole in examples]).astype(np.float32))[:, None],
        truth=to_tensor(np.stack([crop for crop, _ in examples])),
    )


def holes_like_blemishes(size: tuple[int, ...], radius: tuple[float, float], draw: np.random.Generator) -> Hole:
    """One to four holes shaped like stains or scratches, bool [H, W]; never everything."""
    height, width = size[:2]
    hole = np.zeros((height, width), bool)
    for _ in range(int(draw.integers(1, 5))):
        reach = float(np.exp(draw.uniform(*np.log(radius))))
        centre = (
            int(draw.integers(width // 8, width - width // 8)),
            int(draw.integers(height // 8, height - height // 8)),
        )
        if draw.random() < 0.35:
            line = scratch((height, width), centre, 3 * reach, draw) > 0.1
            hole |= cv2.dilate(line.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        else:
            hole |= blot((height, width), centre, reach, draw) > 0.5
    if not 8 <= hole.sum() <= 0.6 * hole.size:
        hole[:] = False
        hole[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4] = True
    return hole


def product_crop(photos: NativePhotos, row: int, side: int, draw: np.random.Generator) -> Picture:
    """A square of a photo around some point of its product, now and then mirrored: uint8 [side, side, 3]."""
    photo, mask = photos.photo(row), photos.mask(row)
    lacking = [(0, max(0, side - length)) for length in photo.shape[:2]]
    if any(after for _, after in lacking):
        photo, mask = np.pad(photo, [*lacking, (0, 0)], mode="symmetric"), np.pad(mask, lacking)
    coarse = np.argwhere(mask[::8, ::8] > 128)
    middle = coarse[int(draw.integers(len(coarse)))] * 8 if len(coarse) else np.array(mask.shape) // 2
    top, left = (int(np.clip(at - side // 2, 0, length - side)) for at, length in zip(middle, mask.shape, strict=True))
    crop = photo[top : top + side, left : left + side]
    return np.ascontiguousarray(crop[:, ::-1] if draw.random() < 0.5 else crop)


def _stacked(pictures: Sequence[Floats]) -> Tensor:
    """float32 [H, W, 3] in 0..255 each -> [B, 3, H, W] in 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255


def _masked_psnr(found: Tensor, batch: InpaintingBatch) -> Tensor:
    """dB in the holes, per picture: [B]."""
    error = ((found - batch.truth).square() * batch.holes).sum((1, 2, 3)) / (3 * batch.holes.sum((1, 2, 3)))
    return -10 * torch.log10(error.clamp_min(1e-10))
