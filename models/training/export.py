"""From a trained net to weights that can be served: safetensors, manifest entry, model card."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save as to_safetensors

from models.manifest import MANIFEST, WeightsEntry, read_manifest, write_manifest
from models.style_transfer import ARCHITECTURE, StyleTransfer
from models.training.measure import Figures, measure
from models.training.recipes import StyleRecipe
from models.training.report import model_card
from models.training.trainer import TrainingState, net_config


def export(state: TrainingState, recipe: StyleRecipe, validation: NDArray[np.uint8], folder: Path) -> Figures:
    """Write weights, manifest and card into the folder, load them back as served, and measure them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in state.net.state_dict().items()}
    body = to_safetensors(tensors)
    sha256 = hashlib.sha256(body).hexdigest()
    config = {key: value for key, value in asdict(net_config(recipe)).items() if key != "styles"}
    entry = WeightsEntry(
        file="style.safetensors",
        sha256=sha256,
        version=f"{recipe.version}-{sha256[:8]}",
        architecture=ARCHITECTURE,
        config={"styles": list(recipe.styles), **config},
        licence="Apache-2.0",
        card="style.md",
    )
    entries = read_manifest(folder) if (folder / MANIFEST).exists() else {}
    (folder / entry.file).write_bytes(body)
    write_manifest(folder, {**entries, "style": entry})
    figures = measure(StyleTransfer.load("cpu", folder), validation)
    parameters = sum(tensor.numel() for tensor in tensors.values())
    card = model_card(recipe, entry.version, state.step, parameters, figures)
    (folder / entry.card).write_text(card, "utf-8")
    return figures
