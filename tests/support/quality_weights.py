"""Weights of a quality net that has learnt nothing, written as they are served."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from models.nets.quality import QUALITY_NET, QualityNet, QualityNetConfig
from models.registry.manifest import WeightsEntry, enlist
from models.training.distortions import TRAINED

TYPES = ("none", *TRAINED)
WIDTHS = (4, 8, 8, 8)


def write_weights(folder: Path, seed: int = 3) -> Path:
    """A small net, the same for equal seeds; gives the folder."""
    torch.manual_seed(seed)
    net = QualityNet(QualityNetConfig(types=len(TYPES), widths=WIDTHS))
    body = save(net.state_dict())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quality.safetensors").write_bytes(body)
    view = {"side": 64, "crops": 2, "sketch": 32}
    entry = WeightsEntry(
        file="quality.safetensors",
        sha256=hashlib.sha256(body).hexdigest(),
        version="0.1",
        architecture=QUALITY_NET,
        config={"types": list(TYPES), "widths": list(WIDTHS), "view": view},
        licence="Apache-2.0",
        card="quality.md",
    )
    enlist(folder, "quality", entry)
    return folder
