"""A level surface seen by a camera that looks straight ahead from a little above it."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from models.pictures import Floats
from models.scenes.frame import Frame

#: Pixels of the plan for one of the nearest row of the picture.
_DETAIL = 0.85


@dataclass(frozen=True, slots=True)
class Floor:
    """All in units of the frame's short side; y down from its upper edge."""

    #: Where the surface ends at the back.
    seam: float
    #: Height of the horizon above that; the smaller, the flatter the view.
    horizon: float = 0.42
    #: Height of the camera above the surface.
    camera: float = 0.75
    #: Focal length.
    focal: float = 1.6


def receding(frame: Frame, floor: Floor, surface: Callable[[Frame, float], Floats]) -> tuple[int, Floats]:
    """The surface in perspective: the frame's row at which it begins, and the rows from there, `[rows, W, 3]`.

    `surface(plan, side)` paints it as seen from straight above; `side` is the plan's short side in units.
    """
    far, near = floor.horizon, frame.high - floor.seam + floor.horizon
    wide = frame.wide * floor.camera / far
    deep = floor.focal * floor.camera * (1 / far - 1 / near)
    scale = _DETAIL * frame.unit * min(1.2, near / floor.camera)
    # A deep floor in a tall frame would be painted several times as fine as it is seen.
    scale *= min(1.0, (frame.width * frame.height / (wide * deep * scale * scale)) ** 0.5)
    plan = Frame(max(8, round(wide * scale)), max(8, round(deep * scale)))
    flat = surface(plan, min(wide, deep))
    half, middle = plan.width * far / near / 2, plan.width / 2
    top = min(max(0, int(floor.seam * frame.unit)), frame.height - 1)
    corners = [[0, 0], [plan.width, 0], [middle + half, plan.height], [middle - half, plan.height]]
    rows = frame.height - top
    target = [[0, 0], [frame.width, 0], [frame.width, rows], [0, rows]]
    view = cv2.getPerspectiveTransform(np.array(corners, np.float32), np.array(target, np.float32))
    size = (frame.width, rows)
    seen = cv2.warpPerspective(flat, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return top, np.asarray(seen, np.float32)
