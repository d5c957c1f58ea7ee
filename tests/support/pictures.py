"""Test pictures with flat patches of known colours."""

import io

import numpy as np
from PIL import Image

from serve.interfaces import Picture

#: Upper left, upper right, lower left, lower right: no two alike, so that a turned picture shows.
PATCHES = ((200, 40, 40), (40, 180, 60), (50, 70, 200), (230, 220, 120))
GREYS = (30, 120, 200, 250)
SIDE = 48


def patches(colours: tuple[tuple[int, int, int], ...] = PATCHES, width: int = SIDE, height: int = SIDE + 16) -> Picture:
    """Four flat patches, `uint8 [height, width, 3]`."""
    picture = np.empty((height, width, 3), np.uint8)
    middle_y, middle_x = height // 2, width // 2
    picture[:middle_y, :middle_x], picture[:middle_y, middle_x:] = colours[0], colours[1]
    picture[middle_y:, :middle_x], picture[middle_y:, middle_x:] = colours[2], colours[3]
    return picture


def greys() -> Picture:
    """The same layout in four greys."""
    return patches(tuple((level, level, level) for level in GREYS))


def saved(image: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def centres(picture: Picture) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters."""
    height, width = picture.shape[:2]
    return [
        tuple(int(value) for value in picture[y, x])
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    ]


def furthest(one: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> int:
    """The largest difference in any channel of any patch."""
    return int(np.abs(np.array(one) - np.array(other)).max())
