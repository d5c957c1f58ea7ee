"""`python -m deploy.bench.watermark --photos FOLDER`: what the invisible watermark costs, and what it survives.

No ratio of two ways, so no bench of the table: shares, with the bounds of Wilson's 95 % interval. Pictures are photos
at the size of an output, and the same with everything around their middle painted white, as studio pictures are.
"""

import argparse
import io
import math
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console, Group
from rich.table import Table

from serve.images.watermark import LEAST_PEAK, embed, payload_of, read_watermark
from serve.interfaces import Picture

_SECRET = b"trial"
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
Attack = Callable[[Picture], Picture]


def jpeg(quality: int) -> Attack:
    """Encode as a JPEG with less colour (4:2:0), as most programs do."""

    def attack(pixels: Picture) -> Picture:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer).convert("RGB"))

    return attack


def resized(share: float) -> Attack:
    """Scale both sides."""

    def attack(pixels: Picture) -> Picture:
        height, width = pixels.shape[:2]
        size = (round(width * share), round(height * share))
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))

    return attack


def cropped(share: float) -> Attack:
    """Take `share` of each side away, unevenly from both ends and by no multiple of a JPEG's blocks."""

    def attack(pixels: Picture) -> Picture:
        height, width = pixels.shape[:2]
        top, left = round(height * share * 0.37) | 1, round(width * share * 0.61) | 1
        return np.ascontiguousarray(
            pixels[top : top + round(height * (1 - share)), left : left + round(width * (1 - share))]
        )

    return attack


def _both(first: Attack, second: Attack) -> Attack:
    return lambda pixels: second(first(pixels))


ATTACKS: dict[str, Attack] = {
    "nothing": lambda pixels: pixels,
    "JPEG q80": jpeg(80),
    "JPEG q60": jpeg(60),
    "resize 50 %": resized(0.5),
    "resize 75 %": resized(0.75),
    "crop 10 %": cropped(0.1),
    "crop 30 %": cropped(0.3),
    "resize 50 %, JPEG q80": _both(resized(0.5), jpeg(80)),
    "crop 10 %, JPEG q80": _both(cropped(0.1), jpeg(80)),
}


def white_around(pixels: Picture) -> Picture:
    """Pure white outside of an ellipse that takes 55 % of the frame."""
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]
    outside = ((y - height / 2) / (0.42 * height)) ** 2 + ((x - width / 2) / (0.42 * width)) ** 2 > 1
    painted = pixels.copy()
    painted[outside] = 255
    return painted


def interval(hits: int, tries: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not tries:
        return 0.0, 1.0
    z, share = 1.96, hits / tries
    middle = (share + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z / (1 + z * z / tries) * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries))
    return max(0.0, middle - half), min(1.0, middle + half)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 2 without enough photos."""
    options = _options().parse_args(arguments)
    files = sorted(file for file in options.photos.rglob("*") if file.suffix.lower() in _SUFFIXES)
    random.Random(options.seed).shuffle(files)  # noqa: S311 - a sample, no secret
    if len(files) < options.marked:
        Console(stderr=True).print(
            f"watermark: {len(files)} photos under {options.photos}, {options.marked} are needed"
        )
        return 2
    console = Console(highlight=False)
    for name, prepare in (("photos", lambda pixels: pixels), ("white around", white_around)):
        console.print(_survival(name, [prepare(one) for one in _pictures(files[: options.marked], options.size)]))
    console.print(_false_alarms(files[: options.unmarked], options.size))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.bench.watermark", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder with photos, searched to any depth")
    parser.add_argument("--marked", type=int, default=100, help="photos that are marked and attacked")
    parser.add_argument("--unmarked", type=int, default=1000, help="photos in which no mark should be found")
    parser.add_argument("--size", type=int, default=1000, help="longer side of the pictures in pixels")
    parser.add_argument("--seed", type=int, default=1, help="which photos are taken")
    return parser


def _pictures(files: Sequence[Path], size: int) -> Iterator[Picture]:
    for file in files:
        with Image.open(file) as image:
            image.draft("RGB", (size, size))
            scale = size / max(image.size)
            whole = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
        yield np.asarray(whole)


def _survival(name: str, pictures: Sequence[Picture]) -> Group:
    hits: dict[str, int] = defaultdict(int)
    strengths: dict[str, list[float]] = defaultdict(list)
    noise: list[float] = []
    seconds = 0.0
    for number, pixels in enumerate(pictures):
        payload, began = payload_of(f"trial/{number}"), time.process_time()
        marked = embed(pixels, payload, _SECRET)
        seconds += time.process_time() - began
        noise.append(_psnr(pixels, marked))
        for attack, work in ATTACKS.items():
            found = read_watermark(work(marked), _SECRET)
            hits[attack] += found is not None and found.payload == payload
            strengths[attack].append(found.strength if found else LEAST_PEAK)
    cost = f"PSNR {np.mean(noise):.1f} dB, least {min(noise):.1f}; {1000 * seconds / len(pictures):.0f} ms each to mark"
    table = Table("attack", "read", "95 %", "median strength", box=None)
    for attack in ATTACKS:
        low, high = interval(hits[attack], len(pictures))
        share = f"{hits[attack] / len(pictures):.1%}"
        table.add_row(attack, share, f"{low:.1%} to {high:.1%}", f"{np.median(strengths[attack]):.1f}")
    return Group(f"{name}: {len(pictures)} pictures, {cost}", table, "")


def _psnr(before: Picture, after: Picture) -> float:
    error = float(np.mean((before.astype(np.float64) - after) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _false_alarms(files: Sequence[Path], size: int) -> str:
    alarms, began = 0, time.process_time()
    for pixels in _pictures(files, size):
        alarms += read_watermark(pixels, _SECRET) is not None
    each = 1000 * (time.process_time() - began) / max(1, len(files))
    most = interval(alarms, len(files))[1]
    return f"unmarked: {alarms} alarms in {len(files)} photos (95 %: at most {most:.2%}), {each:.0f} ms each to read"


if __name__ == "__main__":
    sys.exit(main())
