"""A drawn shirt on a floor, with its true mask."""

import cv2
import numpy as np

from models.pictures import Mask, Picture

SHIRT = np.array(
    [(90, 60), (130, 45), (170, 45), (210, 60), (265, 120), (235, 150), (212, 125), (215, 330), (85, 330), (88, 125),
     (65, 150), (35, 120)]
)  # fmt: skip


def shirt(cloth: tuple[int, int, int], floor: tuple[int, int, int], seed: int = 0) -> tuple[Picture, Mask]:
    """A shirt with a print on a wooden floor, in uneven light."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:400, 0:300]
    truth = np.zeros((400, 300), np.uint8)
    cv2.fillPoly(truth, [SHIRT.astype(np.int32)], 1)
    planks = 1 + 0.08 * np.sign(np.sin(y / 9)) + rng.normal(0, 0.02, y.shape)
    folds = 1 + 0.10 * np.sin(x / 11 + y / 40) + rng.normal(0, 0.02, y.shape)
    picture = np.where(
        truth[..., None] > 0, folds[..., None] * np.array(cloth), planks[..., None] * np.array(floor)
    ) * (1 - 0.25 * x[..., None] / 300)
    shown = np.clip(picture, 0, 255).astype(np.uint8)
    cv2.circle(shown, (150, 190), 25, (240, 240, 235), -1)
    return np.asarray(cv2.GaussianBlur(shown, (0, 0), 0.8), dtype=np.uint8), truth.astype(np.float32)
