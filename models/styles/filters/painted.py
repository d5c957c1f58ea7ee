"""Painted: oil and watercolour."""

import numpy as np

from models.pictures import Picture
from models.styles.filters.canvas import Origin, paper, to_bytes, unit
from models.styles.strokes import blur, flatten, kuwahara, luma, saturate, slope, smooth_along, tangent


def oil(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Oil paint: eight-sector Kuwahara patches, drawn out along the local direction, with a raised edge to each stroke.

    Sectors after Papari, Petkov and Campisi, "Artistic edge and corner enhancing smoothing" (IEEE TIP 2007); smoothing
    along the structure tensor after Kyprianidis and Doellner, "Image abstraction by structure adaptive filtering"
    (2008).
    """
    del origin
    smooth = kuwahara(unit(picture), radius=8, sharpness=8.0)
    strokes = smooth_along(smooth, tangent(smooth, 3.0), steps=7)
    light = luma(strokes)
    body = np.clip(3.0 * (1.0 - light), 0, 1)
    relief = 0.9 * (light - blur(light, 4.0)) * body
    return to_bytes(saturate(strokes + relief[..., None], 1.18))


def watercolour(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Watercolour: flat washes whose pigment gathers at the edges and in the grain of the paper.

    Pigment density after Bousseau, Kaplan, Thollot and Sillion, "Interactive watercolor rendering with temporal
    coherence and abstraction" (NPAR 2006).
    """
    grain, _, _, wash = paper("watercolour", picture, origin)
    flat = saturate(flatten(unit(picture), 11, 0.11, 5.0, passes=3), 1.3)
    flat = 1.0 - 0.91 * (1.0 - flat)
    edge = np.clip(5.0 * slope(blur(luma(flat), 1.6)), 0, 1)
    density = 0.85 + edge + 0.42 * (wash - 0.5) + 0.26 * (grain - 0.5)
    return to_bytes(flat - (flat - flat * flat) * (density - 1.0)[..., None])
