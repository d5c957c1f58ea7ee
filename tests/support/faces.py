"""A face drawn by code, plain enough to be nobody's and enough of one for a net that finds faces."""

import cv2
import numpy as np
from numpy.typing import NDArray

SKIN = (224, 180, 150)


def drawn_face(side: int = 240, at: tuple[int, int] = (120, 108), radius: int = 48) -> NDArray[np.uint8]:
    """A `uint8 [side, side, 3]` picture of a head and shoulders; `at` is the middle of the head, in pixels."""
    picture = np.full((side, side, 3), (190, 200, 205), np.uint8)

    def oval(x: float, y: float, wide: float, tall: float, colour: tuple[int, int, int]) -> None:
        middle = int(at[0] + x * radius), int(at[1] + y * radius)
        axes = max(1, int(wide * radius)), max(1, int(tall * radius))
        cv2.ellipse(picture, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    oval(0, 2.0, 1.5, 0.9, (60, 70, 120))
    oval(0, 1.1, 0.42, 0.6, (205, 160, 130))
    oval(0, -0.25, 1.0, 1.15, (60, 40, 30))
    oval(0, 0.1, 0.78, 1.05, SKIN)
    oval(0, -0.75, 0.75, 0.35, (60, 40, 30))
    for side_of in (-1, 1):
        oval(side_of * 0.33, -0.08, 0.17, 0.09, (250, 250, 250))
        oval(side_of * 0.33, -0.08, 0.08, 0.09, (70, 45, 30))
        oval(side_of * 0.33, -0.08, 0.035, 0.04, (5, 5, 5))
        oval(side_of * 0.33, -0.27, 0.2, 0.05, (55, 38, 28))
        oval(side_of * 0.8, 0.1, 0.1, 0.22, (215, 168, 138))
        oval(side_of * 0.05, 0.33, 0.03, 0.02, (120, 75, 60))
    oval(0, 0.05, 0.05, 0.28, (235, 196, 168))
    oval(0, 0.62, 0.27, 0.1, (180, 80, 80))
    oval(0, 0.6, 0.26, 0.02, (110, 40, 40))
    return cv2.GaussianBlur(picture, (0, 0), radius / 40)
