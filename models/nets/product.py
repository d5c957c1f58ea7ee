"""The product net: one trunk, and the heads that read from a single pass of it.

- Mask: a feature pyramid (Lin et al., CVPR 2017) from stride 32 up to the net's own input, where the picture itself
  enters again: the outline is drawn at full size, not at half of it.
- Class: the category of what is for sale.

Shapes: B batch, S side of the net's input (a multiple of 32), K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.attributes import pool
from models.nets.trunk import Trunk, conv_norm

#: As the manifest of weights names it.
PRODUCT_NET = "lite-product"
#: The side must be a multiple of this.
STRIDE = 32
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductNetConfig:
    """Size of a product net."""

    classes: int
    trunk: str = "lite0"
    #: Channels of the mask's pyramid at strides 32, 16, 8, 4, 2.
    pyramid: tuple[int, ...] = (96, 64, 48, 32, 24)
    dropout: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the net sees in a batch of pictures."""

    #: Logits of the product's mask: float [B, 1, S, S].
    mask: Tensor
    #: The same from the pyramid's stride of 8, for training: float [B, 1, S / 8, S / 8].
    coarse: Tensor
    #: Logits of the classes: float [B, K].
    classes: Tensor
    #: What the trunk sees on the product alone, which further heads read (`models.nets.attributes.pool`): float [B, D].
    features: Tensor


class ProductNet(nn.Module):
    """pictures [B, 3, S, S] in 0..1 -> `Seen`."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ProductNetConfig) -> None:
        super().__init__()
        self.trunk = Trunk(config.trunk)
        self.mask = _MaskDecoder(self.trunk.channels, self.trunk.top_channels, config.pyramid)
        self.classes = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(self.trunk.top_channels, config.classes))
        for name, values in (("mean", _MEAN), ("spread", _SPREAD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Seen:
        """One pass for all heads."""
        normal = (pictures - self.mean) / self.spread
        found = self.trunk(normal)
        features = found.top.mean((2, 3))
        mask, coarse = self.mask(normal, found.maps, features)
        return Seen(mask=mask, coarse=coarse, classes=self.classes(features), features=pool(found, mask))


class _MaskDecoder(nn.Module):
    """From coarse to fine: at each stride, what is known so far, doubled, beside what the trunk sees there."""

    def __init__(self, channels: tuple[int, ...], top: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, *finer = widths
        self.context = nn.Linear(top, first)
        self.deepest = conv_norm(channels[-1], first, 1, rectify=False)
        self.lateral = nn.ModuleList(
            conv_norm(seen, width, 1, rectify=False) for seen, width in zip(channels[-2::-1], finer, strict=True)
        )
        self.picture = conv_norm(3 * 4, finer[-1], 3)
        self.merge = nn.ModuleList([conv_norm(first, first, 3)])
        for coarser, width in zip(widths[:-1], finer, strict=True):
            self.merge.append(conv_norm(coarser + width, width, 3))
        self.coarse = nn.Conv2d(widths[2], 1, 1)
        self.detail = conv_norm(2 * widths[-1], widths[-1], 3)
        self.out = nn.Conv2d(widths[-1], 4, 3, padding=1)

    def forward(self, pictures: Tensor, maps: tuple[Tensor, ...], features: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu6(self.deepest(maps[-1]) + self.context(features)[:, :, None, None])
        x = coarse = self.merge[0](x)
        for position, (lateral, seen) in enumerate(zip(self.lateral, maps[-2::-1], strict=True)):
            x = self.merge[position + 1](torch.cat([double(x), functional.relu6(lateral(seen))], dim=1))
            if position == 1:
                coarse = self.coarse(x)
        pixels = self.picture(functional.pixel_unshuffle(pictures, 2))
        x = self.detail(torch.cat([x, pixels], dim=1))
        return functional.pixel_shuffle(self.out(x), 2), coarse


def double(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
