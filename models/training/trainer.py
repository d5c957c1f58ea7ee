"""The training loop of the style net: seeded, and resumable after a kill at any moment."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.losses import gradient_difference, multiscale_dissimilarity
from models.nets.style import StyleNet, StyleNetConfig
from models.training.data import StyleBatch, StyleWindows, draw_batch
from models.training.recipes import StyleRecipe


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """All that a run needs to go on: the net, its optimiser, the steps done and the loss of each."""

    net: StyleNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    losses: list[float] = field(default_factory=list)


def net_config(recipe: StyleRecipe) -> StyleNetConfig:
    """The net that a recipe trains."""
    return StyleNetConfig(styles=len(recipe.styles), width=recipe.width, blocks=recipe.blocks, detail=recipe.detail)


def start(recipe: StyleRecipe, device: torch.device) -> TrainingState:
    """A fresh state; the same seed gives the same net."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        net = StyleNet(net_config(recipe))
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    own = net.style_parameters()
    known = {id(parameter) for parameter in own}
    shared = [parameter for parameter in net.parameters() if id(parameter) not in known]
    groups = [{"params": shared, "rate": 1.0}, {"params": own, "rate": recipe.style_rate}]
    return TrainingState(net=net, optimiser=torch.optim.Adam(groups, lr=recipe.learning_rate, betas=(0.9, 0.99)))


def save(state: TrainingState, path: Path) -> None:
    """Write the checkpoint whole or not at all."""
    content = {
        "net": state.net.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "losses": state.losses,
    }
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def resume(state: TrainingState, path: Path) -> None:
    """Bring a fresh state to where the checkpoint left off."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    state.net.load_state_dict(content["net"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.step, state.losses = content["step"], content["losses"]


def train(state: TrainingState, recipe: StyleRecipe, windows: StyleWindows, checkpoint: Path) -> Iterator[float]:
    """Run the steps that are left, one loss at a time, saving as it goes."""
    device = next(state.net.parameters()).device
    state.net.train()
    while state.step < recipe.steps:
        for group in state.optimiser.param_groups:
            group["lr"] = group["rate"] * recipe.learning_rate * _schedule(state.step, recipe)
        batch = draw_batch(windows, recipe.crop, recipe.seed, state.step)
        loss = _loss(state.net, batch, recipe, device)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
        state.optimiser.step()
        state.step += 1
        state.losses.append(loss.item())
        if state.step % recipe.save_every == 0 or state.step == recipe.steps:
            save(state, checkpoint)
        yield state.losses[-1]


def _loss(net: StyleNet, batch: StyleBatch, recipe: StyleRecipe, device: torch.device) -> Tensor:
    inside = slice(recipe.rim, recipe.crop - recipe.rim)
    targets = batch.targets.to(device)[..., inside, inside]
    with torch.autocast(device.type, torch.bfloat16):
        drawn = net(batch.pictures.to(device), batch.textures.to(device), batch.style.to(device))
    drawn = drawn.float()[..., inside, inside]
    absolute = (drawn - targets).abs().mean()
    structure = multiscale_dissimilarity(drawn.mean(1, keepdim=True), targets.mean(1, keepdim=True)).mean()
    edges = gradient_difference(drawn, targets).mean()
    total: Tensor = absolute + recipe.structure_weight * structure + recipe.gradient_weight * edges
    return total


def _schedule(step: int, recipe: StyleRecipe) -> float:
    """Linear warm-up, then a cosine down to 1 %."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / max(1, recipe.steps))))
