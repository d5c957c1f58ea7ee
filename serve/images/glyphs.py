"""The built-in letters of visible labels.

Latin letters come from the scalable font inside Pillow (Aileron Regular, CC0). It has no Chinese; the two characters
that the label of GB 45438 needs are drawn here as strokes, designed by us and under the licence of this project.
Coordinates are hundredths of the character's square, y downwards.
"""

from functools import lru_cache
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont

Stroke = tuple[tuple[float, float], ...]
_WEIGHT = 9.0
_OVERSAMPLING = 4
_STROKES: dict[str, tuple[Stroke, ...]] = {
    "生": (
        ((29, 7), (25, 19), (18, 31), (9, 41)),
        ((23, 28), (86, 28)),
        ((18, 59), (84, 59)),
        ((6, 92), (95, 92)),
        ((52, 5), (52, 92)),
    ),
    "成": (
        ((16, 25), (93, 25)),
        ((17, 25), (17, 52), (14, 74), (6, 93)),
        ((17, 49), (44, 49), (43, 68), (40, 78), (35, 80), (26, 78)),
        ((56, 6), (57, 28), (60, 48), (66, 66), (74, 82), (83, 91), (90, 91), (93, 84), (94, 74)),
        ((86, 40), (78, 57), (67, 72), (54, 84), (43, 92)),
        ((70, 6), (79, 12), (85, 17)),
    ),
}


class LettersMissing(ValueError):
    """A text has letters that neither the font nor the built-in strokes can draw."""


@lru_cache(maxsize=16)
def text_mask(text: str, height: int, face: Path | None = None) -> Image.Image:
    """The text in one line, mode `L`, cropped to its ink; capitals and Chinese characters are `height` pixels high.

    `face` is a font file to use instead of the built-in letters. Raise `LettersMissing` or `OSError` for a bad file.
    """
    font = _font_for(height, face)
    gap = max(1, round(height * 0.12))
    parts: list[tuple[Image.Image, int]] = []
    for ours, run in groupby(text, lambda letter: face is None and letter in _STROKES):
        letters = "".join(run)
        parts += [(_stroked(letter, height), 0) for letter in letters] if ours else [_written(letters, font)]
    above = max((rise for _, rise in parts), default=0)
    width = sum(part.width for part, _ in parts) + gap * (len(parts) - 1)
    line = Image.new("L", (max(1, width), max((above - rise + part.height for part, rise in parts), default=1)), 0)
    left = 0
    for part, rise in parts:
        line.paste(part, (left, above - rise))
        left += part.width + gap
    return line.crop(line.getbbox() or (0, 0, 1, 1))


def _font_for(height: int, face: Path | None) -> ImageFont.FreeTypeFont:
    """A font whose capitals are at least `height` pixels high."""
    size = height
    while True:
        font = ImageFont.truetype(face, size) if face else ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise LettersMissing("this Pillow was built without FreeType")
        # Pixels of ink, not the outline's height: capitals differ by a rounded pixel.
        reached = min(font.getmask(letter, mode="1").size[1] for letter in "AIKMZ")
        if reached >= height:
            return font
        size += max(1, (height - reached) // 2)


def _written(run: str, font: ImageFont.FreeTypeFont) -> tuple[Image.Image, int]:
    """Letters in the font, and how many pixels they stand out above its capitals."""
    for letter in run:
        # What is missing in a font is drawn as the same box as a code point that no font has.
        missing = ImageChops.difference(_drawn(letter, font), _drawn("\U0010ffff", font)).getbbox() is None
        if missing or not letter.isprintable():
            raise LettersMissing(f"the font of labels has no letter {letter!r}")
    left, top, right, bottom = (round(side) for side in font.getbbox(run))
    part = Image.new("L", (max(1, right - left), max(1, bottom - top)), 0)
    ImageDraw.Draw(part).text((-left, -top), run, font=font, fill=255)
    return part, round(font.getbbox("A")[1]) - top


def _drawn(letter: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    side = 2 * round(font.size)
    canvas = Image.new("L", (side, side), 0)
    ImageDraw.Draw(canvas).text((0, 0), letter, font=font, fill=255)
    return canvas


def _stroked(letter: str, height: int) -> Image.Image:
    """One of our own characters, its ink exactly `height` pixels high."""
    side = 100 * _OVERSAMPLING
    canvas = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(canvas)
    radius = _WEIGHT * _OVERSAMPLING / 2
    for stroke in _STROKES[letter]:
        points = [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in stroke]
        draw.line(points, fill=255, width=round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    ink = canvas.crop(canvas.getbbox())
    return ink.resize((max(1, round(ink.width * height / ink.height)), height), Image.Resampling.BOX)
