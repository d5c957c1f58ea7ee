"""What the product net sees in photos. Pictures are `uint8 [H, W, 3]` sRGB of any size."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.compute.batches import in_batches
from models.compute.fold import folded
from models.nets.product import PRODUCT_NET, STRIDE, ProductNet, ProductNetConfig
from models.pictures import Mask, Picture
from models.registry.checkpoint import Weights, fitted, load_weights
from models.registry.sources import Place, Source
from models.sight import Sight

#: Pictures that go through the net together on a GPU.
_AT_ONCE = 64
#: A frame longer than this is made shorter by bars: squeezed into a square, its product could not be recognised.
_LONGEST = 2.0


class ProductModel:
    """The product net with its weights on a device. Holds no state between calls; safe to share between threads."""

    def __init__(
        self,
        net: ProductNet,
        *,
        name: str,
        version: str,
        classes: Sequence[str],
        side: int,
        temperature: float = 1.0,
        device: torch.device,
        fixed_batch: int | None = None,
    ) -> None:
        if side % STRIDE:
            raise ValueError(f"the side must be a multiple of {STRIDE}, not {side}")
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self.classes = tuple(classes)
        self.side = side
        #: What the logits of the classes are divided by, so that the probabilities are believable.
        self.temperature = temperature
        self._device = device
        self._fixed_batch = fixed_batch
        self._net: ProductNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(
        cls, device: str = "cpu", weights: Source | Place | None = None, fixed_batch: int | None = None
    ) -> "ProductModel":
        """Load weights onto a torch device; the bundled ones where `weights` is None. Raise `WeightsError`.

        On the CPU a picture's result does not depend on what it is computed with; on a GPU that takes `fixed_batch`,
        which fills every batch up to that many pictures.
        """
        found = load_weights("product", PRODUCT_NET, weights)
        return cls(
            folded(restored(found)),
            name=found.name,
            version=found.entry.version,
            classes=found.entry.config["classes"],
            side=found.entry.config["side"],
            temperature=found.entry.config.get("temperature", 1.0),
            device=torch.device(device),
            fixed_batch=fixed_batch,
        )

    def see(self, pictures: Sequence[Picture]) -> list[Sight]:
        """One `Sight` per picture, in order. Raise `ValueError` for anything that is not uint8 [H, W, 3]."""
        for picture in pictures:
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
                raise ValueError(f"a picture must be uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}")
        return in_batches(pictures, self._see, device=self._device, most=_AT_ONCE, fixed=self._fixed_batch)

    @torch.inference_mode()
    def _see(self, pictures: Sequence[Picture]) -> list[Sight]:
        batch = torch.from_numpy(np.stack([squeezed(picture, self.side) for picture in pictures]))
        if self._device.type == "cuda":
            # Page-locked memory is copied while the device computes.
            batch = batch.pin_memory()
        inputs = batch.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            seen = self._net(inputs)
        masks, classes = (
            _numpy(seen.mask.float().sigmoid()[:, 0]),
            _numpy((seen.classes.float() / self.temperature).softmax(1)),
        )
        features = _numpy(seen.features.float())
        return [
            Sight(unbarred(mask, picture.shape[:2]), classes[place], features[place])
            for place, (mask, picture) in enumerate(zip(masks, pictures, strict=True))
        ]


def _numpy(values: Tensor) -> NDArray[np.float32]:
    return np.asarray(values.cpu().numpy(), np.float32)


def restored(weights: Weights) -> ProductNet:
    """The net that the weights belong to; raise `WeightsError` where they do not fit."""
    config = {
        key: value for key, value in weights.entry.config.items() if key not in {"classes", "side", "temperature"}
    }
    return fitted(weights, lambda: ProductNet(ProductNetConfig(classes=len(weights.entry.config["classes"]), **config)))


def squeezed(picture: Picture, side: int) -> Picture:
    """The whole picture in a square, `uint8 [side, side, 3]`; a long one between bars of its mean colour."""
    height, width = _within(picture.shape[:2], side)
    method = cv2.INTER_AREA if max(picture.shape[:2]) > side else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
    if (height, width) == (side, side):
        return small
    square = np.empty((side, side, 3), np.uint8)
    square[:] = small.reshape(-1, 3).mean(0).round()
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = small
    return square


def unbarred(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """The part of a square mask that belongs to a picture of this height and width."""
    side = mask.shape[0]
    height, width = _within(shape, side)
    top, left = (side - height) // 2, (side - width) // 2
    return mask[top : top + height, left : left + width]


def _within(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Height and width of a picture of this shape within the square."""
    height, width = shape[:2]
    tall = max(1, round(side * min(1.0, _LONGEST * height / width)))
    wide = max(1, round(side * min(1.0, _LONGEST * width / height)))
    return tall, wide
