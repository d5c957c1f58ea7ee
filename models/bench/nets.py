"""The nets that are timed, and what they get of one photo of 512 px. A new net adds one entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from models.nets.inpainting import INPAINTING_NET, InpaintingNet, InpaintingNetConfig
from models.nets.product import PRODUCT_NET, ProductNet, ProductNetConfig
from models.nets.quality import QUALITY_NET, QualityNet, QualityNetConfig
from models.nets.restoration import RESTORATION_NET, RestorationNet, RestorationNetConfig
from models.nets.style import StyleNet, StyleNetConfig
from models.registry.checkpoint import fitted, load_weights
from models.registry.sources import WeightsError
from models.styles.transfer import ARCHITECTURE as STYLE_NET

_SIDE = 512
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One net."""

    #: Of its weights in the manifest, and of the net that they belong to.
    name: str
    architecture: str
    #: What one photo may take on one thread of a CPU, in ms; None where no goal is set.
    goal_ms: float | None
    #: The net for a configuration of the manifest; for an empty one as it is trained.
    make: Callable[[Config], nn.Module]
    #: What it gets of one photo, floats in 0..1 on the CPU.
    inputs: Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A net ready to be timed."""

    net: nn.Module
    inputs: tuple[Tensor, ...]
    #: False where the weights are random, because there are none yet.
    trained: bool


def subject(entry: Entry) -> Subject:
    """The net with its bundled weights, or else with random ones."""
    torch.manual_seed(1)
    inputs = entry.inputs()
    try:
        weights = load_weights(entry.name, entry.architecture)
        net = fitted(weights, lambda: entry.make(weights.entry.config))
    except WeightsError:
        return Subject(net=entry.make({}).eval(), inputs=inputs, trained=False)
    return Subject(net=net, inputs=inputs, trained=True)


def _product(config: Config) -> nn.Module:
    known = {"trunk": "lite2"} | _known(config, ProductNetConfig)
    return ProductNet(ProductNetConfig(**known | {"classes": len(config.get("classes", range(10)))}))


def _style(config: Config) -> nn.Module:
    styles = len(config.get("styles", range(15)))
    return StyleNet(StyleNetConfig(**_known(config, StyleNetConfig) | {"styles": styles}))


def _quality(config: Config) -> nn.Module:
    types = len(config.get("types", range(13)))
    return QualityNet(QualityNetConfig(**_known(config, QualityNetConfig) | {"types": types}))


def _restoration(config: Config) -> nn.Module:
    return RestorationNet(RestorationNetConfig(**_known(config, RestorationNetConfig)))


def _inpainting(config: Config) -> nn.Module:
    return InpaintingNet(InpaintingNetConfig(**_known(config, InpaintingNetConfig)))


def _known(config: Config, kind: type[Any]) -> dict[str, Any]:
    """What the manifest says of the net's size; it holds other things too."""
    named = {each.name for each in fields(kind)} & config.keys()
    return {name: tuple(config[name]) if isinstance(config[name], list) else config[name] for name in named}


def _picture(channels: int = 3, side: int = _SIDE) -> Tensor:
    return torch.rand(1, channels, side, side)


def _quality_inputs() -> tuple[Tensor, ...]:
    return torch.rand(1, 3, 3, 128, 128), _picture(side=64)


def _inpainting_inputs() -> tuple[Tensor, ...]:
    return _picture(), _picture(), (_picture(1) > 0.95).float()


ENTRIES = (
    Entry(
        name="product",
        architecture=PRODUCT_NET,
        goal_ms=150,
        make=_product,
        inputs=lambda: (_picture(side=320),),
    ),
    Entry(
        name="style",
        architecture=STYLE_NET,
        goal_ms=360,
        make=_style,
        inputs=lambda: (_picture(), _picture(4), torch.zeros(1, dtype=torch.int64)),
    ),
    Entry(name="quality", architecture=QUALITY_NET, goal_ms=35, make=_quality, inputs=_quality_inputs),
    Entry(
        name="restoration",
        architecture=RESTORATION_NET,
        goal_ms=525,
        make=_restoration,
        inputs=lambda: (_picture(),),
    ),
    Entry(
        name="inpainting",
        architecture=INPAINTING_NET,
        goal_ms=None,
        make=_inpainting,
        inputs=_inpainting_inputs,
    ),
)
