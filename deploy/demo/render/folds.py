"""How cloth falls: broad waves, sharp creases and crumples, as relief in pixels, and the light that they catch."""

import cv2
import numpy as np

from deploy.demo.render.noise import Field, directed, octaves, smooth, warped


def relief(rng: np.random.Generator, shape: tuple[int, int], *, drape: float, folds: int, crumple: float) -> Field:
    """Relief `float32 [H, W]` in pixels; computed at half size, folds have no sharper detail.

    Args:
        rng: source of chance.
        shape: rows and columns.
        drape: main direction of the folds in degrees from the x axis.
        folds: how many single creases there are.
        crumple: how untidy the cloth lies, about 0..1.5.
    """
    half = (shape[0] // 2, shape[1] // 2)
    angle = np.radians(drape)
    waves = directed(rng, half, angle + rng.normal(0, 0.15), 1.2, 4.5)
    crumples = directed(rng, half, angle + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1), 3, 8)
    shift = 0.05 * half[0]
    dx, dy = (shift * smooth(rng, half, (4, 3)) for _ in range(2))
    bent = warped(crumples, dx, dy)
    ridges = np.exp(-((bent / 0.3) ** 2))
    total = 9.0 * warped(waves, dx, dy) + crumple * (3.4 * ridges + 2.5 * bent + 2.0 * octaves(rng, half, 8, 3))
    total += creases(rng, half, drape=angle, count=folds, strength=crumple)
    return np.asarray(cv2.resize(total, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def creases(rng: np.random.Generator, shape: tuple[int, int], *, drape: float, count: int, strength: float) -> Field:
    """Single curved creases, each with its own length, width and depth, tapering at both ends."""
    total = np.zeros(shape, np.float32)
    t = np.linspace(-1, 1, 15)
    for width in (1.6, 3.2, 6.0):
        drawn = np.zeros(shape, np.float32)
        for _ in range(max(1, count // 2)):
            x, y = rng.uniform(0.22, 0.78) * shape[1], rng.uniform(0.15, 0.85) * shape[0]
            angle = drape + rng.normal(0, 0.55)
            length = rng.uniform(0.05, 0.17) * shape[0]
            bend = rng.normal(0, 0.22) * length
            xs = x + t * length * np.cos(angle) - bend * (1 - t * t) * np.sin(angle)
            ys = y + t * length * np.sin(angle) + bend * (1 - t * t) * np.cos(angle)
            depth = rng.uniform(0.5, 1.2) * rng.choice([-1, 1], p=[0.4, 0.6])
            for i in range(len(t) - 1):
                ends = np.round(np.array([(xs[i], ys[i]), (xs[i + 1], ys[i + 1])]) * 16).astype(int)
                level = float(depth * (1 - abs(t[i] + t[i + 1]) / 2))
                cv2.line(drawn, ends[0].tolist(), ends[1].tolist(), level, max(1, round(width)), cv2.LINE_8, 4)
        total += cv2.GaussianBlur(drawn, (0, 0), width) * (2.4 * width)
    return np.asarray(strength * total, np.float32)


def lit(relief_px: Field, light: tuple[float, float], steepness: float) -> Field:
    """Light and dark of the relief, around 1.

    Args:
        relief_px: height in pixels.
        light: from the cloth to the lamp (x, y).
        steepness: by how much slopes are exaggerated.
    """
    soft = cv2.GaussianBlur(relief_px, (0, 0), 1.3)
    gx = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    slope = -(gx * light[0] + gy * light[1])
    slope *= steepness
    toned = slope / np.sqrt(1 + slope * slope) * np.where(slope > 0, 0.30, 0.46).astype(np.float32)
    small = cv2.resize(soft, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    broad = cv2.resize(cv2.GaussianBlur(small, (0, 0), 6), soft.shape[::-1], interpolation=cv2.INTER_LINEAR)
    hollow = np.clip(broad - soft, -6, 10)
    return np.asarray(1 + toned - hollow * 0.011, np.float32)
