"""What a run says of itself, as JSON values: `run.json`. Curves and page are drawn from it alone."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from models.training.loop import State
from models.training.recipe import Recipe

RUN = "run.json"
#: So many points of each curve are kept at most.
_POINTS = 400
_VERSIONS = ("vitrine", "torch", "numpy", "opencv-python-headless")
#: How long a run is, and how often it saves and looks, may change while it goes on; so may the version's name.
_FREE = ("version", "plan.steps", "plan.save_every", "plan.validate_every", "plan.half")

Record = dict[str, Any]


def identity(recipe: Recipe) -> dict[str, Any]:
    """Name and values by which a checkpoint is known to be of this recipe; flat, as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(cast("Any", recipe)), default=str))
    named = {"recipe": recipe.name, "architecture": recipe.architecture, **_flat(values)}
    return {name: value for name, value in named.items() if name not in _FREE}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


def record(recipe: Recipe, state: State, device: torch.device, workers: int = 1) -> Record:
    """The state of a run, to be written and shown."""
    return {
        "name": recipe.name,
        "version": recipe.version,
        "architecture": recipe.architecture,
        "recipe": {**identity(recipe), "plan.steps": recipe.plan.steps},
        "begun_with": state.recipe.get("begun_with"),
        "seed": recipe.plan.seed,
        "step": state.step,
        "steps": recipe.plan.steps,
        "seconds": round(state.seconds, 1),
        "parameters": sum(parameter.numel() for parameter in state.net.parameters()),
        "device": _device(device),
        "threads": torch.get_num_threads(),
        "workers": workers,
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _VERSIONS}},
        "figures": [{"step": step, **figures} for step, figures in state.figures],
        "losses": losses(state.losses, state.step),
    }


def losses(terms: Mapping[str, Sequence[float]], step: int) -> dict[str, Any]:
    """Means over stretches of steps: `steps`, where each ends, and under each term's name its values; their sum as
    `total`, where there are several.
    """
    length = min((len(values) for values in terms.values()), default=0)
    if length == 0:
        return {"steps": [], "terms": {}}
    ends = np.unique(np.linspace(0, length, min(length, _POINTS) + 1).round().astype(int))[1:]
    starts = np.concatenate([[0], ends[:-1]])
    means = {
        name: np.add.reduceat(np.asarray(values[-length:]), starts) / (ends - starts) for name, values in terms.items()
    }
    if len(means) > 1:
        means = {"total": np.sum(list(means.values()), axis=0), **means}
    return {
        "steps": (ends + step - length).tolist(),
        "terms": {name: [float(f"{value:.6g}") for value in values] for name, values in means.items()},
    }


def _device(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def write_record(folder: Path, content: Record) -> None:
    """Write `run.json` whole or not at all."""
    partial = folder / f"{RUN}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    partial.replace(folder / RUN)


def read_record(folder: Path) -> Record:
    """The record of a run folder; raise `OSError` or `ValueError` where there is none."""
    content: Record = json.loads((folder / RUN).read_text("utf-8"))
    return content
