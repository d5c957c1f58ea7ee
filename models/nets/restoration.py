"""The restoration net: takes noise, blur and JPEG's traces out of a photo without being told which of them are there.

What it gives is its opinion of how much of each damage the photo has, by which a gate decides whether it is touched,
and a correction that is added (Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 2017). The correction is told the
opinion: whether an edge is soft by nature or blurred is seen in the whole photo and not in its neighbourhood.

Shapes: B batch; H and W are multiples of `RestorationNetConfig.stride`.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.nets.unet import UNet, UNetConfig

#: As the manifest of weights names it.
RESTORATION_NET = "pu2-restoration"
#: What the net has an opinion of, in the order of its output; `error` is the distance from the photo as it was.
DAMAGES = ("noise", "compression", "blur", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationNetConfig:
    """Size of a restoration net."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    down: tuple[int, ...] = (1, 2, 2, 2)
    up: tuple[int, ...] = (2, 2, 2)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this."""
        return int(2 ** len(self.widths))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A batch on its way through the net."""

    #: How much of each of `DAMAGES` there is, 0 for none, about 1 for the worst: float [B, 4].
    severity: Tensor
    #: Maps of the way down, for `RestorationNet.correct`: the bottom, and the finer ones.
    bottom: Tensor
    kept: list[Tensor]


class RestorationNet(nn.Module):
    """Looks at pictures [B, 3, H, W] in 0..1 with `judge`, then works out their correction. A fresh net's is 0."""

    #: Severity that hardly any undamaged photo reaches: float [4]. Measured when the net is trained.
    innocent: Tensor

    def __init__(self, config: RestorationNetConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.body = UNet(
            UNetConfig(inputs=3, outputs=3, widths=config.widths, down=config.down, up=config.up, told=len(DAMAGES))
        )
        wide = config.widths[-1]
        self.opinion = nn.Sequential(nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, len(DAMAGES)))
        self.register_buffer("innocent", torch.ones(len(DAMAGES)))

    def judge(self, pictures: Tensor) -> Judged:
        """What is wrong with the pictures: about half of the work."""
        bottom, kept = self.body.encode(pictures - 0.5)
        severity: Tensor = self.opinion(bottom.abs().mean((2, 3)))
        return Judged(severity=severity.float(), bottom=bottom, kept=kept)

    def correct(self, judged: Judged) -> Tensor:
        """What to add to the pictures, the rest of the work: float [B, 3, H, W]."""
        return self.body.decode(judged.bottom, judged.kept, judged.severity).float()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Corrected pictures, about 0..1, and their severity, as in training."""
        judged = self.judge(pictures)
        # The opinion is held to the truth alone.
        told = replace(judged, severity=judged.severity.detach())
        return pictures + self.correct(told), judged.severity
