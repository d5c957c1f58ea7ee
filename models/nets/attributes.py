"""Small heads that tell attributes of the product from what the trunk saw in the same pass.

What the trunk sees at each stride is pooled over the product alone, so the background does not count. The spread of a
channel inside the product tells texture, which its mean hides (as in Cimpoi et al., "Deep filter banks for texture
recognition", CVPR 2015).

Shapes: B batch, S side of the net's input, D pooled values, K patterns, E values of the embedding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.trunk import Features

#: As the manifest of weights names it.
ATTRIBUTE_NET = "attribute-heads"
#: The map at stride 2 sees threads and noise rather than patterns.
_FIRST_MAP = 1
#: What lies outside the mask counts this little: an empty mask pools the whole picture.
_OUTSIDE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeNetConfig:
    """Size of the heads."""

    pooled: int
    patterns: int
    embedding: int = 128
    dropout: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What the heads tell of a batch."""

    #: Logits of the patterns: float [B, K].
    patterns: Tensor
    #: Of length 1; the scalar product of two tells how alike the products look: float [B, E].
    embedding: Tensor


class AttributeNet(nn.Module):
    """pooled [B, D] -> `Attributes`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: AttributeNetConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.pooled))
        self.register_buffer("scale", torch.ones(config.pooled))
        self.patterns = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.pooled, config.patterns))
        self.embedding = nn.Linear(config.pooled, config.embedding, bias=False)

    def standardise(self, pooled: Tensor) -> None:
        """Take mean and spread of the inputs from examples: float [N, D]."""
        self.mean.copy_(pooled.mean(0))
        self.scale.copy_(1 / pooled.std(0).clamp_min(1e-3))

    def forward(self, pooled: Tensor) -> Attributes:
        """All heads."""
        x = ((pooled - self.mean) * self.scale).clamp(-6, 6)
        return Attributes(patterns=self.patterns(x), embedding=functional.normalize(self.embedding(x), dim=1))


def pool(found: Features, mask: Tensor) -> Tensor:
    """Mean and spread of the trunk's maps over the product; of the widest map the mean alone: float32 [B, D].

    `mask` holds logits, float [B, 1, S, S].
    """
    weight = mask.detach().float().sigmoid() + _OUTSIDE
    parts = [part for seen in found.maps[_FIRST_MAP:] for part in _moments(seen, weight)]
    return torch.cat([*parts, _moments(found.top, weight)[0]], dim=1)


def _moments(seen: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of each channel, float32 [B, C], where the weight lies: [B, 1, S, S]."""
    share = functional.adaptive_avg_pool2d(weight, (seen.shape[2], seen.shape[3])).flatten(2)
    share = share / share.sum(2, keepdim=True)
    values = seen.detach().float().flatten(2)
    mean = (values * share).sum(2)
    spread = ((values - mean[..., None]).square() * share).sum(2)
    return mean, (spread + 1e-6).sqrt()


def pooled_size(channels: tuple[int, ...], top: int) -> int:
    """D for a trunk with these channels of its maps, and of its widest map."""
    return 2 * sum(channels[_FIRST_MAP:]) + top
