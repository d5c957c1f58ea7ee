"""The quality net: what is wrong with a photo, how badly, and whether it is a photo at all.

It looks at some crops pixel by pixel, where noise, blur and blocks show, and at a sketch of the whole picture, where
exposure and colour cast show. Differences to a net that recognises things:

- The difference to the neighbours enters beside the pixels, its root taken: faint noise, blocks and bands stand out.
- A PixelUnshuffle stem and plain convolutions, which is what a CPU does best.
- Means and spreads of the maps are read, not places: damage is a texture. Crops of one picture are pooled together.
- Realism is read from the crops alone: a plain white background in the sketch would give the answer away.

Shapes: B batch, K crops, S side of a crop (a multiple of 16), G side of the sketch (a multiple of 16), T types.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: As the manifest of weights names it.
QUALITY_NET = "pu2-quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityNetConfig:
    """Size of a quality net."""

    #: Kinds of damage, the undamaged one included.
    types: int
    #: Channels at strides 2, 4, 8 and 16.
    widths: tuple[int, ...] = (32, 64, 96, 128)
    #: Channels of the sketch's last map, and of the layer that all heads share.
    sketch: int = 64
    hidden: int = 128
    dropout: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What the net makes of a batch of pictures, each float [B] unless said otherwise; logits."""

    #: Higher is better.
    score: Tensor
    #: Higher is worse.
    severity: Tensor
    #: float [B, T]
    types: Tensor
    #: Higher: a photo; lower: composed or drawn.
    realism: Tensor


class QualityNet(nn.Module):
    """crops [B, K, 3, S, S] and sketch [B, 3, G, G], both in 0..1 -> `Felt`. About 0.9 million parameters."""

    def __init__(self, config: QualityNetConfig) -> None:
        super().__init__()
        first, *wider = config.widths
        layers: list[nn.Module] = [conv_norm(4 * 6, first)]
        for narrow, wide in zip(config.widths[:-1], wider, strict=True):
            layers.append(nn.Sequential(conv_norm(narrow, wide, stride=2), _Residual(wide)))
        self.body = nn.ModuleList(layers)
        third = config.sketch // 2
        self.sketch = nn.Sequential(
            conv_norm(12, third), conv_norm(third, config.sketch, stride=2), conv_norm(config.sketch, config.sketch)
        )
        local = 2 * (config.widths[-2] + config.widths[-1])
        self.shared = _mix(local + 2 * config.sketch, config)
        self.score, self.severity = nn.Linear(config.hidden, 1), nn.Linear(config.hidden, 1)
        self.types = nn.Linear(config.hidden, config.types)
        self.realism = nn.Sequential(*_mix(local, config), nn.Linear(config.hidden, 1))

    def forward(self, crops: Tensor, sketch: Tensor) -> Felt:
        """One pass for all heads."""
        flat = crops.flatten(0, 1)
        x = functional.pixel_unshuffle(torch.cat([2 * flat - 1, residue(flat)], dim=1), 2)
        maps = []
        for layer in self.body:
            x = layer(x)
            maps.append(x)
        local = torch.cat([_pooled(each, len(crops)) for each in maps[-2:]], dim=1)
        whole = self.sketch(functional.pixel_unshuffle(2 * sketch - 1, 2))
        hidden = self.shared(torch.cat([local, _pooled(whole, len(crops))], dim=1))
        return Felt(
            score=self.score(hidden)[:, 0],
            severity=self.severity(hidden)[:, 0],
            types=self.types(hidden),
            realism=self.realism(local)[:, 0],
        )


def _mix(inputs: int, config: QualityNetConfig) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, config.hidden), nn.ReLU(inplace=True), nn.Dropout(config.dropout))


def residue(pictures: Tensor) -> Tensor:
    """Each pixel less the mean of its 3 x 3 neighbours, its signed root taken: [B, 3, H, W], about -1..1."""
    rest = pictures - functional.avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    return rest.sign() * (4 * rest.abs() + 1e-4).sqrt() - rest.sign() * 1e-2


def _pooled(x: Tensor, batch: int) -> Tensor:
    """Mean and spread of every channel over all places of all crops of a picture: float [B, 2 * C]."""
    flat = x.float().reshape(batch, -1, *x.shape[1:]).transpose(1, 2).flatten(2)
    mean = flat.mean(2)
    return torch.cat([mean, (flat.var(2, correction=0) + 1e-4).sqrt()], dim=1)


class _Residual(nn.Module):
    """Two convolutions beside the identity (He et al., CVPR 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = conv_norm(width, width, rectify=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


def conv_norm(inputs: int, outputs: int, *, stride: int = 1, rectify: bool = True) -> nn.Sequential:
    """A 3 x 3 convolution, batch norm and, unless told otherwise, ReLU."""
    layers = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs, momentum=0.05)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if rectify else nn.Sequential(*layers)
