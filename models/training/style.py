"""What the style net learns: to redraw photos as the drawing filters do, in all styles at once."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from models.losses import gradient_difference, multiscale_dissimilarity
from models.nets.style import StyleNet, StyleNetConfig
from models.pictures import Picture
from models.styles.filters import FILTERS
from models.styles.textures import sheet, textures
from models.styles.transfer import ARCHITECTURE, StyleTransfer
from models.training.loop import Group, Plan
from models.training.measure import Taught, as_tensor, measure, sample_grid, teach
from models.training.scenes import find_samples
from models.training.windows import WindowPlan, Windows, load_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleRecipe:
    """A run of the style net. Lengths are pixels at the served scale (long side about 1,000 px)."""

    version: str = "2.0"
    styles: tuple[str, ...] = tuple(FILTERS)
    width: int = 32
    blocks: int = 5
    detail: int = 16
    #: Windows drawn for training and for validation, and their side.
    windows: int = 800
    validation_windows: int = 16
    window: int = 288
    #: Each step draws so many crops, all styles in turn; their rim is left out of the loss, for the net cannot see
    #: beyond it.
    crops: int = 8
    crop: int = 112
    rim: int = 8
    #: The styles' own scales and shifts, and their own layers, learn this many times faster than the shared filters.
    style_rate: float = 10.0
    own_rate: float = 2.0
    #: Weights of the loss terms beside L1.
    structure_weight: float = 0.25
    gradient_weight: float = 0.5
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=14_000,
            learning_rate=2e-3,
            betas=(0.9, 0.99),
            average=0.998,
            save_every=200,
            validate_every=2000,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "style"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return ARCHITECTURE

    def task(self, data: Path | None, cache: Path) -> "StyleTask":
        """Windows are drawn once into the cache."""
        train, validation = (find_samples(data, split) for split in ("train", "validation"))
        seed, side = self.plan.seed, self.window
        plan = WindowPlan(styles=self.styles, count=self.windows, side=side, seed=seed)
        held_out = WindowPlan(styles=self.styles, count=self.validation_windows, side=side, seed=seed + 1)
        return StyleTask(self, load_windows(plan, train, cache), load_windows(held_out, validation, cache))

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return {
            "what": (
                "One convolutional net (`models/nets/style.py`) that redraws a photo in one of its styles: "
                f"{', '.join(self.styles)}. It is fully local: a crop is redrawn as the whole picture is, whatever its "
                "size or share of white."
            ),
            "data": (
                "CC0 photos of clothes (clothing-dataset-small, Alexey Grigorev and contributors), only those with a "
                f"trusted mask; {self.windows} windows of {self.window} px at the served scale (long side 800 to 1,100 "
                "px), half raw photos, half garments cut out on white or light seamless backgrounds. The masks were "
                "made with IS-Net (general use). The targets are our own drawing filters (`models/styles/filters`), "
                "written from the literature: no painting, no artist's style and no pretrained weights went in."
            ),
            "use": (
                "Mood and advertising pictures of products at about 1,000 px, whole or background only. Not where "
                "labels must stay readable."
            ),
            "limits": (
                "Strokes keep their size in pixels, so a small picture looks coarser. Fine print on a garment is "
                "simplified, in oil most of all. Hatching and grain lie still: the same pixel always meets the same "
                "grain. PSNR says little of styles made of dots: there the blurred similarity counts."
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleBatch:
    """B crops of side K: pictures and targets float32 [B, 3, K, K] in 0..1, textures [B, T, K, K], style int64 [B]."""

    pictures: Tensor
    textures: Tensor
    targets: Tensor
    style: Tensor


class StyleTask:
    """Learns from crops of the windows; measured through the class that serves."""

    def __init__(self, recipe: StyleRecipe, train: Windows, validation: Windows) -> None:
        self.recipe, self.train, self.validation = recipe, train, validation
        torch.manual_seed(recipe.plan.seed)
        self._config = StyleNetConfig(
            styles=len(recipe.styles), width=recipe.width, blocks=recipe.blocks, detail=recipe.detail
        )
        self.net: StyleNet = StyleNet(self._config)
        self._taught: Taught | None = None

    def config(self) -> Mapping[str, Any]:
        """The styles by name, and the net's size."""
        return {**asdict(self._config), "styles": list(self.recipe.styles)}

    def groups(self) -> Sequence[Group]:
        """The styles' own parameters learn faster."""
        tables = {id(parameter) for parameter in self.net.style_parameters()}
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.net.named_parameters():
            own = self.recipe.own_rate if name.startswith(("detail.", "head.")) else 1.0
            rate = self.recipe.style_rate if id(parameter) in tables else own
            groups.setdefault(rate, []).append(parameter)
        return [Group(parameters=parameters, rate=rate) for rate, parameters in groups.items()]

    def batch(self, step: int) -> StyleBatch:
        """Random crops of random windows; each style comes once per round, in an order of the round's own."""
        recipe, windows = self.recipe, self.train
        pictures, targets, fields, styles = [], [], [], []
        for number in range(step * recipe.crops, (step + 1) * recipe.crops):
            turn, place = divmod(number, len(recipe.styles))
            order = np.random.default_rng((recipe.plan.seed, 1, turn)).permutation(len(recipe.styles))
            draw, style = np.random.default_rng((recipe.plan.seed, 2, number)), int(order[place])
            window = int(draw.integers(len(windows.pictures)))
            row, column = (int(v) for v in draw.integers(recipe.window - recipe.crop + 1, size=2))
            area = (slice(row, row + recipe.crop), slice(column, column + recipe.crop))
            origin = (int(windows.origins[window, 0]) + row, int(windows.origins[window, 1]) + column)
            pictures.append(windows.pictures[window][area])
            targets.append(windows.targets[window, style][area])
            fields.append(textures(recipe.crop, recipe.crop, origin, sheet(recipe.styles[style])))
            styles.append(style)
        return StyleBatch(
            pictures=as_tensor(np.stack(pictures)),
            targets=as_tensor(np.stack(targets)),
            textures=torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2),
            style=torch.tensor(styles),
        )

    def loss(self, batch: StyleBatch, device: torch.device) -> Mapping[str, Tensor]:
        """L1, structure on three scales, and steps between neighbours."""
        recipe = self.recipe
        inside = slice(recipe.rim, recipe.crop - recipe.rim)
        targets = batch.targets.to(device)[..., inside, inside]
        with torch.autocast(device.type, torch.bfloat16):
            drawn = self.net(batch.pictures.to(device), batch.textures.to(device), batch.style.to(device))
        drawn = drawn.float()[..., inside, inside]
        structure = multiscale_dissimilarity(drawn.mean(1, keepdim=True), targets.mean(1, keepdim=True))
        return {
            "absolute": (drawn - targets).abs().mean(),
            "structure": recipe.structure_weight * structure.mean(),
            "edges": recipe.gradient_weight * gradient_difference(drawn, targets).mean(),
        }

    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Likeness to the teachers per style, and the means."""
        return measure(self._served(net, device), self._lessons())

    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """Windows as they are, as the teachers and as the net draw them."""
        return sample_grid(self._served(net, device), self._lessons())

    def _lessons(self) -> Taught:
        if self._taught is None:
            self._taught = teach(self.validation.pictures, self.recipe.styles)
        return self._taught

    def _served(self, net: nn.Module, device: torch.device) -> StyleTransfer:
        net = cast("StyleNet", net)
        return StyleTransfer(net, name="style", version="", styles=self.recipe.styles, device=device)
