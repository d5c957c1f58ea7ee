"""A level surface seen by a camera that looks straight ahead from a little above it."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from models.pictures import Floats
from models.scenes.frame import Frame


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


def receding(frame: Frame, floor: Floor, surface: Callable[[Frame, float], Floats]) -> Floats:
    """The surface in perspective, `[H, W, 3]`; above the seam it means nothing.

    `surface(plan, side)` paints it as seen from straight above; `side` is the plan's short side in units.
    """
    far, near = floor.horizon, frame.high - floor.seam + floor.horizon
    wide = frame.wide * floor.camera / far
    deep = floor.focal * floor.camera * (1 / far - 1 / near)
    scale = frame.unit * min(1.1, near / floor.camera)
    plan = Frame(max(8, round(wide * scale)), max(8, round(deep * scale)))
    flat = surface(plan, min(wide, deep))
    half = plan.width * far / near / 2
    middle = plan.width / 2
    corners = [[0, 0], [plan.width, 0], [middle + half, plan.height], [middle - half, plan.height]]
    top = floor.seam * frame.unit
    target = [[0, top], [frame.width, top], [frame.width, frame.height], [0, frame.height]]
    view = cv2.getPerspectiveTransform(np.array(corners, np.float32), np.array(target, np.float32))
    seen = cv2.warpPerspective(
        flat, view, (frame.width, frame.height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32)
