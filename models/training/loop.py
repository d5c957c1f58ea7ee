"""The training loop of all recipes: seeded, averaged, and resumable after a kill at any moment.

What a step sees depends on the seed and its number alone, so a resumed run goes on as if nothing had happened.
"""

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from models.pictures import Picture
from models.training.parallel import ALONE, Share
from models.training.readers import ahead

B = TypeVar("B")


class TrainingError(Exception):
    """A run cannot start or go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a net is trained, whatever it learns."""

    steps: int
    learning_rate: float
    warmup_steps: int = 100
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    #: Largest norm of the gradient.
    clip: float = 1.0
    #: Weights are averaged with this memory per step (0: not at all); the averaged ones are exported.
    average: float = 0.0
    #: The learning rate falls along a cosine to this share of itself.
    floor: float = 0.01
    #: Steps between checkpoints, and between two looks at the validation photos.
    save_every: int = 100
    validate_every: int = 1000
    seed: int = 7
    #: Matrices and filters are exported as float16; say so where the figures hold.
    half: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parameters that learn at `rate` times the plan's rate."""

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    decay: bool = True


class Task(Protocol[B]):
    """What is learnt: a net, its examples, its loss."""

    @property
    def net(self) -> nn.Module:
        """Freshly initialised, or pretrained; the same for the same seed."""
        ...

    def config(self) -> Mapping[str, Any]:
        """The net's configuration for the manifest of weights, as JSON values."""
        ...

    def groups(self) -> Sequence[Group]:
        """The parameters that learn."""
        ...

    def batch(self, step: int) -> B:
        """The examples of a step, on the CPU; depends on seed and step alone. Called ahead of time by another thread or
        process, so what it draws comes from a generator of its own, never from torch's.
        """
        ...

    def loss(self, batch: B, device: torch.device) -> Mapping[str, Tensor]:
        """The terms of the loss, by name; their sum is what falls."""
        ...

    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Figures on photos that are not learnt from, of a net in evaluation mode. `n` says on how many; names with a
        slash, such as `ssim/oil`, share a chart.
        """
        ...

    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """A grid of examples to look at, always the same ones: uint8 [H, W, 3]."""
        ...


@dataclass(slots=True, kw_only=True)
class State:
    """All that a run needs to go on."""

    net: nn.Module
    averaged: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    #: What has been spent so far, over all calls: seconds.
    seconds: float = 0.0
    #: Name and values of the recipe, as JSON values, so that another recipe's checkpoint is noticed.
    recipe: dict[str, Any] = field(default_factory=dict)
    #: Of each step, the terms of the loss by name.
    losses: dict[str, list[float]] = field(default_factory=dict)
    #: (step, figures) of each validation.
    figures: list[tuple[int, dict[str, float]]] = field(default_factory=list)


def start(task: Task[B], plan: Plan, device: torch.device) -> State:
    """A fresh state of the task's own net."""
    net = task.net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = [
        {
            "params": list(group.parameters),
            "rate": group.rate,
            "weight_decay": plan.weight_decay if group.decay else 0.0,
        }
        for group in task.groups()
    ]
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=plan.betas)
    return State(net=net, averaged=deepcopy(net).eval() if plan.average else net, optimiser=optimiser)


