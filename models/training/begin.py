"""Beginning with weights that are there already, instead of from nothing: fine-tuning."""

from pathlib import Path

import torch

from models.registry.checkpoint import load_weights
from models.registry.sources import WeightsError
from models.training.loop import State, TrainingError
from models.training.recipe import Recipe


@torch.no_grad()
def begin_with(state: State, recipe: Recipe, source: Path) -> str:
    """Bring weights of the recipe's architecture into a fresh state and say which version they are.

    What they lack stays as it was initialised, so a net may have grown since; `TrainingError` where a tensor has
    another shape, and for what `load_weights` refuses.
    """
    try:
        weights = load_weights(recipe.name, recipe.architecture, source)
    except WeightsError as error:
        raise TrainingError(f"--begin {source}: {error}") from error
    for net in (state.net, state.averaged):
        own = net.state_dict()
        other = sorted(name for name, tensor in weights.tensors.items() if own.get(name, tensor).shape != tensor.shape)
        if other:
            raise TrainingError(f"--begin {source}: {', '.join(other[:4])} of another size than the net's")
        if not own.keys() & weights.tensors.keys():
            raise TrainingError(f"--begin {source}: no tensor that the net has")
        net.load_state_dict({**own, **{name: t for name, t in weights.tensors.items() if name in own}})
    return weights.entry.version
