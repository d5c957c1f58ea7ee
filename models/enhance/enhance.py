"""The corrections of a photo in their order, each behind the gate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from models.enhance import exposure, white_balance
from models.enhance.detail import edge_width, sharpened, sharpening, smoothed, smoothing
from models.enhance.gate import Bounds, Gate, Look
from models.enhance.view import view_of
from models.matting import window_of
from models.pictures import Mask, Picture
from models.quality.artefacts import noise_of

#: Shares of a correction that are tried, until one does no harm.
_SHARES = (1.0, 0.6, 0.3)
#: A photo of fewer pixels on a side is left alone.
_LEAST_SIDE = 32
_BOUNDS = {
    "restore": Bounds(colour=3, hue=10, structure=0.7),
    "white_balance": Bounds(colour=12, hue=40),
    "exposure": Bounds(colour=30, hue=12, noise=10),
    "denoise": Bounds(colour=2, hue=10, structure=0.75),
    "sharpen": Bounds(colour=2, hue=8),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """Which corrections may be made."""

    exposure: bool = True
    white_balance: bool = True
    denoise: bool = True
    sharpen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A correction that was made."""

    #: `restore`, `white_balance`, `exposure`, `denoise` or `sharpen`.
    part: str
    #: What was found: severity of the worst damage, stops too warm, stops to add, sigma of the noise in levels,
    #: width of the edges in px.
    found: float
    #: Share of the correction that the gate let through, times the strength asked for.
    strength: float
    #: Median CIEDE2000 by which it changed the product.
    colour: float


@dataclass(frozen=True, slots=True, eq=False)
class Enhanced:
    """A photo after its corrections. Without any, `pixels` is the photo itself."""

    pixels: Picture
    applied: tuple[Applied, ...] = field(default=())

    def shift(self, part: str) -> float:
        """Median CIEDE2000 by which this part changed the product; 0 where it did nothing."""
        return sum(one.colour for one in self.applied if one.part == part)


class Restored(Protocol):
    """A photo that a net has been over."""

    @property
    def pixels(self) -> Picture:
        """The photo itself where nothing was surely wrong."""
        ...

    @property
    def severity(self) -> Mapping[str, float]:
        """How much of each damage was seen, 0..1."""
        ...


class Restorer(Protocol):
    """Takes noise, blur and JPEG's traces out of photos; `models.repair.restoration.Restorer` is one."""

    def restore(self, pictures: Sequence[Picture], strength: float = 1.0) -> Sequence[Restored]:
        """One per picture, in order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A correction that a photo calls for: what was found, and the photo after a share 0..1 of it."""

    found: float
    attempt: Callable[[float], Picture]


def enhance(
    picture: Picture,
    alpha: Mask,
    strength: float = 1.0,
    parts: Parts | None = None,
    restorer: Restorer | None = None,
) -> Enhanced:
    """Correct the light of a photo `[H, W, 3]`, and noise and blur of its product (`alpha [H, W]`), where they need it.

    `strength` 0..1 scales every correction. A correction that would clip, turn hues, blur structure or lift noise is
    weakened or left out; what is fine already is not touched. The same input gives the same output. With a restorer,
    noise and blur are its affair.
    """
    if strength <= 0 or min(alpha.shape) < _LEAST_SIDE:
        return Enhanced(picture)
    if not (alpha > 0.9).any():
        alpha = np.ones_like(alpha)
    wanted, work = parts or Parts(), _Work(picture, alpha)
    if restorer is not None and (wanted.denoise or wanted.sharpen):
        # Before the light is corrected: more light would lift the noise beyond what the net knows.
        work.correct("restore", _restore(picture, restorer), strength)
        wanted = replace(wanted, denoise=False, sharpen=False)
    for part, plan_for in _STEPS.items():
        if getattr(wanted, part):
            work.correct(part, plan_for(work.pixels, alpha), strength)
    return Enhanced(work.pixels, tuple(work.applied))


class _Work:
    """A photo under correction."""

    def __init__(self, picture: Picture, alpha: Mask) -> None:
        self.pixels = picture
        self.applied: list[Applied] = []
        self._gate = Gate(alpha)
        self._look: Look | None = None

    def correct(self, part: str, plan: _Plan | None, strength: float) -> None:
        """Take as much of the correction as does no harm."""
        if plan is None:
            return
        before = self._look or self._gate.look(self.pixels)
        for share in _SHARES:
            pixels = plan.attempt(share * strength)
            after = self._gate.look(pixels)
            change = self._gate.change(before, after)
            if _BOUNDS[part].hold(change):
                self.pixels, before = pixels, after
                made = Applied(part=part, found=plan.found, strength=share * strength, colour=change.colour)
                self.applied.append(made)
                break
        self._look = before


def _restore(picture: Picture, restorer: Restorer) -> _Plan | None:
    (restored,) = restorer.restore([picture])
    if restored.pixels is picture:
        return None
    change = restored.pixels.astype(np.float32) - picture

    def attempt(share: float) -> Picture:
        return np.asarray(np.clip(picture + change * np.float32(share) + 0.5, 0, 255).astype(np.uint8))

    return _Plan(max(restored.severity.values()), attempt)


def _white_balance(picture: Picture, alpha: Mask) -> _Plan | None:
    cast = white_balance.correction(view_of(picture, alpha))
    return _Plan(cast, lambda share: white_balance.balance(picture, cast * share)) if cast else None


def _exposure(picture: Picture, alpha: Mask) -> _Plan | None:
    stops = exposure.correction(view_of(picture, alpha))
    return _Plan(stops, lambda share: exposure.expose(picture, stops * share)) if stops else None


def _denoise(picture: Picture, alpha: Mask) -> _Plan | None:
    noise = noise_of(picture, alpha)
    full = smoothing(noise)
    return _inside(picture, alpha, noise, full, lambda product: smoothed(product, noise)) if full else None


def _sharpen(picture: Picture, alpha: Mask) -> _Plan | None:
    width = edge_width(picture, alpha)
    full = sharpening(width)
    return _inside(picture, alpha, width, full, lambda product: sharpened(product, width)) if full else None


def _inside(picture: Picture, alpha: Mask, found: float, full: float, correct: Callable[[Picture], Picture]) -> _Plan:
    """A correction of the product alone; outside the mask the photo stays exactly as it is."""
    window = window_of(alpha)
    before = picture[window]
    change = (correct(before).astype(np.float32) - before) * (alpha[window] * np.float32(full))[..., None]

    def attempt(share: float) -> Picture:
        result = picture.copy()
        result[window] = np.clip(before + change * np.float32(share) + 0.5, 0, 255).astype(np.uint8)
        return result

    return _Plan(found, attempt)


#: In this order: light first, for noise and blur show only then; noise before sharpness, which would raise it.
_STEPS: Mapping[str, Callable[[Picture, Mask], _Plan | None]] = {
    "white_balance": _white_balance,
    "exposure": _exposure,
    "denoise": _denoise,
    "sharpen": _sharpen,
}
