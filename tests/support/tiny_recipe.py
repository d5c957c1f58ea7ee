"""A recipe that learns in milliseconds, with all that makes going on difficult: dropout, batch norm, averaging."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.pictures import Picture
from models.training.loop import Group, Plan
from models.training.scenes import DataError

BATCH, SIDE = 4, 8


def plan(**changes: Any) -> Plan:
    values = {
        "steps": 24,
        "learning_rate": 0.02,
        "warmup_steps": 4,
        "weight_decay": 0.01,
        "average": 0.9,
        "save_every": 2,
        "validate_every": 8,
    }
    return Plan(**{**values, **changes})


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyRecipe:
    """Learns to brighten pictures."""

    version: str = "0.1"
    width: int = 6
    #: Dropout and batch norm.
    restless: bool = True
    #: Seconds that each batch takes.
    pause: float = 0.0
    #: A file that the second batch's maker writes before it dies; it dies but once.
    grave: str = ""
    plan: Plan = field(default_factory=plan)

    @property
    def name(self) -> str:
        return "tiny"

    @property
    def architecture(self) -> str:
        return "tiny-net"

    def task(self, data: Path | None, cache: Path) -> "TinyTask":
        if data is not None and not data.is_dir():
            raise DataError(f"no photos in {data}")
        return TinyTask(self)

    def card(self) -> Mapping[str, str]:
        return {"what": "A net for tests.", "data": "Noise.", "limits": "All of them.", "use": "None."}


class TinyTask:
    def __init__(self, recipe: TinyRecipe) -> None:
        self.recipe = recipe
        layers = [nn.BatchNorm2d(recipe.width), nn.Dropout(0.3)] if recipe.restless else []
        torch.manual_seed(recipe.plan.seed)
        self.net = nn.Sequential(nn.Conv2d(3, recipe.width, 3, padding=1), *layers, nn.Conv2d(recipe.width, 3, 1))

    def config(self) -> Mapping[str, Any]:
        return {"width": self.recipe.width}

    def groups(self) -> Sequence[Group]:
        return [
            Group(parameters=[p for p in self.net.parameters() if p.ndim > 1]),
            Group(parameters=[p for p in self.net.parameters() if p.ndim == 1], rate=2.0, decay=False),
        ]

    def batch(self, step: int) -> Tensor:
        time.sleep(self.recipe.pause)
        if self.recipe.grave and step == 9 and not Path(self.recipe.grave).exists():
            Path(self.recipe.grave).touch()
            os._exit(1)
        draw = np.random.default_rng((self.recipe.plan.seed, step))
        return torch.from_numpy(draw.random((BATCH, 3, SIDE, SIDE), np.float32))

    def loss(self, batch: Tensor, device: torch.device) -> Mapping[str, Tensor]:
        batch = batch.to(device)
        made = self.net(batch)
        return {
            "colour": functional.mse_loss(made, 0.5 + batch / 2),
            "light": (made.mean() - 0.75).square(),
        }

    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        assert not net.training
        pictures = self.batch(10_000).to(device)
        with torch.inference_mode():
            error = (net(pictures) - 0.5 - pictures / 2).abs().mean((0, 2, 3))
        return {
            "n": BATCH,
            "error": float(error.mean()),
            **{f"channel/{k}": float(error[i]) for i, k in enumerate("rgb")},
        }

    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        with torch.inference_mode():
            made = net(self.batch(10_000).to(device))[0].permute(1, 2, 0)
        return (made.clamp(0, 1) * 255).byte().cpu().numpy()
