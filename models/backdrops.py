"""What a product is set on: a plain colour or a scene. Each places it, lies behind it and lights it."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from models.pictures import Floats, Mask
from models.scenes.frame import Frame
from models.scenes.light import Light, falloff
from models.scenes.painting import backdrop
from models.scenes.scene import Scene
from models.shadows import lying, seamless, standing


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What lies behind the product, `float32 [H, W, 3]`, sRGB levels 0..255."""

    shaded: Floats
    #: What the reference of the measures is laid on.
    bare: Floats


class Box(NamedTuple):
    """The product's box, in source pixels."""

    width: float
    height: float
    #: From its upper edge down to where the product stands.
    foot: float


class Backdrop(Protocol):
    """A place for a product."""

    def target(self, size: tuple[int, int], box: Box, fill: float) -> tuple[float, float, float]:
        """Zoom, and where the middle of the product's box comes to lie in a frame of `size`: x, y."""
        ...

    def ground(self, mask: Mask, *, shadow: bool, seed: int) -> Ground:
        """The backdrop for a product that covers `mask`."""
        ...

    def lit(self, product: Floats, ground: Ground, mask: Mask, /) -> Floats:
        """The product in the light of the place; may be the very array given."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A seamless background of one sRGB colour."""

    colour: tuple[int, int, int]

    def target(self, size: tuple[int, int], box: Box, fill: float) -> tuple[float, float, float]:
        """In the middle; the limiting side takes `fill` of the frame."""
        return fill * min(size[0] / box.width, size[1] / box.height), size[0] / 2, size[1] / 2

    def ground(self, mask: Mask, *, shadow: bool, seed: int) -> Ground:
        """The colour, exactly, wherever no shadow falls; `seed` sets the shadow's dither."""
        plain = np.empty((*mask.shape, 3), dtype=np.float32)
        plain[:] = self.colour
        if not shadow:
            return Ground(plain, plain)
        density = seamless(mask)
        grain = np.random.default_rng(seed).random(mask.shape, dtype=np.float32) - 0.5
        shaded = plain * (1 - density[..., None]) + grain[..., None]
        shaded = np.where(density[..., None] > 0.004, np.clip(shaded, 0, plain), plain).astype(np.float32)
        return Ground(shaded, plain)

    def lit(self, product: Floats, _ground: Ground, _mask: Mask, /) -> Floats:
        """As it is."""
        return product


#: Height that is left free above a product, as a share of the frame's.
_HEADROOM = 0.05
#: Height that is left free below a standing one, as a share of the frame's.
_FOOTROOM = 0.03
#: Height that is left free below a hanging one, as a share of the frame's short side.
_CLEARANCE = 0.075
#: Share of a scene's warmth that the product takes; the rest would change its colour.
_TAKEN = 0.5


@dataclass(frozen=True, slots=True)
class InScene:
    """A scene in a certain light."""

    scene: Scene
    light: Light

    def target(self, size: tuple[int, int], box: Box, fill: float) -> tuple[float, float, float]:
        """Lying products in the middle, hanging ones in the middle of the wall, standing ones with their foot down."""
        zoom = fill * min(size[0] / box.width, size[1] / box.height)
        if self.scene.pose == "lying":
            return zoom, size[0] / 2, size[1] / 2
        top, seam = _HEADROOM * size[1], self._seam(size)
        if self.scene.pose == "hanging":
            bottom = seam - _CLEARANCE * min(size)
            return min(zoom, (bottom - top) / box.height), size[0] / 2, (top + bottom) / 2
        foot = seam + self.scene.depth * min(size)
        zoom = min(zoom, (foot - top) / box.foot)
        # What hangs below the foot lies in front of it, and must not leave the frame.
        foot = min(foot, (1 - _FOOTROOM) * size[1] - zoom * (box.height - box.foot))
        return zoom, size[0] / 2, foot - zoom * (box.foot - box.height / 2)

    def ground(self, mask: Mask, *, shadow: bool, seed: int) -> Ground:
        """The scene, in the product's shadow."""
        height, width = mask.shape
        there = backdrop(self.scene, (width, height), seed, self.light)
        if shadow:
            density = self._shadow(mask)
            # Channel by channel here and below: large frames leave no room for copies of all three.
            for channel, taken in enumerate(self.scene.shade):
                there[..., channel] *= 1 - np.float32(taken) * density
        return Ground(there, there)

    def lit(self, product: Floats, ground: Ground, mask: Mask, /) -> Floats:
        """A breath of the light's colour and fall, and the surroundings wrapped round the rim."""
        height, width = mask.shape
        frame = Frame(width, height)
        fall = falloff(frame, self.light, 1.022, 0.978)
        rim = mask * _soft(1 - mask, 0.006 * frame.unit) * np.float32(0.30)
        around = _soft(ground.shaded, 0.012 * frame.unit)
        lit = product.copy()
        for channel, tint in enumerate(self.light.tint):
            plane = lit[..., channel]
            plane *= fall * np.float32(1 + _TAKEN * (tint - 1))
            plane += (around[..., channel] - plane) * rim
        return lit

    def _seam(self, size: tuple[int, int]) -> float:
        return self.scene.seam(Frame(*size)) * min(size)

    def _shadow(self, mask: Mask) -> Mask:
        scene, source = self.scene, self.light.source
        if scene.pose != "standing":
            return lying(mask, source, scene.shadow)
        seam = self._seam((mask.shape[1], mask.shape[0]))
        return standing(mask, source, scene.shadow, seam, wall=scene.wall)


def _soft(values: Floats, sigma: float) -> Floats:
    """Blurred on a quarter of the pixels per side."""
    height, width = values.shape[:2]
    small = cv2.resize(values, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.5, sigma / 4))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
