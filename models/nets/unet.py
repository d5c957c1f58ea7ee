"""A U-Net of plain convolutions (Ronneberger, Fischer and Brox, MICCAI 2015), the body of the nets that repair photos.

- It starts at half size (PixelUnshuffle) and has neither norms nor depthwise layers: that is what a CPU runs best, in
  training as well.
- Without norms it is local: what it makes of a place does not depend on what lies far from it, so tiles agree. What
  is known of the whole picture may be told to it.
- Residual blocks that start as the identity, and an output layer that starts at zero.

Shapes: B batch, I and O channels in and out; H and W are multiples of `stride`.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEAK = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """Size of a U-Net."""

    inputs: int
    outputs: int
    #: Channels at 1/2, 1/4, 1/8 ... of the size.
    widths: tuple[int, ...] = (32, 64, 128)
    #: Residual blocks per scale on the way down (the last: at the bottom), and on the way up from there.
    down: tuple[int, ...] = (1, 2, 3)
    up: tuple[int, ...] = (2, 1)
    #: Numbers per picture that the way up is told; 0 for none.
    told: int = 0

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this."""
        return int(2 ** len(self.widths))


class UNet(nn.Module):
    """float [B, I, H, W] -> what was worked out [B, O, H, W], and the bottom's maps [B, C, H / stride, W / stride].

    A fresh net gives zeros.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = nn.Conv2d(4 * config.inputs, widths[0], 3, padding=1)
        self.scales = nn.ModuleList(_blocks(width, count) for width, count in zip(widths, config.down, strict=True))
        pairs = list(pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in reversed(pairs))
        self.merges = nn.ModuleList(
            _blocks(width, count) for width, count in zip(widths[-2::-1], config.up, strict=True)
        )
        self.settings = nn.ModuleList(_Setting(config.told, width) for width in widths[-2::-1] if config.told)
        self.head = nn.Conv2d(widths[0], 4 * config.outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Down, keeping each scale, and up again, adding it."""
        bottom, kept = self.encode(x)
        return self.decode(bottom, kept), bottom

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The way down: the maps at the bottom, and those of the finer scales."""
        x = self.scales[0](self.stem(functional.pixel_unshuffle(x, 2)))
        kept: list[Tensor] = []
        for shrink, blocks in zip(self.shrink, list(self.scales)[1:], strict=True):
            kept.append(x)
            x = blocks(shrink(x))
        return x, kept

    def decode(self, x: Tensor, kept: list[Tensor], told: Tensor | None = None) -> Tensor:
        """The way up, which `told [B, told]` sets otherwise for each picture."""
        settings = self.settings if told is not None else [None] * len(self.grow)
        for grow, setting, blocks, finer in zip(self.grow, settings, self.merges, reversed(kept), strict=True):
            x = functional.pixel_shuffle(grow(x), 2) + finer
            x = blocks(x if setting is None else setting(x, told))
        return functional.pixel_shuffle(self.head(x), 2)


class _Setting(nn.Module):
    """Scale and shift per channel (Perez et al., "FiLM", AAAI 2018); nothing at first."""

    def __init__(self, told: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(told, 2 * width)
        self.outer = nn.Linear(2 * width, 2 * width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.outer(functional.relu(self.inner(told)))[..., None, None].chunk(2, 1)
        changed: Tensor = x * (1 + scale) + shift
        return changed


class _Block(nn.Module):
    """Two convolutions beside the identity, which it is at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, a=_LEAK, nonlinearity="leaky_relu")
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(functional.leaky_relu(self.first(x), _LEAK))
        return x + inner


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(width) for _ in range(count)))
