"""Looks for stains and scratches on a product and proposes them to a person; nothing is mended unasked.

A print may look like a stain. So a photo counts as stained only beyond what few photos without a stain reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.batches import in_batches
from models.nets.stains import STAIN_NET, StainNet, StainNetConfig
from models.pictures import Floats, Mask, Picture
from models.registry.checkpoint import fitted, load_weights
from models.registry.sources import Place, Source

#: Photos are squeezed into a square of this side.
SIDE = 256
#: Pictures that go through the net together on a GPU.
_AT_ONCE = 64
#: Logit from which a pixel belongs to a stain, once its worst place counts as one.
_EDGE = -0.5
#: Room around a stain, as a share of the short side: its rim is fainter than what the net marks.
_RIM = 0.006


@dataclass(frozen=True, slots=True, eq=False)
class Stains:
    """What a person should look at."""

    #: 1 on what may be a stain, fading out around it; 0 everywhere where nothing is proposed: float32 [H, W].
    mask: Mask
    #: How likely the photo shows a stain, 0..1; 0.5 is where proposals start.
    score: float

    @property
    def found(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.mask.any())


class StainDetector:
    """A stain net with its weights on a device. Holds no state between calls; safe to share between threads."""

    def __init__(self, net: StainNet, *, name: str, version: str, device: torch.device) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self._device = device
        self._net: StainNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._innocent = float(self._net.innocent)

    @classmethod
    def load(cls, device: str = "cpu", source: Source | Place | None = None) -> "StainDetector":
        """Load weights onto a torch device; the bundled ones where `source` is None.

        Raise `models.registry.sources.WeightsError` where they are missing, altered or do not fit.
        """
        loaded = load_weights("stains", STAIN_NET, source)
        sizes = loaded.entry.config.items()
        net = fitted(loaded, lambda: StainNet(StainNetConfig(**{key: tuple(value) for key, value in sizes})))
        return cls(net, name=loaded.name, version=loaded.entry.version, device=torch.device(device))

    def find(self, pictures: Sequence[Picture], products: Sequence[Mask]) -> list[Stains]:
        """Look at each picture `[H, W, 3]` inside its product's mask `[H, W]`; in order.

        Raise `ValueError` where shapes or types do not fit.
        """
        for picture, product in zip(pictures, products, strict=True):
            if picture.dtype != np.uint8 or picture.shape != (*product.shape, 3) or picture.size == 0:
                raise ValueError(f"{picture.dtype} {list(picture.shape)} and mask {list(product.shape)} do not fit")
        both = list(zip(pictures, products, strict=True))
        return in_batches(both, self._find, device=self._device, most=_AT_ONCE)

    @torch.inference_mode()
    def _find(self, both: Sequence[tuple[Picture, Mask]]) -> list[Stains]:
        pictures, products = zip(*both, strict=True)
        suspected = self._net(*(one.to(self._device) for one in squeezed(pictures, products, SIDE)))
        places = suspected.places[:, 0].cpu().numpy()
        logits = suspected.photo.cpu().numpy() - self._innocent
        return [
            Stains(self._proposal(place, picture.shape[:2]) if logit > 0 else _nothing(picture), _share(logit))
            for place, picture, logit in zip(places, pictures, logits, strict=True)
        ]

    def _proposal(self, places: NDArray[np.float32], size: tuple[int, ...]) -> Mask:
        """The stains among the marked places at the photo's size: those whose worst point counts by itself."""
        marked = (places > _EDGE).astype(np.uint8)
        count, labels = cv2.connectedComponents(marked, connectivity=8)
        worst = np.array([places[labels == label].max() if label else -np.inf for label in range(count)])
        keep = (worst > self._innocent) | (worst == worst.max())
        keep[0] = False
        height, width = size
        chosen = cv2.resize(keep[labels].astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        rim = max(1, round(_RIM * min(height, width)))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
        grown = cv2.dilate((chosen > 0.3).astype(np.float32), disc)
        # Faded on the outside alone: the stain itself is covered.
        return np.asarray(np.maximum(grown, cv2.blur(cv2.dilate(grown, disc), (2 * rim + 1, 2 * rim + 1))), np.float32)


def squeezed(pictures: Sequence[Picture], products: Sequence[Mask], side: int) -> tuple[Tensor, Tensor]:
    """Pictures and masks as the net takes them: float32 [B, 3, S, S] and [B, 1, S, S] in 0..1."""
    small = np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in pictures])
    masks = np.stack([cv2.resize(product, (side, side), interpolation=cv2.INTER_AREA) for product in products])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(masks)[:, None].float()


def _share(logit: float) -> float:
    return float(1 / (1 + np.exp(-float(logit))))


def _nothing(picture: Picture) -> Mask:
    nothing: Floats = np.zeros(picture.shape[:2], np.float32)
    return nothing
