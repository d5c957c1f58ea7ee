"""From a trained net to weights that can be served: safetensors, manifest entry, model card."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from models.registry.manifest import WeightsEntry, enlist
from models.training.card import LICENCE, command, model_card
from models.training.loop import State, Task
from models.training.recipe import Recipe
from models.training.record import Record

_LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, and how well it does."""

    entry: WeightsEntry
    size: int
    figures: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """For `run.json`."""
        names = {"file": self.entry.file, "version": self.entry.version, "sha256": self.entry.sha256}
        return {**names, "bytes": self.size, "figures": dict(self.figures)}


def pack(net: nn.Module, *, half: bool) -> dict[str, Tensor]:
    """The tensors to write. With `half`, filters and matrices are float16; vectors (biases, norms, the running
    statistics of batch norm) are few and sensitive and stay float32, as does what float16 cannot hold.
    """
    packed = {}
    for name, value in net.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        if tensor.is_floating_point():
            fits = half and tensor.ndim > 1 and float(tensor.abs().max()) <= _LARGEST_HALF
            tensor = tensor.to(torch.float16 if fits else torch.float32)
        packed[name] = tensor
    return packed


def export(  # noqa: PLR0917 -- a run has these parts
    recipe: Recipe, task: Task[Any], state: State, run: Record, folder: Path, half: bool
) -> Exported:
    """Write weights, card and manifest into the folder; the figures are those of the tensors as written."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = pack(state.averaged, half=half)
    body = to_safetensors(tensors)
    sha256 = hashlib.sha256(body).hexdigest()
    version = f"{recipe.version}-{sha256[:8]}"
    figures = _measure(task, state, tensors, half=half)
    entry = WeightsEntry(
        file=f"{recipe.name}.safetensors",
        sha256=sha256,
        version=version,
        architecture=recipe.architecture,
        config=task.config(),
        licence=LICENCE,
        card=f"{recipe.name}.md",
        parameters=run["parameters"],
        recipe=command(recipe),
        figures={name: float(f"{value:.6g}") for name, value in figures.items() if "/" not in name},
    )
    dtype = "float16 (vectors in float32)" if half else "float32"
    _write(folder / entry.file, body)
    _write(folder / entry.card, model_card(recipe, run, version, figures, dtype).encode())
    enlist(folder, recipe.name, entry)
    return Exported(entry=entry, size=len(body), figures=figures)


def _measure(task: Task[Any], state: State, tensors: Mapping[str, Tensor], *, half: bool) -> dict[str, float]:
    """The last validation where it was of these very weights, else another look."""
    if not half and state.figures and state.figures[-1][0] == state.step:
        return state.figures[-1][1]
    net = deepcopy(state.averaged).eval()
    net.load_state_dict(tensors)
    return dict(task.validate(net, next(net.parameters()).device))


def _write(path: Path, body: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(body)
    partial.replace(path)
