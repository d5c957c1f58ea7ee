"""Which parts of a photo are looked at pixel by pixel. Making a photo smaller would hide noise, blur and blocks."""

import cv2
import numpy as np

from models.pictures import Floats, Mask, Picture

#: Places are looked for on a sketch with this long side: too coarse to be led astray by noise or blocks.
_SKETCH_SIDE = 128
#: What a part of a crop is worth that an earlier crop has shown already, or that lies beside the product.
_SEEN, _BESIDE = 0.15, 0.1


def crop_places(picture: Picture, mask: Mask | None, side: int, count: int) -> list[tuple[int, int]]:
    """Upper left corners (row, column) of `count` crops of `side` px where there is most to see.

    That is where lightness changes most, on the product if its mask is given, else rather near the middle. Crops avoid
    each other while there is room. In a picture that is smaller than a crop the corner is 0.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, _SKETCH_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    worth = _detail(picture, size)
    if mask is None:
        worth *= np.hanning(size[1] + 2)[1:-1, None].astype(np.float32) ** 0.5
        worth *= np.hanning(size[0] + 2)[None, 1:-1].astype(np.float32) ** 0.5
    else:
        worth *= _BESIDE + cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    window = tuple(min(length, max(1, round(side * scale))) for length in size)
    places = []
    for _ in range(count):
        row, column = _best(worth, window)
        worth[row : row + window[1], column : column + window[0]] *= _SEEN
        places.append(
            (
                min(round(row / scale), max(0, height - side)),
                min(round(column / scale), max(0, width - side)),
            )
        )
    return places


def _detail(picture: Picture, size: tuple[int, int]) -> Floats:
    """Change of lightness on a sketch of `size` (width, height), float32; its root, so that no edge outweighs cloth."""
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
    change = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return np.sqrt(change + np.float32(1))


def _best(worth: Floats, window: tuple[int, ...]) -> tuple[int, int]:
    """Where a window (width, height) holds most; the first of equals."""
    total = np.pad(np.cumsum(np.cumsum(worth, 0, dtype=np.float64), 1), ((1, 0), (1, 0)))
    width, height = window
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    row, column = np.unravel_index(int(np.argmax(sums.round(3))), sums.shape)
    return int(row), int(column)


def crop(picture: Picture, place: tuple[int, int], side: int) -> Picture:
    """The crop at a place, uint8 [side, side, 3]; a picture that is too small goes on as its own mirror image."""
    row, column = place
    part = picture[row : row + side, column : column + side]
    below, beside = side - part.shape[0], side - part.shape[1]
    if not (below or beside):
        return part
    return np.pad(part, ((0, below), (0, beside), (0, 0)), mode="symmetric")
