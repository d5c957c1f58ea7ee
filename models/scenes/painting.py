"""From a scene to its finished backdrop at any size."""

import cv2
import numpy as np

from models.pictures import Floats
from models.scenes.frame import Frame, resized
from models.scenes.light import Light
from models.scenes.scene import Scene

#: Scenes are painted with a short side of at least this many pixels, so that threads and pores are not torn ...
_LEAST_SHORT = 512
#: ... and a long side of at most this many: larger frames get them enlarged, and their own grain.
_MOST_LONG = 2048
#: Deviation of the grain in sRGB levels. It also hides the steps of 8 bits in smooth light.
_GRAIN = 1.1
#: Spread of the grain's colour, in levels.
_COLOUR_GRAIN = 1.2
_BAND = 128


def backdrop(scene: Scene, size: tuple[int, int], seed: int, light: Light) -> Floats:
    """The scene without product: `float32 [H, W, 3]`, sRGB levels 0..255. The same arguments give the same pixels."""
    width, height = size
    scale = max(1.0, _LEAST_SHORT / min(size))
    scale = min(scale, _MOST_LONG / max(size))
    work = Frame(max(8, round(width * scale)), max(8, round(height * scale)))
    painted = scene.paint(work, np.random.default_rng(seed), light)
    if work.shape != (height, width):
        painted = _fitted(painted, size)
    painted *= np.array(light.tint, np.float32) * np.float32(255)
    _add_grain(painted, np.random.default_rng([seed, 1]))
    return np.clip(painted, 0, 255, out=painted)


def _add_grain(painted: Floats, rng: np.random.Generator) -> None:
    """In place, some rows at a time: large frames leave no room for as much noise."""
    for top in range(0, len(painted), _BAND):
        rows = painted[top : top + _BAND]
        rows += _GRAIN * rng.standard_normal((*rows.shape[:2], 1), np.float32)
        rows += _COLOUR_GRAIN * (rng.random(rows.shape, np.float32) - np.float32(0.5))


def _fitted(painted: Floats, size: tuple[int, int]) -> Floats:
    if painted.shape[1] > size[0]:
        return np.asarray(cv2.resize(painted, size, interpolation=cv2.INTER_AREA), np.float32)
    return resized(painted, size)
