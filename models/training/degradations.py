"""What happens to photos before they reach a catalog: noise, blur, scaling and JPEG, singly or one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pictures import Floats, Picture

#: Units of `Damage.as_severity`: what counts as 1.
WORST_NOISE, WORST_BLUR, WORST_ERROR = 50.0, 4.0, 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What was done to a photo, as far as it is left."""

    #: Sigma in sRGB levels.
    noise: float = 0.0
    #: 0 for no JPEG, else 1 - quality / 100.
    compression: float = 0.0
    #: Sigma in px that a Gaussian as wide would have.
    blur: float = 0.0

    def as_severity(self, clean: Picture, damaged: Picture) -> Floats:
        """`float32 [4]` as the net's `DAMAGES`: 0 for none, about 1 for the worst; noise and error as logarithms."""
        error = float(np.sqrt(np.square(damaged.astype(np.float32) - clean).mean()))
        values = (_log_share(self.noise, WORST_NOISE), self.compression, self.blur / WORST_BLUR)
        return np.array([*values, _log_share(error, WORST_ERROR)], np.float32)


def _log_share(value: float, worst: float) -> float:
    return float(np.log1p(value) / np.log1p(worst))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """How often photos are damaged, and how badly at most."""

    #: Share that is left as it is, and of the others the share with a single damage.
    clean: float = 0.2
    single: float = 0.6
    #: Chances of noise, JPEG, blur and scaling where one is drawn, and each where several are.
    weights: tuple[float, float, float, float] = (0.4, 0.3, 0.18, 0.12)
    several: tuple[float, float, float, float] = (0.6, 0.6, 0.35, 0.25)
    noise: tuple[float, float] = (2.0, 55.0)
    quality: tuple[int, int] = (10, 90)
    blur: tuple[float, float] = (0.6, 3.0)
    scale: tuple[float, float] = (1.5, 3.0)


def damaged(picture: Picture, wear: Wear, draw: np.random.Generator) -> tuple[Picture, Damage]:
    """A damaged copy, and what was done; a fifth or so come back as they are. The order of damages is random."""
    if draw.random() < wear.clean:
        return picture, Damage()
    kinds = ("noise", "jpeg", "blur", "scale")
    if draw.random() < wear.single:
        chosen = [kinds[int(draw.choice(4, p=np.array(wear.weights) / sum(wear.weights)))]]
    else:
        chosen = [kind for kind, chance in zip(kinds, wear.several, strict=True) if draw.random() < chance]
        draw.shuffle(chosen)
        if "jpeg" in chosen and draw.random() < 0.3:
            chosen.append("jpeg")
    return _in_turn(picture, chosen, wear, draw)


def _in_turn(picture: Picture, kinds: Sequence[str], wear: Wear, draw: np.random.Generator) -> tuple[Picture, Damage]:
    noise = compression = blur = 0.0
    for kind in kinds:
        if kind == "noise":
            sigma = float(np.exp(draw.uniform(*np.log(wear.noise))))
            picture, noise = noisy(picture, sigma, draw), float(np.hypot(noise, sigma))
        elif kind == "jpeg":
            quality = int(draw.integers(wear.quality[0], wear.quality[1] + 1))
            picture = compressed(picture, quality, fine_colour=bool(draw.random() < 0.2))
            compression = max(compression, 1 - quality / 100)
        else:
            picture, width = _blurred(picture, wear, draw) if kind == "blur" else _rescaled(picture, wear, draw)
            # What lies under a blur is blurred: a Gaussian leaves about this share of white noise.
            noise, blur = noise / (1 + 3.5 * width), float(np.hypot(blur, width))
            compression *= 0.5
    return picture, Damage(noise=noise, compression=compression, blur=blur)


def noisy(picture: Picture, sigma: float, draw: np.random.Generator) -> Picture:
    """Noise of this sigma: white, or more in the light as photons bring it, or shared by channels or neighbours."""
    field = draw.standard_normal(picture.shape, np.float32)
    kind = draw.random()
    if 0.5 <= kind < 0.7:
        light = picture.astype(np.float32) / np.float32(255) + np.float32(0.05)
        field *= np.sqrt(light / light.mean())
    elif 0.7 <= kind < 0.85:
        mix = (np.eye(3) + draw.uniform(-0.5, 0.5, (3, 3))).astype(np.float32)
        field = field @ (mix / np.linalg.norm(mix, axis=0))
    elif kind >= 0.85:
        field = np.asarray(cv2.GaussianBlur(field, (0, 0), draw.uniform(0.4, 0.9)), np.float32)
        field /= field.std() + np.float32(1e-6)
    return as_levels(picture + field * np.float32(sigma))


def compressed(picture: Picture, quality: int, *, fine_colour: bool = False) -> Picture:
    """As a JPEG of this quality brings it back; `fine_colour` keeps the colours at full size."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if fine_colour else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), np.uint8)


def _blurred(picture: Picture, wear: Wear, draw: np.random.Generator) -> tuple[Picture, float]:
    """Gaussian, out of focus, or moved; and the sigma of a Gaussian as wide."""
    width, kind = float(draw.uniform(*wear.blur)), draw.random()
    if kind < 0.5:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), width), np.uint8), width
    kernel = disc(2 * width) if kind < 0.75 else streak(3.5 * width, float(draw.uniform(0, np.pi)))
    blurred = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.uint8), width


def disc(radius: float) -> Floats:
    """The kernel of a lens out of focus, with a soft rim; its sigma is half of the radius."""
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def streak(length: float, angle: float) -> Floats:
    """The kernel of a camera that moved in a straight line while the shutter was open."""
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    steps = np.linspace(-length / 2, length / 2, 8 * reach)
    for down, across in zip(reach + steps * np.sin(angle), reach + steps * np.cos(angle), strict=True):
        kernel[round(down), round(across)] += 1
    kernel = np.asarray(cv2.GaussianBlur(kernel, (3, 3), 0.5), np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _rescaled(picture: Picture, wear: Wear, draw: np.random.Generator) -> tuple[Picture, float]:
    """Made smaller and large again; and the sigma of a Gaussian as wide, about."""
    factor = float(draw.uniform(*wear.scale)) if draw.random() < 0.6 else 2.0
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(draw.integers(3))]
    return enlarged_again(picture, factor, down), 0.45 * factor


def enlarged_again(picture: Picture, factor: float, down: int = cv2.INTER_AREA) -> Picture:
    """Made smaller by `factor`, then enlarged to its size with cubic steps."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(1, round(width / factor)), max(1, round(height / factor))), interpolation=down)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def in_any_light(picture: Picture, draw: np.random.Generator) -> Picture:
    """Another exposure and cast: damage must be known in any light. Done before the damage, to the truth as well."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    gamma, gains = np.exp(draw.normal(0, 0.25)), np.exp(draw.normal(-0.05, 0.15) + draw.normal(0, 0.06, 3))
    curves = np.clip(values[:, None] ** gamma * gains * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, np.ascontiguousarray(curves[None])), np.uint8)


def as_levels(values: NDArray[Any]) -> Picture:
    """Rounded to what 8 bits hold."""
    return np.asarray(np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8))
