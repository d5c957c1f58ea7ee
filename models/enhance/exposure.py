"""Exposure: how many stops a photo was lit too little or too much, and the tone curve that takes it back."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import linear_to_srgb
from models.enhance.view import LINEAR, LUMA, View, through
from models.pictures import Floats, Picture

#: Ridge regression over `signs`: fitted by `python -m models.training.enhancement fit` on damaged training photos.
WEIGHTS = (0.7689, 0.0947, 0.0268, 0.0433, 0.9064)
BIAS = 0.4936
#: Stops between which a photo counts as well lit: of undamaged photos 97 in 100 lie inside. Beyond, the correction
#: grows from nothing to the whole estimate over `_RAMP` stops, so that no photo is on a knife's edge.
DARK, LIGHT = -0.75, 0.5
_RAMP = 0.25
#: Nobody would see a smaller correction, in stops.
_SEEN = 0.1
#: No correction goes further, in stops.
_MOST = 1.8
#: From this linear light on (sRGB 203) brightened highlights are compressed instead of cut off.
_KNEE = 0.6


def signs(view: View) -> Floats:
    """What the estimate weighs, `float32 [5]`: logs of light are in stops.

    The brightest of all channels, the brightest and darkest of luminance, the middle of the product, and the root of
    the share of pixels that are burnt out. Dark cloth is no dark photo: what counts most is how bright the brightest
    things are, for hardly any photo is without something white or shining.
    """
    light = view.linear
    luma = np.log2(light @ LUMA + np.float32(0.004))
    peak = np.log2(light.max(-1) + np.float32(0.004))
    darkest, brightest = np.percentile(luma, [2, 98])
    burnt = float((peak > np.log2(0.96)).mean()) ** 0.5
    values = [np.percentile(peak, 99.7), brightest, darkest, np.median(luma[view.product]), burnt]
    return np.array(values, dtype=np.float32)


def stops_off(view: View) -> float:
    """Estimated stops by which the photo is exposed too much (above 0) or too little (below)."""
    return float(signs(view) @ np.array(WEIGHTS, dtype=np.float32) + BIAS)


def correction(view: View) -> float:
    """Stops to add; exactly 0 for a photo that may well be meant as it is."""
    off = stops_off(view)
    beyond = off - DARK if off < 0 else off - LIGHT
    if DARK <= off <= LIGHT:
        return 0.0
    stops = float(np.clip(-off * min(1.0, abs(beyond) / _RAMP), -_MOST, _MOST))
    return stops if abs(stops) >= _SEEN else 0.0


def expose(picture: Picture, stops: float) -> Picture:
    """Change the light of a picture by `stops`. Black stays black and white white, whichever way it goes."""
    if stops < 0:
        return _dimmed(picture, 2.0**stops)
    curve = linear_to_srgb(_brightened(2.0**stops)) * 255 + 0.5
    table: NDArray[np.uint8] = np.repeat(np.clip(curve, 0, 255).astype(np.uint8)[:, None], 3, axis=1)
    return through(picture, table)


def _brightened(gain: float) -> Floats:
    """Linear light of the 256 levels: gain up to the knee, from there compressed (Reinhard's extended curve)."""
    gained = LINEAR * np.float32(gain)
    over = np.maximum((gained - _KNEE) / (1 - _KNEE), 0)
    top = (gain - _KNEE) / (1 - _KNEE)
    compressed = over * (1 + over / top**2) / (1 + over)
    return np.where(gained <= _KNEE, gained, _KNEE + (1 - _KNEE) * compressed).astype(np.float32)


def _dimmed(picture: Picture, gain: float) -> Picture:
    """Less light for all but the brightest. The strongest channel says how much, and the others follow.

    Curves for each channel apart would turn the hue of what is nearly burnt out.
    """
    levels = linear_to_srgb(gain * LINEAR + (1 - gain) * LINEAR**4)
    factors = levels / np.maximum(np.arange(256, dtype=np.float32) / 255, 1e-6)
    peak = cv2.max(cv2.max(picture[..., 0], picture[..., 1]), picture[..., 2])
    dimmed = picture * factors.astype(np.float32)[peak][..., None]
    return np.asarray(np.clip(dimmed + 0.5, 0, 255), dtype=np.uint8)
