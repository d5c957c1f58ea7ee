"""Building blocks of the drawing filters: patches, strokes, lines and coverage.

Images are float32 [H, W, 3] in 0..1; light, tone and the results for single channels are float32 [H, W].
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]


def blur(image: Field, sigma: float) -> Field:
    """Gaussian blur; `sigma` in pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def flatten(image: Field, diameter: int, contrast: float, sigma: float, passes: int = 1) -> Field:
    """Bilateral filter, repeated: smooths what differs by less than `contrast` and keeps the edges.

    Tomasi and Manduchi, "Bilateral filtering for gray and color images" (ICCV 1998).
    """
    for _ in range(passes):
        image = np.asarray(cv2.bilateralFilter(image, diameter, contrast, sigma), np.float32)
    return image


def kuwahara(image: Field, radius: int, sharpness: float) -> Field:
    """Mix the eight sector means around each pixel, the calmest sectors first: float32 [H, W, 3]."""
    total, weight = np.zeros_like(image), np.zeros((*image.shape[:2], 1), np.float32)
    square = image * image
    for kernel in _sectors(radius):
        mean = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        spread = cv2.filter2D(square, -1, kernel, borderType=cv2.BORDER_REFLECT_101) - mean * mean
        deviation = np.sqrt(np.maximum(spread.sum(axis=2, keepdims=True), 1e-7))
        share = 1.0 / (1.0 + (40.0 * deviation) ** sharpness)
        total += share * mean
        weight += share
    return np.asarray(total / weight, np.float32)


def tangent(image: Field, sigma: float) -> Field:
    """Unit direction along the edges, from the smoothed structure tensor: float32 [H, W, 2] as (x, y)."""
    gx = np.asarray(cv2.Sobel(image, cv2.CV_32F, 1, 0), np.float32)
    gy = np.asarray(cv2.Sobel(image, cv2.CV_32F, 0, 1), np.float32)
    products = np.stack([(gx * gx).sum(2), (gx * gy).sum(2), (gy * gy).sum(2)], axis=2)
    e, f, g = np.moveaxis(blur(products, sigma), 2, 0)
    half = 0.5 * np.arctan2(2 * f, e - g)
    return np.stack([-np.sin(half), np.cos(half)], axis=2)


def smooth_along(image: Field, direction: Field, steps: int) -> Field:
    """Average each pixel with those up and down its direction (line integral convolution): float32 [H, W, 3]."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    total, weight = image.copy(), 1.0
    for step in range(1, steps + 1):
        share = float(np.exp(-0.5 * (step / (0.6 * steps)) ** 2))
        for sign in (-step, step):
            shifted_x, shifted_y = x + sign * direction[..., 0], y + sign * direction[..., 1]
            total += share * cv2.remap(image, shifted_x, shifted_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        weight += 2 * share
    return np.asarray(total / weight, np.float32)


def ink_lines(light: Field, sigma: float = 1.3) -> Field:
    """Ink of the extended difference of Gaussians, 1 where a line is: float32 [H, W]."""
    return np.clip(-np.tanh(55.0 * (blur(light, sigma) - blur(light, 1.6 * sigma) + 0.010)), 0, 1)


def contours(light: Field) -> Field:
    """Soft pencil contours, 1 on strong edges: float32 [H, W]."""
    return np.clip(14.0 * (blur(light, 2.6) - blur(light, 1.0) - 0.006), 0, 1)


def coverage(threshold: Field, tone: Field, softness: float) -> Field:
    """How much of the paper a stroke covers: 0 where the tone is below the texture's threshold, then up to 1."""
    ramp = np.clip((tone - threshold) / softness + 0.5, 0, 1)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp) * np.clip(tone / 0.08, 0, 1), np.float32)


def folds(light: Field, sigma: float) -> Field:
    """How much lighter than its surroundings a pixel is, in shares of their light: dark cloth shows its folds too."""
    around = blur(light, sigma)
    return np.asarray((light - around) / (around + 0.2), np.float32)


def slope(light: Field) -> Field:
    """Steepness of the light per pixel: float32 [H, W]."""
    across = cv2.Sobel(light, cv2.CV_32F, 1, 0, scale=0.25)
    return np.asarray(np.hypot(across, cv2.Sobel(light, cv2.CV_32F, 0, 1, scale=0.25)), np.float32)


def saturate(image: Field, factor: float) -> Field:
    """Pull the colours away from grey by the factor: float32 [H, W, 3]."""
    grey = luma(image)[..., None]
    return np.asarray(np.clip(grey + factor * (image - grey), 0, 1), np.float32)


def luma(image: Field) -> Field:
    """Rec. 601 luma of the encoded values: float32 [H, W]."""
    return np.asarray(image @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _sectors(radius: int) -> list[Field]:
    """Eight overlapping sector kernels, each float32 [2R+1, 2R+1] summing to 1."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    falloff = np.exp(-(x * x + y * y) / (2 * (radius / 2.0) ** 2))
    angle = np.arctan2(y, x)
    kernels: list[Field] = []
    for index in range(8):
        turn = np.cos(angle - index * np.pi / 4)
        wedge = np.clip((turn - np.cos(np.pi / 5)) / (1 - np.cos(np.pi / 5)), 0, 1) ** 0.5
        wedge[radius, radius] = 1.0
        kernel = (falloff * wedge).astype(np.float32)
        kernels.append(kernel / kernel.sum())
    return kernels
