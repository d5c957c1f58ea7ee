"""The net that looks for stains and scratches on a product: a small U-Net that sees the whole photo.

Shapes: B batch, S side of the net's input, a multiple of `StainNetConfig.stride`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.unet import UNet, UNetConfig

#: As the manifest of weights names it.
STAIN_NET = "pu2-stains"
#: A photo is judged by so many of its most suspicious places.
_PLACES = 12
#: Far below any logit: what is not the product.
_NOWHERE = -20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StainNetConfig:
    """Size of a stain net."""

    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    down: tuple[int, ...] = (1, 1, 2, 2, 2)
    up: tuple[int, ...] = (1, 1, 1, 1)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this."""
        return int(2 ** len(self.widths))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspected:
    """What the net finds in a batch."""

    #: Logits of "this is a stain": float [B, 1, S, S], far below 0 outside the product.
    places: Tensor
    #: Logit of "this photo has one": float [B].
    photo: Tensor


class StainNet(nn.Module):
    """pictures [B, 3, S, S] in 0..1 and masks of the product [B, 1, S, S] in 0..1 -> `Suspected`."""

    #: Logit of a photo that few photos without a stain reach: float [1]. Measured when the net is trained.
    innocent: Tensor

    def __init__(self, config: StainNetConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.body = UNet(UNetConfig(inputs=4, outputs=1, widths=config.widths, down=config.down, up=config.up))
        self.register_buffer("innocent", torch.zeros(1))
        if self.body.head.bias is not None:
            # Nearly everything is clean.
            nn.init.constant_(self.body.head.bias, -4.0)

    def forward(self, pictures: Tensor, products: Tensor) -> Suspected:
        """Places, and the photo judged by the worst of them."""
        logits, _ = self.body(torch.cat([pictures, products], dim=1) - 0.5)
        places = torch.where(products > 0.5, logits.float(), _NOWHERE)
        spots = functional.avg_pool2d(places, 3, stride=1, padding=1).flatten(1)
        return Suspected(places=places, photo=spots.topk(_PLACES, dim=1).values.mean(1))
