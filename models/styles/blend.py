"""How much of a redrawn picture is laid over the picture itself, and where."""

from typing import Literal

import numpy as np

from models.pictures import Mask, Picture

#: Where a style is laid.
Where = Literal["all", "background", "product"]


def laid(before: Picture, drawn: Picture, strength: float, where: Where = "all", mask: Mask | None = None) -> Picture:
    """Blend two pictures `uint8 [H, W, 3]`: at strength 0 the first, bit for bit, at 1 the second, and no pixel turns
    back in between.

    `mask` is float32 [H, W] in 0..1, 1 on the product. Raise `ValueError` for a strength outside 0..1, or where only a
    part is meant and the mask is missing or of another size.
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"a strength must lie in 0..1, not {strength}")
    if where == "all":
        if strength in {0, 1}:
            return drawn if strength else before.copy()
        share = np.full((1, 1, 1), strength, np.float32)
    else:
        share = np.float32(strength) * _part(where, mask, before.shape[:2])[..., None]
    mixed = before + (drawn.astype(np.float32) - before) * share
    return np.asarray(mixed + 0.5, np.uint8)


def _part(where: Where, mask: Mask | None, shape: tuple[int, ...]) -> Mask:
    """1 where the style is laid: float32 [H, W]."""
    if mask is None:
        raise ValueError(f"a style on the {where} needs a mask")
    if mask.shape != shape:
        raise ValueError(f"a mask must be of the picture's size {list(shape)}, not {list(mask.shape)}")
    product = np.clip(np.asarray(mask, np.float32), 0, 1)
    return product if where == "product" else 1 - product
