"""Made of pieces, each of one colour: cross-stitch, pointillism. The pieces lie on a fixed sheet."""

import cv2
import numpy as np

from models.pictures import Picture
from models.styles.fields.cells import REACH
from models.styles.filters.canvas import Origin, paper, to_bytes, unit
from models.styles.strokes import Field, blur, flatten, saturate


def cross_stitch(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Embroidery: crossed stitches of one thread each on white cloth."""
    x, y, shape, tone = paper("cross_stitch", picture, origin)
    base = saturate(blur(unit(picture), 1.8), 1.25)
    base = np.clip(base + 0.8 * (base - blur(base, 5.0)), 0, 1)
    colour = _pieces(base, x, y)
    pigment = np.clip(8.0 * (0.94 - colour.min(axis=2)), 0, 1)
    light = 0.55 + 0.55 * shape + 0.10 * (tone - 0.5)
    thread = np.clip(colour * light[..., None] + 0.10 * (shape**2)[..., None] * (1.0 - colour), 0, 1)
    return to_bytes(1.0 - pigment[..., None] * (1.0 - thread))


def pointillism(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Pointillism: dabs of pure colour on white ground, each a little warmer or colder than what it stands for.

    Colours scattered about the true one as in Litwinowicz, "Processing images and video for an impressionist effect"
    (SIGGRAPH 1997).
    """
    x, y, shape, tone = paper("pointillism", picture, origin)
    base = saturate(flatten(unit(picture), 7, 0.12, 3.0), 1.35)
    base = np.clip(base + 0.7 * (base - blur(base, 6.0)), 0, 1)
    colour = _pieces(blur(base, 1.2), x, y)
    pigment = np.clip(4.0 * (1.0 - colour.min(axis=2)), 0, 1)
    lab = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2LAB), np.float32)
    swing = (2.0 * tone - 1.0) * pigment
    lab[..., 0] += 6.0 * swing
    lab[..., 1] += 7.0 * np.sin(9.0 * tone) * pigment
    lab[..., 2] += 10.0 * np.cos(9.0 * tone) * pigment
    dab = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return to_bytes(1.0 - (pigment * (0.15 + 0.85 * shape))[..., None] * (1.0 - dab))


def _pieces(image: Field, x: Field, y: Field) -> Field:
    """Each pixel takes the colour of the middle of its piece."""
    height, width = image.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    columns = columns + (x - 0.5) * np.float32(2 * REACH)
    rows = rows + (y - 0.5) * np.float32(2 * REACH)
    return np.asarray(cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32)
