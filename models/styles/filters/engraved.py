"""Cut and pricked: engraving and stipple."""

import numpy as np

from models.pictures import Picture
from models.styles.filters.canvas import Origin, paper, to_bytes, unit
from models.styles.strokes import coverage, flatten, folds, ink_lines, luma


def engraving(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Banknote engraving in sepia: lines that swell with the tone, crossed in the dark.

    Tone by line width after Ostromoukhov, "Digital facial engraving" (SIGGRAPH 1999), with one fixed set of lines.
    """
    grain, line, cross, _ = paper("engraving", picture, origin)
    light = flatten(luma(unit(picture)), 7, 0.07, 3.0)
    tone = np.clip(0.97 - light - 0.55 * folds(light, 8.0), 0, 0.9)
    first = coverage(line, 0.95 * tone, 0.34)
    second = coverage(cross, 1.5 * np.clip(tone - 0.42, 0, 1), 0.34)
    ink = 1.0 - (1.0 - 0.92 * first) * (1.0 - 0.85 * second) * (1.0 - 0.85 * ink_lines(light, 1.1))
    ink = ink * (0.92 + 0.08 * grain)
    return to_bytes(1.0 - ink[..., None] * (1.0 - np.array([0.20, 0.12, 0.07], np.float32)))


def stipple(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Pen and ink dots: the darker, the closer, until they run together; a thin outline.

    Even dots as in Deussen, Hiller, van Overveld and Strothotte, "Floating points" (2000), here from a fixed order of
    voids (Ulichney, 1993).
    """
    _, dots, _, _ = paper("stipple", picture, origin)
    light = flatten(luma(unit(picture)), 5, 0.06, 2.0)
    tone = np.clip(1.0 - light - 0.6 * folds(light, 8.0), 0, 1)
    tone = np.clip(1.2 * tone * tone * (3.0 - 2.0 * tone), 0, 1)
    shade = 1.0 - (1.0 - coverage(dots, 0.98 * tone, 0.08)) * (1.0 - 0.6 * tone**3)
    ink = np.maximum(shade, 0.9 * ink_lines(light, 1.1))
    return to_bytes(1.0 - ink[..., None] * (1.0 - np.array([0.11, 0.11, 0.14], np.float32)))
