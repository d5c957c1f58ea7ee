"""The style net: one small convolutional net that redraws a picture in any of its styles.

Feed-forward stylisation after Johnson, Alahi and Fei-Fei (ECCV 2016), one set of filters with a learned scale and shift
per style after Dumoulin, Shlens and Kudlur, "A learned representation for artistic style" (ICLR 2017). Differences:

- A PixelUnshuffle stem: the body works at 1/4 of the size with plain convolutions, which is what a CPU does best.
- No instance normalisation. Its statistics depend on how much white surrounds the product and on the picture's size;
  the teachers are local filters, so the net is local too: a crop is redrawn exactly as the whole picture is.
- Bilinear resizing in the head: a PixelShuffle head dithers with a period of 2 px.
- Fixed texture fields enter beside the picture (models.styles.textures), so that grain and hatching are drawn, not
  averaged. Which fields is the style's own choice.
- The last two layers belong to each style alone: they lay the ink of a screen or the thread of a stitch at full size,
  and cost no time, for a picture passes through its own only.

Shapes: B batch, S styles, C base width, T textures; H and W are multiples of 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Height and width must be multiples of this.
STRIDE = 4
#: Slope below zero. With a plain ReLU a style's own shifts switched whole layers off for good, and it never learnt.
_LEAK = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleNetConfig:
    """Size of a style net."""

    styles: int
    textures: int = 4
    width: int = 32
    blocks: int = 5
    #: Channels of the last, full-size layers.
    detail: int = 16


class StyleNet(nn.Module):
    """pictures [B, 3, H, W] in 0..1, textures [B, T, H, W] in 0..1, style [B] of int64 -> [B, 3, H, W] in 0..1.

    About 0.5 million parameters with fifteen styles, and 31 GMAC per million pixels at the default width.
    """

    def __init__(self, config: StyleNetConfig) -> None:
        super().__init__()
        inputs, narrow, wide = 3 + config.textures, config.width, 2 * config.width
        self.stem = _StyledConv(4 * inputs, narrow, config.styles)
        self.down = _StyledConv(narrow, wide, config.styles, stride=2)
        self.blocks = nn.ModuleList(_ResidualBlock(wide, config.styles) for _ in range(config.blocks))
        self.up = _StyledConv(wide, narrow, config.styles)
        self.merge = _StyledConv(narrow, config.detail, config.styles)
        self.detail = _OwnConv(config.detail + inputs, config.detail, config.styles)
        self.head = _OwnConv(config.detail, 3, config.styles)
        #: Each style's own mixing of the colours, as a 3x3 matrix on darkness: white stays white.
        self.mix = nn.Embedding(config.styles, 9)
        with torch.no_grad():
            self.mix.weight.copy_(torch.eye(3).flatten())
        nn.init.zeros_(self.head.weight)

    def style_parameters(self) -> list[nn.Parameter]:
        """What belongs to single styles: few numbers that each see few pictures, so they learn at a higher rate."""
        embeddings = [module for module in self.modules() if isinstance(module, nn.Embedding)]
        return [parameter for embedding in embeddings for parameter in embedding.parameters()]

    def forward(self, pictures: Tensor, textures: Tensor, style: Tensor) -> Tensor:
        """Redraw each picture in its own style. During training the result may leave 0..1, so that gradients flow."""
        full = torch.cat([pictures, textures], dim=1) * 2 - 1  # [B, 3+T, H, W]
        half = self.stem(functional.pixel_unshuffle(full, 2), style)  # [B, C, H/2, W/2]
        quarter = self.down(half, style)  # [B, 2C, H/4, W/4]
        for block in self.blocks:
            quarter = block(quarter, style)
        half = half + self.up(_double(quarter), style)
        detail = self.detail(torch.cat([_double(self.merge(half, style)), full], dim=1), style)  # [B, D, H, W]
        detail = functional.leaky_relu(detail, _LEAK)
        mixed = 1 - torch.einsum("bij,bjhw->bihw", self.mix(style).unflatten(1, (3, 3)), 1 - pictures)
        redrawn: Tensor = mixed + self.head(detail, style) * _near_pigment(pictures)
        return redrawn if self.training else redrawn.clamp(0, 1)


class _StyledConv(nn.Module):
    """A 3x3 convolution, then each style's own scale and shift of every channel, then leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, styles: int, stride: int = 1, *, rectify: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="reflect", bias=False)
        self.scale = nn.Embedding(styles, outputs)
        self.shift = nn.Embedding(styles, outputs)
        self.rectify = rectify
        nn.init.kaiming_normal_(self.conv.weight, a=_LEAK, nonlinearity="leaky_relu")
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.scale(style)[:, :, None, None], self.shift(style)[:, :, None, None]
        x = torch.addcmul(shift, self.conv(x), scale)
        return functional.leaky_relu(x, _LEAK) if self.rectify else x


class _OwnConv(nn.Module):
    """A 3x3 convolution with bias of each style's own: weight [S * outputs, inputs, 3, 3], bias [S, outputs]."""

    def __init__(self, inputs: int, outputs: int, styles: int) -> None:
        super().__init__()
        self.outputs = outputs
        # The same for all at first, so that the layers below mean the same to all.
        first = nn.init.kaiming_normal_(torch.empty(outputs, inputs, 3, 3), a=_LEAK, nonlinearity="leaky_relu")
        self.weight = nn.Parameter(first.repeat(styles, 1, 1, 1))
        self.bias = nn.Parameter(torch.zeros(styles, outputs))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """One picture after the other: so each comes out the same in whatever company."""
        padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        drawn = []
        for place, own in enumerate(style.tolist()):
            weight = self.weight[own * self.outputs : (own + 1) * self.outputs]
            drawn.append(functional.conv2d(padded[place : place + 1], weight, self.bias[own]))
        return torch.cat(drawn)


class _ResidualBlock(nn.Module):
    """Two convolutions beside the identity; starts close to the identity."""

    def __init__(self, width: int, styles: int) -> None:
        super().__init__()
        self.first = _StyledConv(width, width, styles)
        self.second = _StyledConv(width, width, styles, rectify=False)
        nn.init.constant_(self.second.scale.weight, 0.2)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        branch: Tensor = self.second(self.first(x, style), style)
        return x + branch


def _near_pigment(pictures: Tensor) -> Tensor:
    """0 where all within some 16 px is pure white, 1 from 4 levels of darkness on: [B, 1, H, W].

    No teacher draws on bare paper, so the net cannot either: a white background stays white to the last bit.
    """
    darkness = functional.max_pool2d(1 - pictures.amin(dim=1, keepdim=True), 2)
    for _ in range(4):
        darkness = functional.max_pool2d(darkness, 5, stride=1, padding=2)
    return _double((64 * darkness).clamp(0, 1))


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
