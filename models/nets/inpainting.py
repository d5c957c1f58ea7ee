"""The inpainting net: makes what a hole in a photo may have shown better than smooth filling can.

Two classical fillings of the hole enter, one that carries edges on and one that is smooth; what the net gives is added
to their mean. So it need only learn what they lack: texture and the course of folds and stripes.

Shapes: B batch; H and W are multiples of `InpaintingNetConfig.stride`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.nets.unet import UNet, UNetConfig

#: As the manifest of weights names it.
INPAINTING_NET = "pu2-inpainting"


@dataclass(frozen=True, slots=True, kw_only=True)
class InpaintingNetConfig:
    """Size of an inpainting net."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    down: tuple[int, ...] = (1, 1, 2, 4)
    up: tuple[int, ...] = (1, 1, 1)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this."""
        return int(2 ** len(self.widths))


class InpaintingNet(nn.Module):
    """Pictures with their holes filled in two ways [B, 3, H, W] in 0..1 each, holes [B, 1, H, W] of 0 and 1 ->
    pictures [B, 3, H, W], about 0..1, that differ from their mean in the holes alone.
    """

    def __init__(self, config: InpaintingNetConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.body = UNet(UNetConfig(inputs=7, outputs=3, widths=config.widths, down=config.down, up=config.up))

    def forward(self, carried: Tensor, smooth: Tensor, holes: Tensor) -> Tensor:
        """Fill the holes."""
        correction, _ = self.body(torch.cat([carried - 0.5, smooth - 0.5, holes], dim=1))
        filled: Tensor = (carried + smooth) / 2 + correction.float() * holes
        return filled
