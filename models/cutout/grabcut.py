"""The cut-out that needs no weights."""

from collections.abc import Sequence

import cv2
import numpy as np

from models.cutout.backend import Cutout
from models.cutout.confidence import signs, trust
from models.cutout.regions import Region, clean
from models.cutout.saliency import probability
from models.matting import refine
from models.pictures import Floats, Mask, Picture


class GrabCut:
    """Cut-out without a net, for where no learned backend is at hand. Same picture, same mask.

    Saliency cues say where the product probably is; GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) finds its
    outline at a long side of `side` px; a guided filter carries that to the photo's own size. `confidence` is the
    estimated probability of an intersection over union of at least 0.9 with the true mask. A picture in which
    nothing can be told apart gives the full frame with confidence 0.
    """

    name = "grabcut"
    version = "1"

    def __init__(self, side: int = 320) -> None:
        self.side = side

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        """One cut-out per picture, in order."""
        return [self._cut(picture) for picture in pictures]

    def _cut(self, picture: Picture) -> Cutout:
        found = self.search(picture)
        if found is None:
            return Cutout(np.ones(picture.shape[:2], dtype=np.float32), 0.0)
        mask, values = found
        return Cutout(refine(picture, mask.astype(np.float32)), trust(values))

    def search(self, picture: Picture) -> tuple[Region, Floats] | None:
        """The cut at working size and the signs of its trust; None where there is nothing to find."""
        height, width = picture.shape[:2]
        if min(height, width) * 8 < max(height, width) or min(height, width) < 16:
            return None
        scale = min(1.0, self.side / max(height, width))
        size = (round(width * scale), round(height * scale))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if float(small.std(axis=(0, 1)).max()) < 2:
            return None
        prior = np.asarray(cv2.resize(probability(small), size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
        raw = _grabcut(small, prior, 0.04)
        second = _grabcut(small, prior, 0.25)
        cut, other = clean(raw, prior), clean(second, prior)
        if not 0.01 < cut.mean() < 0.99:
            return None
        return cut, signs(small, prior, raw, cut, other)


def _grabcut(picture: Picture, prior: Mask, sure: float) -> Region:
    """One run; pixels whose prior is within `sure` of 0 or 1 are fixed."""
    labels = np.where(prior > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[prior < sure] = cv2.GC_BGD
    labels[prior > 1 - sure] = cv2.GC_FGD
    product = (labels & 1).astype(bool)
    if min(int(product.sum()), int((~product).sum())) < 16:
        return product
    # The colour models start from k-means, which draws from OpenCV's generator of this thread.
    cv2.setRNGSeed(7)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, labels, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels & 1).astype(bool))