def save(state: State, path: Path) -> None:
    """Write the checkpoint whole or not at all."""
    content = {
        "net": state.net.state_dict(),
        "averaged": state.averaged.state_dict() if state.averaged is not state.net else None,
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "losses": state.losses,
        "figures": state.figures,
        "seconds": state.seconds,
        "recipe": state.recipe,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def resume(state: State, path: Path) -> None:
    """Bring a fresh state to where the checkpoint left off; `TrainingError` where it is another run's, or damaged."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        _refuse_another(content.get("recipe") or {}, state.recipe, path)
        state.net.load_state_dict(content["net"])
        if state.averaged is not state.net:
            state.averaged.load_state_dict(content["averaged"])
        state.optimiser.load_state_dict(content["optimiser"])
        state.step, state.losses, state.figures = content["step"], content["losses"], content["figures"]
        state.seconds = content.get("seconds", 0.0)
        state.recipe = {**content.get("recipe", {}), **state.recipe}
    except (OSError, EOFError, UnpicklingError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path} is no checkpoint of this recipe: {error}") from error


def _refuse_another(theirs: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> None:
    """What both recipes name must agree; a field that a recipe was given later is no difference."""
    shared = [name for name in theirs if name in ours]
    changed = [f"{name} was {theirs[name]}, is {ours[name]}" for name in shared if theirs[name] != ours[name]]
    if changed:
        raise TrainingError(
            f"{path} is of another run: {'; '.join(changed)}. Choose another --out, or remove that folder"
        )


def train(
    task: Task[B], state: State, plan: Plan, checkpoint: Path, *, share: Share = ALONE, readers: int = 1
) -> Iterator[State]:
    """Run the steps that are left, saving as it goes; yields after each step of the optimiser.

    Several workers take several batches at a time, one each, and learn from the mean of their gradients; the first one
    alone looks at the validation photos and saves. Batches are made ahead of time by so many `readers`.
    """
    device = next(state.net.parameters()).device
    numbers = range(state.step + share.rank, plan.steps + share.rank, share.workers)
    begun = time.monotonic()
    for number, batch in zip(numbers, ahead(task.batch, numbers, readers), strict=True):
        before, last = state.step, number == numbers[-1]
        _step(task, state, plan, batch, share)
        if share.rank == 0 and (last or _passed(before, state.step, plan.validate_every)):
            state.figures.append((state.step, dict(task.validate(state.averaged.eval(), device))))
        state.seconds += time.monotonic() - begun
        if share.rank == 0 and (last or _passed(before, state.step, plan.save_every)):
            save(state, checkpoint)
        yield state
        begun = time.monotonic()


def _passed(before: int, now: int, every: int) -> bool:
    return before // every != now // every


def _step(task: Task[B], state: State, plan: Plan, batch: B, share: Share) -> None:
    for group in state.optimiser.param_groups:
        group["lr"] = group["rate"] * plan.learning_rate * schedule(state.step, plan)
    state.net.train()
    # What layers draw, such as dropout, depends on seed and batch alone, too.
    torch.manual_seed(plan.seed * 1_000_003 + state.step + share.rank)
    terms = task.loss(batch, next(state.net.parameters()).device)
    losses = torch.stack(list(terms.values()))
    seen = share.gather(losses.detach().float())  # [workers, terms]
    if not seen.isfinite().all():
        raise TrainingError(
            f"the loss is not finite at step {state.step}: {dict(zip(terms, seen.T.tolist(), strict=True))}"
        )
    state.optimiser.zero_grad(set_to_none=True)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    share.average([p.grad for p in state.net.parameters() if p.grad is not None])
    nn.utils.clip_grad_norm_(state.net.parameters(), plan.clip)
    state.optimiser.step()
    share.average([buffer for buffer in state.net.buffers() if buffer.is_floating_point()])
    if state.averaged is not state.net:
        _average(state, plan.average**share.workers)
    state.step += share.workers
    for row in seen.tolist():
        for name, value in zip(terms, row, strict=True):
            state.losses.setdefault(name, []).append(value)


@torch.no_grad()
def _average(state: State, memory: float) -> None:
    """Moving average of all that is in the net; the memory is short at first (as in Tarvainen and Valpola, 2017)."""
    memory = min(memory, (1 + state.step) / (10 + state.step))
    ours, theirs = state.averaged.state_dict(), state.net.state_dict()
    for name, tensor in ours.items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name], 1 - memory)
        else:
            tensor.copy_(theirs[name])


def schedule(step: int, plan: Plan) -> float:
    """Linear warm-up, then a cosine: share of the learning rate at a step."""
    warm = min(1.0, (step + 1) / max(1, plan.warmup_steps))
    return warm * (plan.floor + (1 - plan.floor) * 0.5 * (1 + math.cos(math.pi * step / max(1, plan.steps))))
