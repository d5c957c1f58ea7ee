"""From a hard mask at working size to a soft edge at the photo's size, free of the old background's colour."""

import cv2
import numpy as np

from models.pictures import Floats, Mask, Picture


def box(values: Floats, radius: int) -> Floats:
    """Mean over a square window of side `2 * radius + 1`, edges replicated; shape as given."""
    side = 2 * radius + 1
    blurred = cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def added(values: Floats) -> Floats:
    """Sum over the three channels, `[H, W]`: OpenCV takes a tenth of numpy's time for so short an axis."""
    return np.asarray(cv2.transform(values, np.ones((1, 3), np.float32)), dtype=np.float32)


def guided_filter(guide: Floats, source: Mask, radius: int, epsilon: float) -> Mask:
    """Smooth `source [H, W]` along the edges of the colour `guide [H, W, 3]` (both 0..1).

    He, Sun, Tang: "Guided Image Filtering", ECCV 2010 (colour guide, equations 14 to 16). `epsilon` is the variance
    below which the guide counts as flat.
    """
    mean_guide, mean_source = box(guide, radius), box(source, radius)
    covariance = box(guide * source[..., None], radius) - mean_guide * mean_source[..., None]
    r, g, b = np.moveaxis(guide, -1, 0)
    mr, mg, mb = np.moveaxis(mean_guide, -1, 0)
    rr = box(r * r, radius) - mr * mr + epsilon
    gg = box(g * g, radius) - mg * mg + epsilon
    bb = box(b * b, radius) - mb * mb + epsilon
    rg = box(r * g, radius) - mr * mg
    rb = box(r * b, radius) - mr * mb
    gb = box(g * b, radius) - mg * mb
    # The symmetric 3x3 matrix is inverted by its adjugate: far quicker than a solver per pixel.
    i_rr, i_rg, i_rb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    i_gg, i_gb, i_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * i_rr + rg * i_rg + rb * i_rb
    cr, cg, cb = np.moveaxis(covariance, -1, 0)
    slope = np.stack(
        [i_rr * cr + i_rg * cg + i_rb * cb, i_rg * cr + i_gg * cg + i_gb * cb, i_rb * cr + i_gb * cg + i_bb * cb], -1
    )
    slope /= determinant[..., None]
    offset = mean_source - (slope * mean_guide).sum(-1)
    return np.asarray((box(slope, radius) * guide).sum(-1) + box(offset, radius), dtype=np.float32)


def window_of(alpha: Mask, margin: int | None = None) -> tuple[slice, slice]:
    """The product's part of the photo, with room for soft edges: the rest need not be worked on.

    `margin` is that room in px, by default a little. Raise `IndexError` for an alpha that is 0 everywhere.
    """
    rows, columns = np.flatnonzero((alpha > 0).any(1)), np.flatnonzero((alpha > 0).any(0))
    margin = 4 + min(alpha.shape) // 40 if margin is None else margin
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _guide_of(picture: Picture, size: tuple[int, int]) -> Floats:
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if picture.shape[1::-1] != size else picture
    return np.asarray(small, dtype=np.float32) / np.float32(255)


#: The edge is sought at most at this long side; larger photos get that edge scaled up.
EDGE_SIDE = 1200


def refine(picture: Picture, mask: Mask, radius: int = 3, epsilon: float = 4e-4) -> Mask:
    """Soft alpha `[H, W]` of the picture from a mask of any smaller size and the same shape of frame.

    `radius` (pixels of the working mask's scale) is how far the edge may move. Away from the edge the mask is kept.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, EDGE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    zoom = max(size) / max(mask.shape)
    reach = max(1, round(radius * zoom))
    coarse = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    soft = np.clip(guided_filter(_guide_of(picture, size), coarse, reach, epsilon), 0, 1)
    near = box(coarse, reach)
    alpha = np.where((near > 0.001) & (near < 0.999), soft, coarse)
    # The guided filter leaves a veil on both sides of the edge: cut it off.
    alpha = np.clip((alpha - 0.12) / 0.76, 0, 1).astype(np.float32)
    if size != (width, height):
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return alpha


def reach_of(alpha: Mask) -> int:
    """How far `decontaminate` looks around for the colours of product and background, px."""
    height, width = alpha.shape
    return max(2, min(int(height), int(width)) // 16)


def decontaminate(picture: Picture, alpha: Mask, frame: Mask | None = None) -> Picture:
    """The product's own colours, free of the old background, continued beyond its outline.

    Where alpha is partial or 0: blur fusion, two passes (Forte: "Approximate Fast Foreground Colour Estimation",
    ICIP 2021). Just inside the outline, where JPEG's coarse chroma lets the background bleed in: the share of the
    background's colour is taken out. Deeper inside the picture is kept exactly.
    `frame` is the mask of the whole photo where the picture is a window of it: it sets how far is looked around.
    """
    image = picture.astype(np.float32)
    frame = alpha if frame is None else frame
    wide = reach_of(frame)
    colours = image
    for reach in (wide, max(1, wide // 8)):
        colours = _blur_fusion(image, colours, alpha, reach)
    depth = max(2, round(min(frame.shape) / 160))
    rim = np.clip((1 - box(alpha, depth)) * 2.5, 0, 1)
    cleaned = colours - _bleed(image, colours, alpha, depth) * rim[..., None]
    result = np.where((rim == 0)[..., None], image, cleaned)
    return np.clip(result + 0.5, 0, 255).astype(np.uint8)


def _blur_fusion(image: Floats, colours: Floats, alpha: Mask, radius: int) -> Floats:
    weight = alpha[..., None]
    tiny = np.float32(1e-5)
    inside, outside = box(alpha, radius)[..., None], box(1 - alpha, radius)[..., None]
    near_product = box(colours * weight, radius) / (inside + tiny)
    near_ground = box(image * (1 - weight), radius) / (outside + tiny)
    fused = near_product + weight * (image - weight * near_product - (1 - weight) * near_ground)
    return np.asarray(np.where(inside > 1e-3, np.clip(fused, 0, 255), colours), dtype=np.float32)


def _bleed(image: Floats, colours: Floats, alpha: Mask, depth: int) -> Floats:
    """How much of the near background's hue the product's `colours` still hold, `[H, W, 3]` in sRGB levels."""
    side = 2 * depth + 1
    core = np.asarray(cv2.erode((alpha > 0.99).astype(np.float32), np.ones((side, side), np.uint8)), dtype=np.float32)
    bare = np.asarray(cv2.erode((alpha < 0.01).astype(np.float32), np.ones((3, 3), np.uint8)), dtype=np.float32)
    reach = 3 * depth
    near_core, near_bare = box(core, reach)[..., None], box(bare, reach)[..., None]
    product = box(image * core[..., None], reach) / (near_core + 1e-5)
    ground = box(image * bare[..., None], reach) / (near_bare + 1e-5)
    # Hue only: light and dark at the rim are mostly the cloth's own.
    grey = np.float32(1 / 3)
    away = ground - product
    away -= added(away)[..., None] * grey
    off = colours - product
    off -= added(off)[..., None] * grey
    share = np.clip(added(off * away) / (added(away * away) + 60), 0, 1)
    share = np.where((near_core[..., 0] > 0.02) & (near_bare[..., 0] > 0.02), share, 0)
    return np.asarray(share[..., None] * away, dtype=np.float32)
