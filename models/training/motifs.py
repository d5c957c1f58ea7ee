"""Motifs to print on cloth: flowers, leaves, shapes and lettering, many of them or one. Colours are sRGB in 0..1."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats

Draw = np.random.Generator
Points = NDArray[np.floating[Any]]
#: A motif's own colour and that of its heart.
Inks = tuple[Floats, Floats]
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
)
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWY"
#: Fractions of a pixel that OpenCV draws with.
_SHIFT = 4


def scatter(ground: Floats, palette: Floats, draw: Draw) -> Floats:
    """Motifs of one or two kinds all over the ground, drawn in place: float32 [S, S, 3]."""
    side = ground.shape[0]
    spacing = side * np.exp(draw.uniform(np.log(0.03), np.log(0.16)))
    size = spacing * draw.uniform(0.25, 0.6)
    kinds = draw.permutation(list(_MOTIFS))[: int(draw.integers(1, 3))]
    for row in np.arange(0, side + spacing, spacing):
        for column in np.arange(0, side + spacing, spacing):
            centre = np.array([column, row]) + draw.normal(0, 0.22 * spacing, 2)
            ink = palette[draw.integers(len(palette))]
            _MOTIFS[draw.choice(kinds)](ground, centre, size * draw.uniform(0.6, 1.2), (ink, palette[0]), draw)
    return ground


def single(ground: Floats, u: Floats, v: Floats, draw: Draw, *, size: float) -> Floats:
    """One motif or a few lines of lettering in the upper middle, `size` wide in units of the cloth."""
    art, alpha = _art(draw)
    height, width = alpha.shape
    high = size * height / width
    left, top = draw.normal(0, 0.03) - size / 2, draw.normal(-0.12, 0.07) - high / 2
    if size < 0.1:
        left += draw.choice([-0.12, 0, 0.12])
    x = ((u - np.float32(left)) / np.float32(size) * width).astype(np.float32)
    y = ((v - np.float32(top)) / np.float32(high) * height).astype(np.float32)
    # Shrinking samples every n-th pixel: blur first.
    step = max(1.0, float(width / max(1.0, size * u.shape[1])))
    layers = (cv2.GaussianBlur(layer, (0, 0), 0.4 * step) for layer in (art, alpha))
    ink, cover = (cv2.remap(layer, x, y, cv2.INTER_LINEAR) for layer in layers)
    return np.asarray(ground + (ink - ground) * cover[..., None], np.float32)


def _art(draw: Draw) -> tuple[Floats, Floats]:
    """A motif on a canvas of its own: colours [H, W, 3] and cover [H, W], both 0..1."""
    side, wide = 240, int(draw.integers(240, 480))
    art = np.broadcast_to(draw.random(3).astype(np.float32), (side, wide, 3)).copy()
    alpha = np.zeros((side, wide), np.float32)
    kind = draw.random()
    if kind < 0.25:  # a printed picture
        grid = draw.random((int(draw.integers(3, 9)), int(draw.integers(3, 9)), 3)).astype(np.float32)
        art = np.asarray(cv2.resize(grid, (wide, side), interpolation=cv2.INTER_CUBIC), np.float32).clip(0, 1)
        alpha[10:-10, 10:-10] = 1
    if kind > 0.15:
        for _ in range(int(draw.integers(1, 7))):
            name = draw.choice(list(_MOTIFS))
            ink, other = draw.random((2, 3)).astype(np.float32)
            centre, size = draw.uniform((60, 60), (wide - 60, side - 60)), draw.uniform(30, 90)
            stamp = np.zeros((side, wide, 3), np.float32)
            white = np.ones(3, np.float32)
            _MOTIFS[name](stamp, centre, size, (white, white), draw)
            cover = stamp[..., 0]
            art = art + (ink * 0.8 + other * 0.2 - art) * cover[..., None]
            alpha = np.maximum(alpha, cover)
    if kind > 0.4:
        art, alpha = _lettered(art, alpha, draw)
    return art.astype(np.float32), alpha


def _lettered(art: Floats, alpha: Floats, draw: Draw) -> tuple[Floats, Floats]:
    """One to three lines of letters over it."""
    side, wide = alpha.shape
    lines = int(draw.integers(1, 4))
    if draw.random() < 0.5:
        alpha = np.zeros_like(alpha)
    cover = np.zeros((side, wide), np.uint8)
    font, thickness = int(draw.choice(_FONTS)), int(draw.integers(3, 12))
    for line in range(lines):
        text = "".join(draw.choice(list(_LETTERS), int(draw.integers(3, 10))))
        (width, height), _ = cv2.getTextSize(text, font, 1.0, thickness)
        scale = min(0.94 * wide / width, 0.75 * side / lines / height)
        place = (int((wide - width * scale) / 2), int((line + 0.8) * side / lines))
        cv2.putText(cover, text, place, font, scale, 255, thickness, cv2.LINE_AA)
    share = cover.astype(np.float32) / np.float32(255)
    ink = draw.random(3).astype(np.float32)
    return art + (ink - art) * share[..., None], np.maximum(alpha, share)


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.asarray(np.round(points * 2**_SHIFT), np.int32)


def _fill(canvas: Floats, points: Points, ink: Floats) -> None:
    tone = [float(value) for value in ink]
    cv2.fillPoly(canvas, [_fixed(points)], tone, cv2.LINE_8, _SHIFT)


def _flower(canvas: Floats, centre: Points, size: float, inks: Inks, draw: Draw) -> None:
    angle = np.linspace(0, 2 * np.pi, 60)
    petals, turn = int(draw.integers(4, 9)), draw.uniform(0, np.pi)
    radius = size * (0.6 + 0.4 * np.cos(petals * angle + turn))
    _fill(canvas, centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), inks[0])
    heart = centre + 0.22 * size * np.stack([np.cos(angle), np.sin(angle)], 1)
    _fill(canvas, heart, inks[1])


def _leaf(canvas: Floats, centre: Points, size: float, inks: Inks, draw: Draw) -> None:
    along, turn = np.linspace(-1, 1, 20), draw.uniform(0, 2 * np.pi)
    bulge = draw.uniform(0.2, 0.5) * (1 - along**2)
    outline = size * np.concatenate([np.stack([along, bulge], 1), np.stack([along[::-1], -bulge[::-1]], 1)])
    c, s = np.cos(turn), np.sin(turn)
    _fill(canvas, centre + outline @ np.array([[c, s], [-s, c]]), inks[0])


def _polygon(canvas: Floats, centre: Points, size: float, inks: Inks, draw: Draw) -> None:
    corners = int(draw.integers(3, 11))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + draw.uniform(0, np.pi)
    radius = size * np.where(np.arange(corners) % 2, draw.uniform(0.4, 1.0), 1.0)
    _fill(canvas, centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), inks[0])


def _blob(canvas: Floats, centre: Points, size: float, inks: Inks, draw: Draw) -> None:
    angle = np.linspace(0, 2 * np.pi, 40)
    radius = size * (0.7 + sum(draw.uniform(0, 0.2) * np.cos(k * angle + draw.uniform(0, 6)) for k in (2, 3, 5)))
    _fill(canvas, centre + np.asarray(radius)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), inks[0])


def _sprig(canvas: Floats, centre: Points, size: float, inks: Inks, draw: Draw) -> None:
    turn = draw.uniform(0, 2 * np.pi)
    for side in (-0.9, -0.3, 0.3, 0.9):
        away = np.array([np.cos(turn + side), np.sin(turn + side)]) * 0.55 * size
        _leaf(canvas, centre + away, 0.4 * size, inks, draw)


_MOTIFS = {"flower": _flower, "leaf": _leaf, "polygon": _polygon, "blob": _blob, "sprig": _sprig}
