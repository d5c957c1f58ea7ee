"""The training loop of all recipes: seeded, averaged, and resumable after a kill at any moment.

What a step sees depends on the seed and its number alone, so a resumed run goes on as if nothing had happened.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from models.pictures import Picture

B = TypeVar("B")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parameters that learn at `rate` times the plan's rate."""

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    decay: bool = True


class Task(Protocol[B]):
    """What is learnt: a net, its examples, its loss."""

    net: nn.Module

    def config(self) -> Mapping[str, Any]:
        """The net's configuration for the manifest of weights, as JSON values."""
        ...

    def groups(self) -> Sequence[Group]:
        """The parameters that learn."""
        ...

    def batch(self, step: int) -> B:
        """The examples of a step; depends on seed and step alone. Called from another thread, ahead of time."""
        ...

    def loss(self, batch: B, device: torch.device) -> Mapping[str, Tensor]:
        """The terms of the loss, by name; their sum is what falls."""
        ...

    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Figures on photos that are not learnt from."""
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
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def resume(state: State, path: Path) -> None:
    """Bring a fresh state to where the checkpoint left off."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    state.net.load_state_dict(content["net"])
    if state.averaged is not state.net:
        state.averaged.load_state_dict(content["averaged"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.step, state.losses, state.figures = content["step"], content["losses"], content["figures"]


def train(task: Task[B], state: State, plan: Plan, checkpoint: Path) -> Iterator[State]:
    """Run the steps that are left, saving as it goes; yields after each."""
    device = next(state.net.parameters()).device
    with ThreadPoolExecutor(1, thread_name_prefix="examples") as ahead:
        coming = ahead.submit(task.batch, state.step)
        while state.step < plan.steps:
            batch = coming.result()
            coming = ahead.submit(task.batch, state.step + 1)
            _step(task, state, plan, batch, device)
            last = state.step == plan.steps
            if last or state.step % plan.validate_every == 0:
                state.figures.append((state.step, dict(task.validate(state.averaged, device))))
            if last or state.step % plan.save_every == 0:
                save(state, checkpoint)
            yield state


def _step(task: Task[B], state: State, plan: Plan, batch: B, device: torch.device) -> None:
    for group in state.optimiser.param_groups:
        group["lr"] = group["rate"] * plan.learning_rate * schedule(state.step, plan)
    state.net.train()
    terms = task.loss(batch, device)
    state.optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), plan.clip)
    state.optimiser.step()
    if state.averaged is not state.net:
        _average(state, plan.average)
    state.step += 1
    for name, term in terms.items():
        state.losses.setdefault(name, []).append(term.item())


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
