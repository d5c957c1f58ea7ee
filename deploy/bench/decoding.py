"""Decoding photos in a worker process, against decoding them in this one."""

import time
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.bench.figure import Figure, Progress, frozen_heap, in_turns
from deploy.bench.photos import photo
from serve.images.decoding import DecodeLimits, Decoder, decode
from serve.images.sandbox import Sandbox
from serve.interfaces import FetchedBytes

#: File sizes in bytes of photos of about 1, 2, 3 and 4 megapixels.
_SIZES = (250_000, 500_000, 750_000, 1_000_000)
_GOAL = 0.8


def run(progress: Progress, *, photos: int = 48, rounds: int = 7) -> Figure:
    """Megapixels per second of one caller, JPEGs of 1 to 4 megapixels in turn."""
    limits = DecodeLimits()
    with TemporaryDirectory() as folder:
        files = [photo(Path(folder) / f"{size}.jpg", number, size) for number, size in enumerate(_SIZES)]
        bodies = [FetchedBytes(body=file.read_bytes(), sha256="") for file in files]
    sandbox = Sandbox(1)

    def rate(decoder: Decoder) -> float:
        started, pixels = time.perf_counter(), 0
        for body in islice(cycle(bodies), photos):
            pixels += decoder(body, "bench", limits).pixels.size // 3
        return pixels / 1e6 / (time.perf_counter() - started)

    try:
        with frozen_heap():
            found = in_turns(lambda: rate(decode), lambda: rate(sandbox.decode), progress, rounds=rounds)
    finally:
        sandbox.close()
    return Figure.of("decoding", found, unit="MP/s", goal=_GOAL)
