"""Colour spaces and colour difference: sRGB, linear light, CIE LAB (D65, 2 degrees), CIEDE2000."""

import re

import cv2
import numpy as np

from models.pictures import Floats, Picture

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


def parse_hex(text: str) -> tuple[int, int, int]:
    """`#1e90ff` as (30, 144, 255); `ValueError` for anything but six hex digits with an optional hash."""
    match = _HEX.fullmatch(text)
    if not match:
        raise ValueError(f"not a hex colour: {text!r}")
    red, green, blue = bytes.fromhex(match[1])
    return red, green, blue


def srgb_to_linear(values: Floats) -> Floats:
    """Undo the sRGB transfer curve (IEC 61966-2-1); in and out 0..1, any shape."""
    low = values / 12.92
    high = ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4
    return np.where(values <= 0.04045, low, high).astype(np.float32)


def linear_to_srgb(values: Floats) -> Floats:
    """Apply the sRGB transfer curve; in and out 0..1, any shape."""
    low = values * 12.92
    high = 1.055 * np.maximum(values, 0) ** (1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, low, high).astype(np.float32)


def to_lab(picture: Picture) -> Floats:
    """LAB of a picture, `float32 [H, W, 3]`: L* 0..100, a* and b* about -128..127."""
    scaled = picture.astype(np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2Lab), dtype=np.float32)


def from_lab(lab: Floats) -> Picture:
    """The sRGB picture of LAB values; what lies outside the gamut is clipped per channel."""
    rgb = np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), dtype=np.float32)
    return np.asarray(np.clip(rgb * 255 + 0.5, 0, 255), dtype=np.uint8)


def lab_of(colour: tuple[int, int, int]) -> Floats:
    """LAB of one sRGB colour, `float32 [3]`."""
    return np.asarray(to_lab(np.array([[colour]], dtype=np.uint8))[0, 0], dtype=np.float32)


def delta_e_2000(first: Floats, second: Floats) -> Floats:
    """CIEDE2000 difference between LAB values `[..., 3]` (broadcast); `[...]`, 0 for equal colours, 1 just visible.

    Sharma, Wu, Dalal: "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(first, dtype=np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(second, dtype=np.float64), -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    grey = 1 + 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * grey, b1), np.hypot(a2 * grey, b2)
    h1 = np.degrees(np.arctan2(b1, a1 * grey)) % 360
    h2 = np.degrees(np.arctan2(b2, a2 * grey)) % 360
    neutral = c1 * c2 == 0

    turn = np.where(neutral, 0, (h2 - h1 + 180) % 360 - 180)
    # The formula takes +180 for two exactly opposite hues; only its square and sign against chroma matter there.
    turn = np.where(turn == -180, 180, turn)
    d_light, d_chroma = l2 - l1, c2 - c1
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)

    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    mean_h = np.where(far, np.where(h1 + h2 < 360, h1 + h2 + 360, h1 + h2 - 360), h1 + h2) / 2
    mean_h = np.where(neutral, h1 + h2, mean_h)

    weight = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    s_light = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_chroma = 1 + 0.045 * mean_c
    s_hue = 1 + 0.015 * mean_c * weight
    rotation = 60 * np.exp(-(((mean_h - 275) / 25) ** 2))
    twist = -np.sin(np.radians(rotation)) * 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    chroma_term, hue_term = d_chroma / s_chroma, d_hue / s_hue
    squared = (d_light / s_light) ** 2 + chroma_term**2 + hue_term**2 + twist * chroma_term * hue_term
    return np.asarray(np.sqrt(np.maximum(squared, 0)), dtype=np.float32)
