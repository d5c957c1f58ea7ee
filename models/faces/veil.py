"""Makes faces unrecognisable: coarse blocks, then blurred, in an ellipse larger than the face."""

from collections.abc import Sequence

import cv2
import numpy as np

from models.faces.centerface import Face
from models.pictures import Picture

#: Raised when the same faces would give other pixels; part of object keys.
VERSION = 1
#: How much larger than the face's box the ellipse is, per axis. The box ends at brow and chin; an ellipse with its
#: sides would leave the corners of the face, so 1.5 covers them (an ellipse around a box is 1.41 times its size).
ENLARGED = 1.5
#: Blocks across the covered region. Eight are too few to tell people apart, also by a net.
BLOCKS = 8


def veiled(picture: Picture, faces: Sequence[Face]) -> Picture:
    """A copy of the `uint8 [H, W, 3]` picture without the faces; the picture itself where there are none."""
    if not faces:
        return picture
    done = picture.copy()
    for face in faces:
        _veil(done, face)
    return done


def _veil(picture: Picture, face: Face) -> None:
    height, width = picture.shape[:2]
    middle_x, middle_y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    # At least a pixel, so that no face is too small to be covered.
    half_x = max(1.0, (face.right - face.left) / 2 * ENLARGED)
    half_y = max(1.0, (face.bottom - face.top) / 2 * ENLARGED)
    left, right = max(0, int(middle_x - half_x)), min(width, int(middle_x + half_x) + 1)
    top, bottom = max(0, int(middle_y - half_y)), min(height, int(middle_y + half_y) + 1)
    if top >= bottom or left >= right:
        return
    region = picture[top:bottom, left:right]
    across, along = min(BLOCKS, right - left), min(BLOCKS, bottom - top)
    coarse = cv2.resize(region, (across, along), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    ys, xs = np.ogrid[top:bottom, left:right]
    inside = ((xs + 0.5 - middle_x) / half_x) ** 2 + ((ys + 0.5 - middle_y) / half_y) ** 2 <= 1.0
    region[inside] = blurred.reshape(region.shape)[inside]
