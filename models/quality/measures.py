"""What can be measured on a finished picture, by plain formulas. Judging belongs to the quality filter."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.colour import delta_e_2000, lab_of, to_lab
from models.pictures import Floats, Mask, Picture

#: Measures that do not need the full resolution are taken at this long side.
_COARSE_SIDE = 384


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """One picture in numbers. Shares lie in 0..1."""

    #: 90th percentile of the L* gradient inside the mask at a long side of 384 px, in L* per pixel; higher is sharper.
    sharpness: float
    #: Mean L* of the product, 0..100.
    exposure: float
    #: Share of the product with L* above 98.
    clipped_light: float
    #: Share of the product with L* below 3.
    clipped_dark: float
    #: Share of the frame that the product's box takes along its limiting side.
    fill: float
    #: Share of the frame that the product covers.
    area: float
    #: Share of the outline of the product's box that lies on the frame's edge.
    border_touch: float
    #: CIEDE2000 of the frame's outer ring (outside the product) against the wanted background, 95th percentile.
    background_delta_e: float
    #: Share of the frame's outermost pixels that are exactly the wanted background.
    white_border: float
    #: SSIM of L* inside the product against the reference, -1..1.
    fidelity_structure: float
    #: Median CIEDE2000 inside the product against the reference; 0 means equal.
    fidelity_colour: float


def measure(
    picture: Picture, mask: Mask, *, reference: Picture | None, background: tuple[int, int, int] | None
) -> Measurements:
    """Measure a picture `[H, W, 3]` with its product mask `[H, W]`.

    Without a `reference` (same size) fidelity is 1 and 0; without a wanted `background` its two measures are 0 and 1.
    A mask without product has area and fill 0; the other measures are then taken where it is highest.
    """
    size = _coarse(picture.shape[0], picture.shape[1])
    lab = to_lab(_shrink(picture, size))
    small = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    core = _core(small)
    light = lab[..., 0]
    structure, colour = 1.0, 0.0
    if reference is not None:
        old = to_lab(_shrink(reference, size))
        structure = float(ssim(light, old[..., 0])[core].mean())
        # Every third pixel: a median needs no more, and the formula is slow.
        colour = float(np.median(delta_e_2000(lab[core][::3], old[core][::3])))
    fill, touch = _box(mask)
    off, white = (0.0, 1.0) if background is None else _background(picture, mask, background)
    return Measurements(
        sharpness=_sharpness(light, core),
        exposure=float(light[core].mean()),
        clipped_light=float((light[core] > 98).mean()),
        clipped_dark=float((light[core] < 3).mean()),
        fill=fill,
        area=float((mask > 0.5).mean()),
        border_touch=touch,
        background_delta_e=off,
        white_border=white,
        fidelity_structure=structure,
        fidelity_colour=colour,
    )


def _coarse(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, _COARSE_SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrink(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _core(mask: Mask) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The product without its outline; the whole of it where it is too thin for that."""
    solid = (mask > 0.9).astype(np.uint8)
    inner = np.asarray(cv2.erode(solid, np.ones((5, 5), np.uint8), borderValue=0)) > 0
    if inner.any():
        return inner
    return solid > 0 if solid.any() else mask >= mask.max()


def _sharpness(light: Floats, core: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    across = cv2.Sobel(light, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(light, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return float(np.percentile(np.hypot(across, down)[core], 90))


def _box(mask: Mask) -> tuple[float, float]:
    solid = mask > 0.5
    if not solid.any():
        return 0.0, 0.0
    height, width = mask.shape
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    touching = wide * (int(rows[0] == 0) + int(rows[-1] == height - 1)) + tall * (
        int(columns[0] == 0) + int(columns[-1] == width - 1)
    )
    return float(max(tall / height, wide / width)), float(touching / (2 * (tall + wide)))


def _background(picture: Picture, mask: Mask, background: tuple[int, int, int]) -> tuple[float, float]:
    """Colour distance of the outer ring (2 % of the short side) and share of exact pixels on the border."""
    height, width = mask.shape
    ring = max(1, round(0.02 * min(height, width)))
    frame = np.ones(mask.shape, dtype=bool)
    frame[ring : height - ring, ring : width - ring] = False
    outside = frame & (mask < 0.02)
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    exact = float((edge == np.array(background)).all(-1).mean())
    if not outside.any():
        return 0.0, exact
    pixels = picture[outside][None, ::3]
    distance = delta_e_2000(to_lab(np.ascontiguousarray(pixels))[0], lab_of(background))
    return float(np.percentile(distance, 95)), exact


def ssim(first: Floats, second: Floats) -> Floats:
    """Structural similarity map, -1..1, of two L* planes `[H, W]`.

    Wang et al., IEEE TIP 2004: Gaussian window, sigma 1.5.
    """

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), dtype=np.float32)

    c1, c2 = (0.01 * 100) ** 2, (0.03 * 100) ** 2
    m1, m2 = mean(first), mean(second)
    v1, v2 = mean(first * first) - m1 * m1, mean(second * second) - m2 * m2
    joint = mean(first * second) - m1 * m2
    return np.asarray(
        (2 * m1 * m2 + c1) * (2 * joint + c2) / ((m1 * m1 + m2 * m2 + c1) * (v1 + v2 + c2)), dtype=np.float32
    )
