"""Drawing filters: the teachers of the style net, written from the literature of non-photorealistic rendering.

Every filter takes a picture `uint8 [H, W, 3]` sRGB and gives one of the same shape; the same input gives the same
output. Lengths are in pixels of a picture of about 1,000 px, the size that is served. White stays white: pigment is
laid down in proportion to darkness, so a seamless background keeps clean. `origin` places the picture on the textures.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from models.strokes import (
    Field,
    blur,
    contours,
    coverage,
    flatten,
    ink_lines,
    kuwahara,
    luma,
    saturate,
    slope,
    smooth_along,
    tangent,
)
from models.textures import NAMES, textures

Picture = NDArray[np.uint8]
Origin = tuple[int, int]
Filter = Callable[[Picture, Origin], Picture]


def oil(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Oil paint: eight-sector Kuwahara patches, drawn out along the local direction, with a raised edge to each stroke.

    Sectors after Papari, Petkov and Campisi, "Artistic edge and corner enhancing smoothing" (IEEE TIP 2007); smoothing
    along the structure tensor after Kyprianidis and Doellner, "Image abstraction by structure adaptive filtering"
    (2008).
    """
    del origin
    smooth = kuwahara(_unit(picture), radius=8, sharpness=8.0)
    strokes = smooth_along(smooth, tangent(smooth, 3.0), steps=7)
    light = luma(strokes)
    body = np.clip(3.0 * (1.0 - light), 0, 1)
    relief = 0.9 * (light - blur(light, 4.0)) * body
    return _bytes(saturate(strokes + relief[..., None], 1.18))


def watercolour(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Watercolour: flat washes whose pigment gathers at the edges and in the grain of the paper.

    Pigment density after Bousseau, Kaplan, Thollot and Sillion, "Interactive watercolor rendering with temporal
    coherence and abstraction" (NPAR 2006).
    """
    grain, wash = _paper(picture, origin, "grain", "wash")
    flat = saturate(flatten(_unit(picture), 11, 0.11, 5.0, passes=3), 1.3)
    flat = 1.0 - 0.91 * (1.0 - flat)
    edge = np.clip(5.0 * slope(blur(luma(flat), 1.6)), 0, 1)
    density = 0.85 + edge + 0.42 * (wash - 0.5) + 0.26 * (grain - 0.5)
    return _bytes(flat - (flat - flat * flat) * (density - 1.0)[..., None])


def pencil(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Graphite: hatching whose strokes thicken with the tone, a second direction in the dark, contours, white paper.

    Tone by stroke coverage after Lu, Xu and Jia, "Combining sketch and tone for pencil drawing production" (NPAR 2012).
    """
    grain, hatch, cross = _paper(picture, origin, "grain", "hatch", "cross")
    light = flatten(luma(_unit(picture)), 7, 0.06, 3.0)
    tone = np.clip((0.95 - light - 0.9 * (light - blur(light, 9.0))) / 0.95, 0, 1) ** 0.85
    first = coverage(hatch, 1.3 * tone, 0.16)
    second = coverage(cross, 1.5 * np.clip(tone - 0.38, 0, 1), 0.16)
    shade = (0.52 * tone + 0.19 * first + 0.17 * second) * (0.84 + 0.32 * grain)
    ink = np.clip(shade + 0.62 * contours(light), 0, 0.93)
    return _bytes(1.0 - ink[..., None] * np.array([0.985, 0.99, 0.97], np.float32))


def crayon(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Coloured pencil: the product's own colours as hatching on white paper; dark parts are crossed and pressed harder.

    Stroke coverage as in `pencil`; layers of colour multiply as in subtractive mixing.
    """
    grain, hatch, cross = _paper(picture, origin, "grain", "hatch", "cross")
    base = saturate(flatten(_unit(picture), 9, 0.10, 4.0), 1.45)
    light = luma(base)
    amount = np.clip((1.0 - base.min(axis=2)) * 1.6 - 0.08, 0, 1)
    cover = 0.62 + 0.38 * coverage(hatch, 0.25 + 0.75 * np.clip(1.2 - light, 0, 1), 0.20)
    crossed = 0.30 * coverage(cross, 1.2 * np.clip(0.75 - light, 0, 1), 0.20) * amount
    pressed = amount * cover * (0.90 + 0.20 * np.minimum(grain, light + 0.4))
    laid = (1.0 - pressed[..., None] * (1.0 - base)) * (1.0 - crossed[..., None] * (1.0 - 0.8 * base))
    return _bytes(laid * (1.0 - 0.55 * contours(light))[..., None])


def poster(picture: Picture, origin: Origin = (0, 0)) -> Picture:
    """Poster: ink lines over a few soft levels of light and full colour.

    Levels after Winnemoeller, Olsen and Gooch, "Real-time video abstraction" (SIGGRAPH 2006); lines (XDoG) after
    Winnemoeller, "XDoG: advanced image stylization with eXtended difference-of-Gaussians" (NPAR 2011).
    """
    del origin
    flat = flatten(_unit(picture), 9, 0.12, 4.0, passes=3)
    lab = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB), np.float32)
    scaled = lab[..., 0] * 0.06  # six levels
    nearest = np.round(scaled)
    stepped = nearest + 0.5 * np.tanh(5.0 * (scaled - nearest)) / np.tanh(2.5)
    lab[..., 0] = np.clip(stepped / 6.0 * 104.0, 0, 100)
    lab[..., 1:] *= np.float32(1.35)
    colour = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return _bytes(colour * (1.0 - 0.88 * ink_lines(luma(flat)))[..., None])


#: Style name -> teacher, in the order of the net's style index.
FILTERS: Mapping[str, Filter] = MappingProxyType(
    {"oil": oil, "watercolour": watercolour, "pencil": pencil, "crayon": crayon, "poster": poster}
)


def _paper(picture: Picture, origin: Origin, *names: str) -> list[Field]:
    """The named textures under the picture, each float32 [H, W]."""
    fields = textures(picture.shape[0], picture.shape[1], origin)
    return [fields[..., NAMES.index(name)] for name in names]


def _unit(picture: Picture) -> Field:
    return picture.astype(np.float32) / 255.0


def _bytes(image: Field) -> Picture:
    return np.asarray(np.rint(np.clip(image, 0, 1) * 255.0), np.uint8)
