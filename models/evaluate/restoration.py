"""What restoration gains on photos with known damage, and that it leaves good photos alone."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.photo_files import photos_under, read_photo
from models.pictures import Picture
from models.repair.restoration import Restorer

#: Strength of OpenCV's non-local means, as a share of the noise: what gave the highest PSNR on training photos.
NLM_STRENGTH = {10: 0.5, 25: 0.7, 50: 0.6}
QUALITIES = (20, 40)
BLUR = 1.5
#: What equal pictures count as in a mean, dB.
EQUAL = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos, in any folders; they count as undamaged")
    parser.add_argument("--weights", type=Path, help="folder with weights.json, or a .safetensors file")
    parser.add_argument("--limit", type=int, default=100, help="so many photos, evenly spread; 0 for all")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """Mean gains in dB over the photos; each damage alone."""
    restorer = Restorer.load(source=options.weights)
    names = chosen(list(photos_under(options.images)), options.limit)
    if not names:
        raise ValueError(f"no photo under {options.images}")
    seen: dict[str, list[float]] = defaultdict(list)
    for number, name in enumerate(names, 1):
        # The noise of a photo depends on its place in the list alone.
        for figure, value in _figures(restorer, read_photo(options.images / name), number).items():
            seen[figure].append(value)
        if number % 10 == 0:
            sys.stderr.write(f"{number} of {len(names)}\n")
    means = {figure: round(float(np.mean(values)), 3) for figure, values in seen.items()}
    worst = round(float(np.quantile(seen["clean_db"], 0.05)), 3)
    return {"n": len(names), **means, "clean_db_p5": worst, "version": restorer.version}


def _figures(restorer: Restorer, photo: Picture, seed: int) -> dict[str, float]:
    (clean,) = restorer.restore([photo])
    figures = {
        "clean_db": psnr(clean.pixels, photo),
        "clean_untouched": float(np.array_equal(clean.pixels, photo)),
        "clean_no_harm": float(psnr(clean.pixels, photo) >= 40),
    }
    for sigma, share in NLM_STRENGTH.items():
        hurt = _noisy(photo, sigma, seed)
        plain = cv2.fastNlMeansDenoisingColored(hurt, None, share * sigma, share * sigma, 7, 21)
        ours, theirs = psnr(restorer.restore([hurt])[0].pixels, photo), psnr(np.asarray(plain, np.uint8), photo)
        figures |= {
            f"noise_{sigma}_db": ours,
            f"noise_{sigma}_nlm_db": theirs,
            f"noise_{sigma}_gain_over_nlm": ours - theirs,
            f"noise_{sigma}_gain": ours - psnr(hurt, photo),
        }
    for name, damage in DAMAGES.items():
        hurt = damage(photo)
        figures[f"{name}_gain"] = psnr(restorer.restore([hurt])[0].pixels, photo) - psnr(hurt, photo)
    return figures | _doubled(restorer, photo)


def _doubled(restorer: Restorer, photo: Picture) -> dict[str, float]:
    """The photo from its half: against cubic enlarging."""
    even = photo[: photo.shape[0] // 2 * 2, : photo.shape[1] // 2 * 2]
    half = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    cubic = cv2.resize(half, even.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    (ours,) = restorer.enlarge([np.asarray(half, np.uint8)])
    return {"double_gain_over_cubic": psnr(ours, even) - psnr(np.asarray(cubic, np.uint8), even)}


def psnr(found: Picture, truth: Picture) -> float:
    """dB; equal pictures count as `EQUAL`, and no others as more."""
    error = float(np.square(found.astype(np.float32) - truth).mean())
    return min(EQUAL, 10 * np.log10(255**2 / error)) if error else EQUAL


def chosen(names: list[Path], limit: int) -> list[Path]:
    """So many of the names, evenly spread; all for 0."""
    if not limit or limit >= len(names):
        return names
    return [names[place] for place in np.linspace(0, len(names) - 1, limit).astype(int)]


def _noisy(photo: Picture, sigma: float, seed: int) -> Picture:
    noise: NDArray[Any] = np.random.default_rng((seed, int(sigma))).normal(0, sigma, photo.shape)
    return np.asarray(np.clip(photo + noise + 0.5, 0, 255).astype(np.uint8))


def _compressed(quality: int) -> Callable[[Picture], Picture]:
    def through(photo: Picture) -> Picture:
        _, coded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), np.uint8)

    return through


#: Name -> damage.
DAMAGES: Mapping[str, Callable[[Picture], Picture]] = {
    **{f"jpeg_{quality}": _compressed(quality) for quality in QUALITIES},
    f"blur_{BLUR}": lambda photo: np.asarray(cv2.GaussianBlur(photo, (0, 0), BLUR), np.uint8),
}
