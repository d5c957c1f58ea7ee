"""Give a product another colour and keep its cloth: folds, texture and print stay."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import from_lab, lab_of, to_lab
from models.matting import box, decontaminate, reach_of, window_of
from models.pictures import Floats, Mask, Picture

#: LAB distance is taken with lightness at this weight: shade belongs to the cloth, hue does not.
_LIGHTNESS_WEIGHT = 0.4
#: Clusters of colour sought in a product.
_CLUSTERS = 8
#: Clusters this near to each other are one cloth under different light; none may be further from the main one.
_STEP, _REACH = 13.0, 27.0


def recolor(picture: Picture, alpha: Mask, colour: tuple[int, int, int], strength: float = 1.0) -> Picture:
    """Move the product's main colour to `colour` (sRGB) inside the mask; where alpha is 0 pixels stay exactly equal.

    Shade is kept as a ratio of light, as a dye would do: L* + 16 goes as the cube root of luminance, so a fold that
    halves the light of the old cloth halves that of the new. Print of another colour keeps its own.
    `strength` 0..1 blends between old and new in LAB.
    """
    if strength <= 0 or not (alpha > 0.5).any():
        return picture.copy()
    # With this margin the product's pixels see all that they would see in the whole photo.
    window = window_of(alpha, 2 * reach_of(alpha))
    old = decontaminate(picture[window], alpha[window], alpha)
    result = picture.copy()
    result[window] = _recoloured(picture[window], old, alpha[window], colour, strength)
    return result


def _recoloured(picture: Picture, old: Picture, alpha: Mask, colour: tuple[int, int, int], strength: float) -> Picture:
    """The same for the product's window; `old` is its picture free of the background's colours."""
    lab = to_lab(old)
    main, membership = _main_cloth(lab, alpha)
    dyed = _dye(lab, main, lab_of(colour))
    new = from_lab(lab + (dyed - lab) * (membership * strength)[..., None])
    # On the outline the picture is a mix of product and background: change the product's part alone.
    change = (new.astype(np.float32) - old) * alpha[..., None]
    result = np.clip(picture + change + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(np.where(alpha[..., None] > 0, result, picture), dtype=np.uint8)


def _main_cloth(lab: Floats, alpha: Mask) -> tuple[Floats, Mask]:
    """The main colour, LAB `[3]`, and how far each pixel belongs to it, `[H, W]` in 0..1."""
    space = _shade_free(lab)
    solid = alpha > 0.9
    samples = space[solid if solid.sum() >= _CLUSTERS else alpha > 0.5]
    samples = np.ascontiguousarray(samples[:: max(1, len(samples) // 4000)])
    centres, shares = _clusters(samples)
    own = _one_cloth(centres, int(np.argmax(shares)))
    belongs: Mask = np.ones_like(alpha)
    if not own.all():
        lead = _nearest(space, centres[own]) - _nearest(space, centres[~own])
        belongs = np.asarray(1 / (1 + np.exp(np.clip(lead / 3, -30, 30))), dtype=np.float32)
    weight = belongs * alpha
    main = (lab * weight[..., None]).sum((0, 1)) / max(float(weight.sum()), 1e-6)
    return main.astype(np.float32), box(belongs, 1)


def _nearest(space: Floats, centres: Floats) -> Floats:
    """Distance of each pixel to the nearest of the centres."""
    flat = space.reshape(-1, 3)
    # |p|^2 is the same for all centres: the nearest is told by |c|^2 - 2 p.c alone.
    away = flat @ (-2 * centres.T) + (centres**2).sum(1)
    squares = away.min(1) + np.einsum("ij,ij->i", flat, flat)
    return np.asarray(np.sqrt(np.maximum(squares, 0)).reshape(space.shape[:2]), dtype=np.float32)


def _shade_free(lab: Floats) -> Floats:
    """LAB with lightness weighed down and chroma as it were at middle lightness: in shade both shrink together."""
    gain = np.clip(66 / (lab[..., :1] + 16), 0.6, 1.6)
    return np.concatenate([lab[..., :1] * _LIGHTNESS_WEIGHT, lab[..., 1:] * gain], -1).astype(np.float32)


def _one_cloth(centres: Floats, seed: int) -> NDArray[np.bool_]:
    """The clusters that hang together with the seed, step by step."""
    between = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    allowed = between[seed] < _REACH
    own: NDArray[np.bool_] = np.arange(len(centres)) == seed
    for _ in centres:
        own = np.asarray(allowed & (between[:, own].min(1) < _STEP), dtype=bool)
    return own


def _clusters(samples: Floats) -> tuple[Floats, Floats]:
    count = min(_CLUSTERS, len(samples))
    cv2.setRNGSeed(11)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, centres = cv2.kmeans(samples, count, np.empty(0, np.int32), stop, 2, cv2.KMEANS_PP_CENTERS)
    shares = np.bincount(np.asarray(labels).ravel(), minlength=count) / len(samples)
    return np.asarray(centres, dtype=np.float32), shares.astype(np.float32)


def _dye(lab: Floats, main: Floats, target: Floats) -> Floats:
    light = lab[..., 0]
    base = np.asarray(cv2.bilateralFilter(light, 7, 12, 3), dtype=np.float32)
    ratio = (target[0] + 16) / (main[0] + 16)
    # Dark cloth has more contrast than light cloth could show: the gain is bounded, both ends are compressed.
    shade = (base - main[0]) * min(float(ratio), 1.7)
    room = np.where(shade > 0, max(4.0, 97.0 - float(target[0])), max(10.0, 0.75 * float(target[0])))
    shade = room * np.tanh(shade / room)
    detail = (light - base) * np.clip(ratio, 0.6, 1.15)
    new_light = np.clip(target[0] + shade + detail, 0, 100)
    # Less light, less chroma; highlights do not gain any.
    fade = np.clip((new_light + 16) / (target[0] + 16), 0, 1.1)
    smooth = np.asarray(cv2.blur(lab[..., 1:], (5, 5)), dtype=np.float32)
    own_hue = np.clip(smooth - main[1:], -20, 20) * 0.25
    chroma = (target[1:] + own_hue) * fade[..., None]
    return np.concatenate([new_light[..., None], chroma], -1).astype(np.float32)
