"""Small pictures for contact sheets."""

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps


def thumbnail(source: bytes | Path, side: int) -> Image.Image:
    """The picture upright, RGB on white, at most `side` pixels wide and high."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        image.draft("RGB", (2 * side, 2 * side))
        upright = ImageOps.exif_transpose(image)
        if upright.mode in {"RGBA", "LA", "P"}:
            layer = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        small = upright.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def data_uri(source: bytes | Path, side: int) -> str:
    """The thumbnail as a `data:` address (WebP)."""
    buffer = io.BytesIO()
    thumbnail(source, side).save(buffer, "WEBP", quality=82, method=3)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
