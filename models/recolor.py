"""Give a product another colour and keep its cloth: folds, texture and print stay."""

import cv2
import numpy as np

from models.colour import from_lab, lab_of, to_lab
from models.matting import box
from models.pictures import Floats, Mask, Picture

#: LAB distance is taken with lightness at this weight: shade belongs to the colour, hue does not.
_LIGHTNESS_WEIGHT = 0.45
#: Clusters of colour sought in a product.
_CLUSTERS = 5


def recolor(picture: Picture, alpha: Mask, colour: tuple[int, int, int], strength: float = 1.0) -> Picture:
    """Move the product's main colour to `colour` (sRGB) inside the mask; outside (alpha 0) pixels stay exactly equal.

    Shade is kept as a ratio of light, as a dye would do: L* + 16 goes as the cube root of luminance, so a fold that
    halves the light of the old cloth halves that of the new. Print of another colour keeps its own.
    `strength` 0..1 blends between old and new in LAB.
    """
    inside = alpha > 0.5
    if strength <= 0 or not inside.any():
        return picture.copy()
    lab = to_lab(picture)
    main, membership = _main_cloth(lab, alpha)
    dyed = _dye(lab, main, lab_of(colour))
    weight = (membership * strength)[..., None]
    mixed = from_lab(lab + (dyed - lab) * weight)
    blended = picture + (mixed.astype(np.float32) - picture) * alpha[..., None]
    result = np.clip(blended + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(np.where(alpha[..., None] > 0, result, picture), dtype=np.uint8)


def _main_cloth(lab: Floats, alpha: Mask) -> tuple[Floats, Mask]:
    """The main colour, LAB `[3]`, and how far each pixel belongs to it, `[H, W]` in 0..1."""
    scaled = lab * np.array([_LIGHTNESS_WEIGHT, 1, 1], dtype=np.float32)
    samples = scaled[alpha > 0.9]
    if len(samples) < _CLUSTERS:
        samples = scaled[alpha > 0.5]
    samples = np.ascontiguousarray(samples[:: max(1, len(samples) // 4000)])
    centres, shares = _clusters(samples)
    seed = int(np.argmax(shares))
    # Folds make several clusters of one cloth: whatever lies near the largest in hue belongs to it.
    apart = np.linalg.norm(centres - centres[seed], axis=1)
    own = apart < 16
    main = (centres[own] * shares[own, None]).sum(0) / shares[own].sum() / np.array([_LIGHTNESS_WEIGHT, 1, 1])
    distance = np.min(np.linalg.norm(scaled[..., None, :] - centres[own], axis=-1), axis=-1)
    if (~own).any():
        other = np.min(np.linalg.norm(scaled[..., None, :] - centres[~own], axis=-1), axis=-1)
        raw = 1 / (1 + np.exp(np.clip((distance - other) / 3, -30, 30)))
    else:
        raw = np.ones_like(distance)
    return main.astype(np.float32), box(raw.astype(np.float32), 1)


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
    shade = (base - main[0]) * ratio
    # Light shades of a dark cloth would glow once it is light, so the part above the new colour is compressed.
    room = max(4.0, 96.0 - float(target[0]))
    shade = np.where(shade > 0, room * np.tanh(shade / room), shade)
    detail = (light - base) * np.clip(ratio, 0.6, 1.15)
    new_light = np.clip(target[0] + shade + detail, 0, 100)
    # Less light, less chroma; highlights do not gain any.
    fade = np.clip((new_light + 16) / (target[0] + 16), 0, 1.1)
    smooth = np.asarray(cv2.blur(lab[..., 1:], (5, 5)), dtype=np.float32)
    own_hue = np.clip(smooth - main[1:], -20, 20) * 0.25
    chroma = (target[1:] + own_hue) * fade[..., None]
    return np.concatenate([new_light[..., None], chroma], -1).astype(np.float32)
