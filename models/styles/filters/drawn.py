"""Drawn: pencil, crayon, ink, pastel, and the brush on delftware."""

import numpy as np

from models.pictures import Picture
from models.styles.filters.canvas import Origin, paper, to_bytes, unit
from models.styles.strokes import (
    blur,
    contours,
    coverage,
    flatten,
    ink_lines,
    luma,
    saturate,
    slope,
    smooth_along,
    tangent,
)


def pencil(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Graphite: hatching whose strokes thicken with the tone, a second direction in the dark, contours, white paper.

    Tone by stroke coverage after Lu, Xu and Jia, "Combining sketch and tone for pencil drawing production" (NPAR 2012).
    """
    grain, hatch, cross, _ = paper("pencil", picture, origin)
    light = flatten(luma(unit(picture)), 7, 0.06, 3.0)
    tone = np.clip((0.95 - light - 0.9 * (light - blur(light, 9.0))) / 0.95, 0, 1) ** 0.85
    first = coverage(hatch, 1.3 * tone, 0.16)
    second = coverage(cross, 1.5 * np.clip(tone - 0.38, 0, 1), 0.16)
    shade = (0.52 * tone + 0.19 * first + 0.17 * second) * (0.84 + 0.32 * grain)
    ink = np.clip(shade + 0.62 * contours(light), 0, 0.93)
    return to_bytes(1.0 - ink[..., None] * np.array([0.985, 0.99, 0.97], np.float32))


def crayon(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Coloured pencil: the product's own colours as hatching on white paper; dark parts are crossed and pressed harder.

    Stroke coverage as in `pencil`; layers of colour multiply as in subtractive mixing.
    """
    grain, hatch, cross, _ = paper("crayon", picture, origin)
    base = saturate(flatten(unit(picture), 9, 0.10, 4.0), 1.45)
    light = luma(base)
    amount = np.clip((1.0 - base.min(axis=2)) * 1.6 - 0.08, 0, 1)
    cover = 0.62 + 0.38 * coverage(hatch, 0.25 + 0.75 * np.clip(1.2 - light, 0, 1), 0.20)
    crossed = 0.30 * coverage(cross, 1.2 * np.clip(0.75 - light, 0, 1), 0.20) * amount
    pressed = amount * cover * (0.90 + 0.20 * np.minimum(grain, light + 0.4))
    laid = (1.0 - pressed[..., None] * (1.0 - base)) * (1.0 - crossed[..., None] * (1.0 - 0.8 * base))
    return to_bytes(laid * (1.0 - 0.55 * contours(light))[..., None])


def ink(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Brush and ink: strong lines, solid black in the shade, a thin grey wash between.

    Lines and blacks (XDoG) after Winnemoeller, "XDoG: advanced image stylization with eXtended difference-of-Gaussians"
    (NPAR 2011), smoothed along the edges as in Kang, Lee and Chui, "Coherent line drawing" (NPAR 2007).
    """
    grain, _, _, wash = paper("ink", picture, origin)
    flat = flatten(unit(picture), 9, 0.10, 4.0, passes=2)
    light = luma(smooth_along(flat, tangent(flat, 2.5), steps=5))
    sharp = light + 14.0 * (blur(light, 1.3) - blur(light, 2.1))
    local = sharp + 0.9 * (light - blur(light, 12.0))
    black = 0.5 - 0.5 * np.tanh(9.0 * (local - 0.30))
    tone = np.clip(0.9 - light, 0, 1)
    thin = tone * (0.34 + 0.30 * (wash - 0.5) + 0.16 * (grain - 0.5))
    shade = 1.0 - (1.0 - np.clip(thin, 0, 1)) * (1.0 - 0.96 * black)
    return to_bytes(1.0 - shade[..., None] * np.array([0.95, 0.94, 0.90], np.float32))


def pastel(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Soft pastel: broad strokes of chalk that catch on the paper's tooth, smudged inside, brighter than life."""
    tooth, chalk, grain, _ = paper("pastel", picture, origin)
    base = flatten(unit(picture), 11, 0.12, 5.0, passes=2)
    base = saturate(base, 1.35)
    base = 1.0 - 0.92 * (1.0 - base)
    light = luma(base)
    pigment = np.clip(1.5 * (1.0 - base.min(axis=2)), 0, 1)
    stroke = (chalk - 0.5) * pigment
    base = np.clip(base + 0.09 * stroke[..., None] * (1.0 - light)[..., None] + 0.05 * stroke[..., None], 0, 1)
    catch = coverage(0.55 * tooth + 0.25 * chalk, 0.48 + 0.6 * pigment, 0.7)
    laid = 1.0 - (catch * (0.9 + 0.1 * grain))[..., None] * (1.0 - base)
    return to_bytes(laid * (1.0 - 0.35 * contours(light))[..., None])


def delft(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Delftware: cobalt on white glaze, washes in a few depths that run darker at their edges, a fine brush line."""
    grain, _, _, wash = paper("delft", picture, origin)
    flat = flatten(luma(unit(picture)), 9, 0.10, 5.0, passes=2)
    local = np.clip(flat + 0.8 * (flat - blur(flat, 10.0)), 0, 1)
    depth = 4.0 * (1.0 - local)
    nearest = np.round(depth)
    stepped = (nearest + 0.5 * np.tanh(4.0 * (depth - nearest)) / np.tanh(2.0)) / 4.0
    edge = np.clip(4.0 * slope(blur(stepped, 1.4)), 0, 0.35)
    tone = stepped * (0.95 + 0.10 * (wash - 0.5) + 0.08 * (grain - 0.5)) + edge * np.clip(4.0 * stepped, 0, 1)
    line = ink_lines(flat, 1.2)
    tone = np.clip(tone, 0, 1)[..., None]
    thin, deep = np.array([0.42, 0.58, 0.86], np.float32), np.array([0.05, 0.13, 0.42], np.float32)
    glaze = np.where(tone < 0.5, 1.0 - 2.0 * tone * (1.0 - thin), thin + (2.0 * tone - 1.0) * (deep - thin))
    return to_bytes(glaze * (1.0 - 0.8 * line[..., None] * (1.0 - deep)))
