"""Printed: poster, halftone, comic, risograph."""

import cv2
import numpy as np

from models.pictures import Picture
from models.styles.filters.canvas import Origin, paper, to_bytes, unit
from models.styles.strokes import blur, coverage, flatten, folds, ink_lines, luma, saturate


def poster(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Poster: ink lines over a few soft levels of light and full colour.

    Levels after Winnemoeller, Olsen and Gooch, "Real-time video abstraction" (SIGGRAPH 2006); lines (XDoG) after
    Winnemoeller, "XDoG: advanced image stylization with eXtended difference-of-Gaussians" (NPAR 2011).
    """
    del origin
    flat = flatten(unit(picture), 9, 0.12, 4.0, passes=3)
    lab = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB), np.float32)
    scaled = lab[..., 0] * 0.06  # six levels
    nearest = np.round(scaled)
    stepped = nearest + 0.5 * np.tanh(5.0 * (scaled - nearest)) / np.tanh(2.5)
    lab[..., 0] = np.clip(stepped / 6.0 * 104.0, 0, 100)
    lab[..., 1:] *= np.float32(1.35)
    colour = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return to_bytes(colour * (1.0 - 0.88 * ink_lines(luma(flat)))[..., None])


def halftone(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Colour print seen through a loupe: cyan, magenta, yellow and black dots on four turned screens.

    Clustered dots after Ulichney, "Digital Halftoning" (1987); most of the grey is taken over by black (grey component
    replacement).
    """
    screens = paper("halftone", picture, origin)
    base = saturate(blur(unit(picture), 1.0), 1.15)
    base = np.clip(base + 0.8 * (base - blur(base, 3.0)), 0, 1)
    inks = 1.0 - base
    key = 0.9 * inks.min(axis=2)
    inks = (inks - key[..., None]) / (1.0 - 0.95 * key[..., None])
    result = np.ones_like(base)
    for tone, screen, colour in zip([*np.moveaxis(inks, 2, 0), key], screens, _PROCESS, strict=True):
        dots = coverage(screen, 1.04 * tone, 0.26)
        result *= 1.0 - dots[..., None] * (1.0 - colour)
    return to_bytes(result)


def comic(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Comic book: flat bright colour, round dots in the half-shade, black in the shade and around the forms.

    Lines as in `poster`; dots after Benjamin Day's screens.
    """
    _, screen, _, _ = paper("comic", picture, origin)
    flat = flatten(unit(picture), 9, 0.14, 4.0, passes=3)
    light = luma(flat)
    lab = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB), np.float32)
    lab[..., 0] = np.clip(16.0 + 0.9 * lab[..., 0], 0, 100)
    lab[..., 0] += (100.0 - lab[..., 0]) * np.clip((light - 0.8) / 0.2, 0, 1)
    lab[..., 1:] *= np.float32(1.6)
    colour = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    shade = np.clip(0.9 * (0.55 - light) - 0.7 * folds(light, 8.0), 0, 0.42)
    solid = 0.5 - 0.5 * np.tanh(22.0 * (light + 0.25 * folds(light, 12.0) - 0.13))
    ink = np.maximum(np.maximum(coverage(screen, shade, 0.14), solid), ink_lines(light, 1.7))
    return to_bytes(colour * (1.0 - 0.94 * ink)[..., None])


def riso(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Risograph: a grainy coral plate under a teal one in dots, laid a little beside each other."""
    grain, tooth, screen, wash = paper("riso", picture, origin)
    light = flatten(luma(unit(picture)), 7, 0.08, 3.0)
    light = np.clip(light + 0.25 * folds(light, 10.0), 0, 1)
    moved = np.array([[1, 0, 2.0], [0, 1, -1.0]])
    beside = cv2.warpAffine(light, moved, light.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    coral = np.clip(1.3 * (1.0 - beside), 0, 1) * (0.84 + 0.16 * grain) * (0.92 + 0.08 * tooth + 0.08 * (wash - 0.5))
    teal = coverage(screen, 1.25 * np.clip(0.78 - light, 0, 0.8), 0.40)
    result = 1.0 - coral[..., None] * (1.0 - _CORAL)
    return to_bytes(result * (1.0 - 0.94 * teal[..., None] * (1.0 - _TEAL)))


#: Cyan, magenta, yellow and black ink on white paper.
_PROCESS = np.array([[0.0, 0.64, 0.90], [0.89, 0.10, 0.50], [1.0, 0.90, 0.06], [0.13, 0.12, 0.13]], np.float32)
_CORAL = np.array([1.0, 0.42, 0.38], np.float32)
_TEAL = np.array([0.06, 0.30, 0.42], np.float32)
