"""How many drawn watermarks are suspected, and how many photos without one."""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.photo_files import photos_under, read_photo
from models.pictures import Picture
from models.quality.overlays import WATERMARK_SUSPECTED, watermark_of

_WORDS = ("SAMPLE", "PREVIEW", "shop.example", "(c) Studio", "DRAFT")
_ANGLES = (0.0, 20.0, 30.0, 45.0, -30.0)
_SHADES = (255, 0, 128)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos without watermarks")
    parser.add_argument("--limit", type=int, default=200, help="photos at most, drawn from all of them")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """The figures; every photo is judged as it is and under a watermark of its own."""
    names = sorted(photos_under(options.images))
    if not names:
        raise ValueError(f"no photos under {options.images}")
    draw = np.random.default_rng(1)
    chosen = [names[place] for place in draw.permutation(len(names))[: options.limit]]
    found = {"clean": 0, "light": 0, "dark": 0, "grey": 0}
    drawn = dict.fromkeys(found, 0)
    for name in chosen:
        photo = read_photo(options.images / name)
        shade = int(draw.choice(_SHADES))
        kind = {255: "light", 0: "dark", 128: "grey"}[shade]
        for key, picture in (("clean", photo), (kind, watermarked(photo, shade, draw))):
            drawn[key] += 1
            found[key] += watermark_of(picture) > WATERMARK_SUSPECTED
    marked = len(chosen)
    return {
        "n": len(chosen),
        "false_positives": round(found["clean"] / marked, 4),
        "found": round((sum(found.values()) - found["clean"]) / marked, 4),
        **{f"found_{key}": round(found[key] / drawn[key], 4) for key in ("light", "dark", "grey") if drawn[key]},
    }


def watermarked(photo: Picture, shade: int, draw: np.random.Generator) -> Picture:
    """The photo under a word that repeats all over it, 12 to 40 % opaque, in rows that are shifted by half."""
    height, width = photo.shape[:2]
    side = 2 * math.ceil(math.hypot(height, width))
    size = max(height, width) * draw.uniform(0.03, 0.07)
    font, word = ImageFont.load_default(size), str(draw.choice(_WORDS))
    layer = Image.new("L", (side, side), 0)
    brush = ImageDraw.Draw(layer)
    across, down = (
        round(brush.textlength(word, font=font) + size * draw.uniform(0.6, 2)),
        round(size * draw.uniform(2, 4)),
    )
    for row, y in enumerate(range(0, side, down)):
        for x in range(-(row % 2) * across // 2, side, across):
            brush.text((x, y), word, font=font, fill=255)
    left, top = (side - width) // 2, (side - height) // 2
    turned = layer.rotate(float(draw.choice(_ANGLES))).crop((left, top, left + width, top + height))
    share = np.asarray(turned, dtype=np.float32)[..., None] / 255 * draw.uniform(0.12, 0.4)
    return np.clip(photo + (shade - photo.astype(np.float32)) * share + 0.5, 0, 255).astype(np.uint8)
