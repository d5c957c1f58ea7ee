"""Small pictures for contact sheets."""

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps


def thumbnail(source: bytes | Path, side: int, height: int | None = None) -> Image.Image:
    """The picture upright, RGB on white, at most `side` pixels wide and `height` (or else `side`) pixels high."""
    box = (side, height or side)
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        image.draft("RGB", (2 * box[0], 2 * box[1]))
        upright = ImageOps.exif_transpose(image)
        if upright.mode in {"RGBA", "LA", "P"}:
            layer = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        small = upright.convert("RGB")
    small.thumbnail(box, Image.Resampling.LANCZOS)
    return small


def data_uri(source: bytes | Path, side: int, height: int | None = None) -> str:
    """The thumbnail as a `data:` address (WebP)."""
    buffer = io.BytesIO()
    thumbnail(source, side, height).save(buffer, "WEBP", quality=82, method=3)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
