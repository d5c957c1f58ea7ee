"""What a scene is: a painter and how a product stands in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from models.pictures import Floats
from models.scenes.frame import Frame
from models.scenes.light import Light

#: `lying`: on a surface seen from above. `hanging`: on a wall, above its foot. `standing`: on a floor or table.
Pose = Literal["lying", "hanging", "standing"]


class Painter(Protocol):
    """Paints a backdrop."""

    def __call__(self, frame: Frame, rng: np.random.Generator, light: Light) -> Floats:
        """The backdrop without grain: `float32 [H, W, 3]`, sRGB, 0..1; may leave the range a little."""
        ...


def nowhere(frame: Frame) -> float:
    """Below the frame: a scene of one surface."""
    return 2 * frame.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A backdrop, its light, and where a product stands in it."""

    paint: Painter
    pose: Pose
    light: Light
    #: Where wall and floor meet or the table ends, in units from the top; needed by all but lying products.
    seam: Callable[[Frame], float] = nowhere
    #: Standing: how far below the seam the product's lowest point is, in units.
    depth: float = 0.0
    #: Standing: whether a wall rises at the seam and catches the shadow.
    wall: bool = False
    #: How dark the shadow is, 1 for soft daylight.
    shadow: float = 1.0
    #: What the shadow takes of red, green and blue, relative to each other: bright surroundings give it their colour.
    shade: tuple[float, float, float] = (0.94, 0.97, 1.0)
