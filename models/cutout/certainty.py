"""How far a learned mask can be trusted, from the mask itself."""

import cv2
import numpy as np

from models.pictures import Floats, Mask

SIGNS = ("doubt", "halves", "pieces", "area", "touch")


def signs(mask: Mask) -> Floats | None:
    """The signs of a mask `[5]`; None where it shows no product, or nothing else."""
    solid = mask >= 0.5
    area = float(solid.mean())
    if not 0.005 < area < 0.995:
        return None
    soft = float(mask[solid].sum() / np.maximum(mask, solid).sum())
    count, _, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8), connectivity=8)
    largest = float(stats[1:, cv2.CC_STAT_AREA].max() / solid.sum()) if count > 1 else 1.0
    frame = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
    undecided = float(((mask > 0.1) & (mask < 0.9)).sum() / solid.sum())
    values = [np.log(undecided + 0.01), 1 - soft, 1 - largest, abs(area - 0.4), frame.mean()]
    return np.array(values, dtype=np.float32)


def certainty(mask: Mask) -> float:
    """Estimated probability that the mask overlaps the true one by at least 0.9; 0 where it shows no product."""
    found = signs(mask)
    if found is None:
        return 0.0
    return float(1 / (1 + np.exp(-np.clip(found @ _WEIGHTS + _BIAS, -30, 30))))


#: Fitted by `python -m models.training.certainty`. How sure the class is adds nothing to these.
_WEIGHTS = np.array([-1.54, -24.8, -2.29, 1.35, -1.47], dtype=np.float32)
_BIAS = 0.05
