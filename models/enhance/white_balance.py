"""White balance: how far the light of a photo was too warm or too cool, where the photo leaves no doubt about it.

Only the axis from warm to cool is corrected. What is behind the product has an unknown colour (a wall, a floor, a bed),
and green against magenta cannot be told from a green wall.
"""

import numpy as np
from numpy.typing import NDArray

from models.colour import linear_to_srgb
from models.enhance.view import LINEAR, LUMA, View, enough, through
from models.pictures import Floats, Picture

#: Ridge regression over `signs`: fitted by `python -m models.training.enhancement fit` on damaged training photos.
WEIGHTS = (
    *(0.0743, 0.2426, 0.0511, 0.0998, 0.0047, 0.0433),
    *(-0.0566, -0.0854, 0.0448, 0.0730, -0.0197, -0.0894),
)
BIAS = -0.0475
#: A cast below this many stops (red up, blue down, each by as much) is left alone; the correction is whole at `_FULL`.
_LEAST, _FULL = 0.2, 0.3
#: Nobody would see a smaller correction, in stops.
_SEEN = 0.05
#: No correction goes further, in stops.
_MOST = 0.5
#: A true cast tints all that is in the photo. So the brightest things, and the least tinted 5 % of it, must share this
#: much of the estimate, less a margin in stops; else the colour is that of things, not of light.
_SHARED = 0.7
_MARGIN_BRIGHT, _MARGIN_LEAST = 0.05, 0.1


def signs(view: View) -> Floats:
    """What the estimate weighs, `float32 [12]` in stops: six of warmth, then the same six of magenta against green.

    Medians of what is around the product, of the brightest and of the darkest things; the 5th and 95th percentile and
    the mean of all. Burnt-out and black pixels do not count: they have no colour.
    """
    light = view.linear
    peak = light.max(-1)
    coloured = enough((peak < 0.95) & (peak > 0.02))
    red, green, blue = np.moveaxis(np.log2(light + np.float32(0.004)), -1, 0)
    luma = light @ LUMA
    low, high = np.percentile(luma[coloured], [12, 92])
    around = view.ground & coloured
    if around.sum() < _few(coloured):
        around = coloured
    bright, dark = coloured & (luma >= high), coloured & (luma <= low)
    values: list[float] = []
    for axis in ((red - blue) / 2, (red + blue) / 2 - green):
        values += [float(np.median(axis[part])) for part in (around, bright, dark)]
        values += [*np.percentile(axis[coloured], [5, 95]), float(axis[coloured].mean())]
    return np.array(values, dtype=np.float32)


def _few(region: NDArray[np.bool_]) -> int:
    return min(100, int(region.sum()))


def warmth(seen: Floats) -> float:
    """Estimated cast in stops from `signs`: above 0 too warm, below too cool."""
    return float(seen @ np.array(WEIGHTS, dtype=np.float32) + BIAS)


def correction(view: View) -> float:
    """Stops by which to cool the photo (below 0: warm it); exactly 0 where the cast is small or open to doubt."""
    seen = signs(view)
    cast = warmth(seen)
    size = abs(cast)
    bright = float(np.sign(cast) * seen[1])
    least = float(seen[3] if cast > 0 else -seen[4])
    if size <= _LEAST or bright < _SHARED * size - _MARGIN_BRIGHT or least < _SHARED * size - _MARGIN_LEAST:
        return 0.0
    stops = float(np.clip(cast * min(1.0, (size - _LEAST) / (_FULL - _LEAST)), -_MOST, _MOST))
    return stops if abs(stops) >= _SEEN else 0.0


def balance(picture: Picture, stops: float) -> Picture:
    """Cool a picture by `stops` (below 0: warm it). Greys keep their luminance as long as nothing clips."""
    gains = np.array([2.0**-stops, 1.0, 2.0**stops], dtype=np.float32)
    gains /= float(gains @ LUMA)
    curves = linear_to_srgb(np.clip(LINEAR[:, None] * gains, 0, 1)) * 255 + 0.5
    return through(picture, np.clip(curves, 0, 255).astype(np.uint8))
