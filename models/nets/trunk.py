"""The trunk: EfficientNet-Lite, the pretrained convolutional net that all recognising heads share.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (ICML 2019), the Lite variants:
no squeeze-and-excitation, ReLU6 in place of swish, stem and head not scaled. Plain layers that a CPU runs well and that
quantise well. `models.training.pretrained` brings ImageNet weights into it.

Shapes: B batch; H and W are multiples of 32.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


#: Table 1 of the paper (B0).
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
_STEM, _HEAD = 32, 1280
_EPSILON = 1e-3
#: Factors of width and depth per variant.
_VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
#: The stages that end a scale, at strides 2, 4, 8, 16 and 32.
_ENDS = (0, 1, 2, 4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the trunk sees in a batch."""

    #: One map per stride 2, 4, 8, 16, 32: float [B, C_i, H / stride, W / stride].
    maps: tuple[Tensor, ...]
    #: The widest map, from which the classes are read: float [B, 1280, H / 32, W / 32].
    top: Tensor


class Trunk(nn.Module):
    """pictures [B, 3, H, W], normalised as ImageNet's -> `Features`."""

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        if variant not in _VARIANTS:
            raise ValueError(f"unknown trunk {variant!r}; known: {', '.join(_VARIANTS)}")
        width, depth = _VARIANTS[variant]
        self.stem = conv_norm(3, _STEM, 3, stride=2)
        stages, inputs, last = [], _STEM, len(_STAGES) - 1
        for position, stage in enumerate(_STAGES):
            outputs = _rounded(stage.channels * width)
            repeats = stage.repeats if position in {0, last} else math.ceil(stage.repeats * depth)
            blocks = [_Block(inputs, outputs, stage.expansion, stage.kernel, stage.stride)]
            blocks += [_Block(outputs, outputs, stage.expansion, stage.kernel, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.head = conv_norm(inputs, _HEAD, 1)
        #: Channels of `Features.maps`.
        self.channels = tuple(_rounded(_STAGES[end].channels * width) for end in _ENDS)
        #: Channels of `Features.top`.
        self.top_channels = _HEAD

    def forward(self, pictures: Tensor) -> Features:
        """All maps of one pass."""
        x = self.stem(pictures)
        maps = []
        for position, stage in enumerate(self.stages):
            x = stage(x)
            if position in _ENDS:
                maps.append(x)
        return Features(maps=tuple(maps), top=self.head(x))


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow (Sandler et al., "MobileNetV2", CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = conv_norm(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.filter = conv_norm(wide, wide, kernel, stride=stride, groups=wide)
        self.project = conv_norm(wide, outputs, 1, rectify=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.filter(self.expand(x)))
        return x + y if self.residual else y


def conv_norm(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, rectify: bool = True
) -> nn.Sequential:
    """Convolution, batch norm and, unless told otherwise, ReLU6."""
    kind = nn.Conv2d if groups == 1 else _ChannelConv2d
    conv = kind(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers = [conv, nn.BatchNorm2d(outputs, eps=_EPSILON, momentum=0.01)]
    return nn.Sequential(*layers, nn.ReLU6(inplace=True)) if rectify else nn.Sequential(*layers)


class _ChannelConv2d(nn.Conv2d):
    """A filter per channel. Trained in float32 on the CPU, whose bfloat16 gradient of it is many times slower."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 -- the name of the base class
        if self.training and input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.float())
        return super().forward(input)


def _rounded(channels: float) -> int:
    """To the nearest multiple of 8, but never down by more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
