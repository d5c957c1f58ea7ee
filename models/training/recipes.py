"""What to train and how, as values: one function per recipe."""

from dataclasses import dataclass

from models.filters import FILTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleRecipe:
    """A run of the style net. Lengths are pixels at the served scale (long side about 1,000 px)."""

    version: str = "1.0"
    styles: tuple[str, ...] = tuple(FILTERS)
    width: int = 32
    blocks: int = 5
    detail: int = 16
    #: Windows cut for training and for validation, and their side.
    windows: int = 800
    validation_windows: int = 24
    window: int = 288
    #: Each step draws one crop per style; its rim is left out of the loss, for the net cannot see beyond it.
    crop: int = 112
    rim: int = 8
    steps: int = 10_000
    learning_rate: float = 2e-3
    #: The styles' own parameters learn this many times faster than the shared filters.
    style_rate: float = 10.0
    warmup_steps: int = 100
    #: Weights of the loss terms beside L1.
    structure_weight: float = 0.25
    gradient_weight: float = 0.5
    seed: int = 7
    #: Steps between checkpoints.
    save_every: int = 100


def style() -> StyleRecipe:
    """The recipe of the bundled style net."""
    return StyleRecipe()
