"""The cut-out that knows products: the product net's mask, carried to the photo's own edges."""

from collections.abc import Sequence

import cv2
import numpy as np

from models.cutout.backend import Cutout
from models.cutout.certainty import certainty
from models.cutout.regions import pieces, without_crumbs
from models.cutout.version import learned_version
from models.matting import EDGE_SIDE, refine
from models.pictures import Mask, Picture
from models.product import ProductModel
from models.registry.sources import Place, Source
from models.sight import Sight

#: The mask is carried to the photo's edges from at most this long side.
_WORK_SIDE = 640
#: How far the guided filter may move the outline at that side, px; measured on the validation photos.
_REACH = 4
_SMALLEST = 8


class LearnedCutout:
    """Cut-out by the product net (models/nets/product.py). Same picture, same mask.

    `confidence` is the estimated probability of an intersection over union of at least 0.9 with the true mask. A
    picture in which no product is seen gives the full frame with confidence 0.
    """

    def __init__(self, model: ProductModel) -> None:
        self.name = "learned"
        #: Changes with the weights, and with what is done to the net's mask here.
        self.version = learned_version(model.version)
        self._model = model

    @classmethod
    def load(
        cls, device: str = "cpu", weights: Source | Place | None = None, fixed_batch: int | None = None
    ) -> "LearnedCutout":
        """The bundled product net, or the one in `weights`; raise `models.registry.manifest.WeightsError`."""
        return cls(ProductModel.load(device, weights, fixed_batch))

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        """One cut-out per picture, in order."""
        sights = self._model.see(pictures)
        return [self.of_sight(picture, sight) for picture, sight in zip(pictures, sights, strict=True)]

    def of_sight(self, picture: Picture, sight: Sight) -> Cutout:
        """The cut-out from what was seen in the picture."""
        height, width = picture.shape[:2]
        trust = certainty(sight.mask)
        figures = {"pieces": float(pieces(sight.mask)), "class_confidence": float(sight.classes.max())}
        if min(height, width) < _SMALLEST or trust == 0:
            return Cutout(np.ones((height, width), np.float32), 0.0, sight, figures)
        whole = _in_shape(without_crumbs(sight.mask), (height, width))
        return Cutout(refine(picture, whole, radius=_REACH), trust, sight, figures)


def _in_shape(mask: Mask, shape: tuple[int, int]) -> Mask:
    """The squeezed mask in the shape of the photo's frame, smoothly enlarged."""
    scale = min(_WORK_SIDE, EDGE_SIDE, max(shape)) / max(shape)
    size = (max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale)))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.float32)
