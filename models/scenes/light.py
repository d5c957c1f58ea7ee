"""Light of a scene: where it comes from, how warm it is, how it falls off over the frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.scenes.frame import Field, Frame, resized

Side = Literal["left", "right", "top"]
#: Where light comes from, as (x, y) with y down.
_SOURCES: dict[Side, tuple[float, float]] = {"left": (-0.82, -0.57), "right": (0.82, -0.57), "top": (0.0, -1.0)}


@dataclass(frozen=True, slots=True)
class Light:
    """One soft main light."""

    side: Side = "left"
    #: Share of red added and of blue taken, 0 is neutral.
    warmth: float = 0.0

    @property
    def source(self) -> tuple[float, float]:
        """Unit vector towards the light, y down."""
        return _SOURCES[self.side]

    @property
    def tint(self) -> tuple[float, float, float]:
        """Factors on red, green and blue."""
        return 1 + self.warmth, 1.0, 1 - self.warmth


def falloff(frame: Frame, light: Light, near: float, far: float) -> Field:
    """Brightness `[H, W]` from `near` on the light's side to `far` opposite."""
    coarse = frame.part(min(1.0, 64 / frame.unit))
    x, y = coarse.axes()
    along = -(x / coarse.wide - 0.5) * light.source[0] - (y / coarse.high - 0.5) * light.source[1]
    t = np.clip(along / 1.3 + 0.5, 0, 1).astype(np.float32)
    return resized(near + (far - near) * t, (frame.width, frame.height))


def vignette(frame: Frame, strength: float) -> Field:
    """1 in the middle, `1 - strength` in the corners, as lenses do."""
    coarse = frame.part(min(1.0, 64 / frame.unit))
    x, y = coarse.axes()
    square = (2 * x / coarse.wide - 1) ** 2 + (2 * y / coarse.high - 1) ** 2
    return resized((1 - strength * (square / 2) ** 1.5).astype(np.float32), (frame.width, frame.height))
