"""What all drawing filters share: bytes to numbers and back, and the textures under the picture."""

from collections.abc import Callable

import numpy as np

from models.pictures import Picture
from models.styles.strokes import Field
from models.styles.textures import sheet, textures

Origin = tuple[int, int]
#: (picture `uint8 [H, W, 3]` sRGB, (row, column) of its first pixel on the textures) -> the picture redrawn.
Filter = Callable[[Picture, Origin], Picture]


def paper(style: str, picture: Picture, origin: Origin) -> list[Field]:
    """The four textures of the style's sheet under the picture, each float32 [H, W]."""
    fields = textures(picture.shape[0], picture.shape[1], origin, sheet(style))
    return [fields[..., i] for i in range(fields.shape[2])]


def unit(picture: Picture) -> Field:
    """uint8 -> float32 in 0..1."""
    return picture.astype(np.float32) / 255.0


def to_bytes(image: Field) -> Picture:
    """float32 in 0..1 (clipped) -> uint8."""
    return np.asarray(np.rint(np.clip(image, 0, 1) * 255.0), np.uint8)
