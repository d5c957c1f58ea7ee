"""Prints: simple graphics as they are pressed on t-shirts and bags."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deploy.demo.render.cloth import ClothPlan, Swatch
from deploy.demo.render.noise import octaves

_WORDS = ("ATELIER", "NORD 62", "SLOW DAYS", "HARBOUR", "GOOD FORM", "OPEN AIR")
_SIZE = 400


def press(swatch: Swatch, plan: ClothPlan, at: tuple[float, float], size: float, rng: np.random.Generator) -> None:
    """Press a print of `size` pixels onto the cloth, centred at `at` (x, y), in place; the ink has small cracks."""
    drawn = _DESIGNS[int(rng.integers(len(_DESIGNS)))](plan, rng)
    side = max(8, round(size))
    art = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
    left, top = int(at[0] - side / 2), int(at[1] - side / 2)
    box = (slice(top, top + side), slice(left, left + side))
    cracks = np.clip(1.25 - 0.9 * np.abs(octaves(rng, (side, side), 60, 2)), 0.6, 1)
    ink = art[..., 3] * cracks * 0.95
    under = swatch[box]
    threads = under / np.maximum(np.array(plan.base, np.float32), 0.05)
    target = art[..., :3] * (0.5 + 0.5 * np.clip(threads, 0.7, 1.3))
    swatch[box] += (target - under) * ink[..., None]


def _blank() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (_SIZE, _SIZE))
    return image, ImageDraw.Draw(image)


def _ink(tint: tuple[float, float, float]) -> tuple[int, int, int, int]:
    r, g, b = (round(255 * channel) for channel in tint)
    return r, g, b, 255


def _done(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(np.asarray(image) / 255, np.float32)


def _caption(draw: ImageDraw.ImageDraw, y: int, ink: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    word = _WORDS[int(rng.integers(len(_WORDS)))]
    font = ImageFont.load_default(46)
    draw.text((_SIZE / 2, y), word, fill=ink, font=font, anchor="mm")


def _sunset(plan: ClothPlan, rng: np.random.Generator) -> NDArray[np.float32]:
    image, draw = _blank()
    draw.ellipse((70, 20, 330, 280), fill=_ink(plan.accent))
    for i, y in enumerate(range(150, 290, 24)):
        draw.rectangle((0, y, _SIZE, y + 5 + 2 * i), fill=(0, 0, 0, 0))
    _caption(draw, 335, _ink(plan.third), rng)
    return _done(image)


def _peaks(plan: ClothPlan, rng: np.random.Generator) -> NDArray[np.float32]:
    image, draw = _blank()
    draw.ellipse((235, 40, 315, 120), fill=_ink(plan.accent))
    draw.polygon([(20, 285), (150, 80), (225, 200), (265, 140), (380, 285)], fill=_ink(plan.third))
    draw.polygon([(150, 80), (108, 146), (140, 132), (160, 152), (190, 144)], fill=_ink(plan.accent))
    _caption(draw, 335, _ink(plan.third), rng)
    return _done(image)


def _waves(plan: ClothPlan, rng: np.random.Generator) -> NDArray[np.float32]:
    image, draw = _blank()
    xs = np.arange(20, 381, 4)
    for i in range(6):
        ys = 70 + i * 40 + 15 * np.sin(xs / 29 + i * 0.9)
        draw.line(
            list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=_ink(plan.third if i % 2 else plan.accent), width=12
        )
    _caption(draw, 345, _ink(plan.third), rng)
    return _done(image)


def _letters(plan: ClothPlan, rng: np.random.Generator) -> NDArray[np.float32]:
    image, draw = _blank()
    font = ImageFont.load_default(78)
    words = _WORDS[int(rng.integers(len(_WORDS)))].split()
    for i, word in enumerate(words):
        draw.text((_SIZE / 2, 150 + 88 * i), word, fill=_ink(plan.accent if i else plan.third), font=font, anchor="mm")
    draw.rectangle((60, 90, 340, 96), fill=_ink(plan.accent))
    return _done(image)


_DESIGNS = (_sunset, _peaks, _waves, _letters)
