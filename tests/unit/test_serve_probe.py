"""`python -m serve.images probe`: a line for whatever it is given, and the corpus of hostile files through it.

`VITRINE_SOAK_EXAMPLES` sets how many hostile files; `make soak` sets it to all there are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from serve import errors
from serve.images.limits import DecodeLimits, SandboxLimits
from serve.images.probe import MOST_BYTES, Probed, probe
from tests.support.hostile import corpus, flat_png, handmade
from tests.support.pictures import patches, saved

ROOT = Path(__file__).parents[2]
FILES = int(os.environ.get("VITRINE_SOAK_EXAMPLES", "200"))
SOAK = "VITRINE_SOAK_EXAMPLES" in os.environ
FIELDS = {"path", "ok", "code", "width", "height", "format", "mode", "seconds", "peak_mb"}
CODES = {one.code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.SourceError)}


def run(*files: str | bytes) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "serve.images", "probe", *files]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(line) == FIELDS for line in lines)
    return lines


def test_a_line_for_each_file_whatever_it_is(tmp_path: Path) -> None:
    """Photos, text, nothing, folders, pipes, devices, links to nowhere, names that are no text."""
    good = tmp_path / "good.txt"
    good.write_bytes(saved(Image.fromarray(patches()).convert("RGBA"), "PNG"))
    names: list[str | bytes] = [str(good), str(tmp_path / "text.jpg"), str(tmp_path / "missing"), str(tmp_path)]
    (tmp_path / "text.jpg").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").touch()
    (tmp_path / "cut").write_bytes(good.read_bytes()[:60])
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    names += [str(tmp_path / name) for name in ("pipe", "link", "empty", "cut", "huge")]
    names += ["/dev/zero", os.fsencode(tmp_path) + b"/\\xff", "", str(good)]
    lines = run(*names)
    assert [line["code"] for line in lines] == [
        None, "unsupported_format", "source_not_found", "source_error", "source_error", "source_error",
        "unsupported_format", "corrupt_image", "source_too_large", "source_error", "source_not_found",
        "source_not_found", None,
    ]  # fmt: skip
    assert [line["ok"] for line in lines] == [line["code"] is None for line in lines]
    first = lines[0]
    height, width = patches().shape[:2]
    assert (first["width"], first["height"], first["format"], first["mode"]) == (width, height, "png", "RGBA")
    assert [line["path"] for line in lines[:2]] == names[:2]


def test_memory_is_that_of_the_file_alone(tmp_path: Path) -> None:
    """Small, large, small: the second small one is told the same as the first, and not what the large one took."""
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(saved(Image.fromarray(patches()), "PNG"))
    large.write_bytes(flat_png(4_000, 4_000))
    before, most, after, again = (line.peak_mb for line in probe(map(str, (small, large, small, small))))
    assert most > before + 60
    assert abs(after - before) < 16
    assert abs(again - before) < 16


def test_the_largest_photo_that_is_allowed_fits_the_memory(tmp_path: Path) -> None:
    largest = tmp_path / "largest.png"
    largest.write_bytes(flat_png(7_000, 7_100))
    (line,) = probe([str(largest)], allowed=SandboxLimits(wall_s=60, cpu_s=60))
    assert (line.ok, line.width, line.height) == (True, 7_000, 7_100)
    assert line.peak_mb <= 512


def _probed(files: Sequence[tuple[str, bytes]], folder: Path) -> dict[str, Probed]:
    """What became of each file, by its name."""
    paths = {}
    for number, (name, body) in enumerate(files):
        path = folder / f"{number}-{name}"
        path.write_bytes(body)
        paths[str(path)] = name
    # Each has much time: what is measured must not hang on what else the machine does.
    allowed = SandboxLimits(wall_s=60)
    return {paths[line.path]: line for line in probe(paths, allowed=allowed)}


def test_hostile_files_give_pictures_or_typed_errors_in_bounded_memory(tmp_path: Path) -> None:
    files = corpus(FILES)
    assert len(files) >= min(FILES, 2_000)
    found = _probed(files, tmp_path)
    assert len(found) == len(files)
    worst = sorted(found.items(), key=lambda pair: -pair[1].peak_mb)[:5]
    slowest = sorted(found.items(), key=lambda pair: -pair[1].seconds)[:5]
    codes = [line.code for line in found.values()]
    print(f"\n{len(files)} files:", {code: codes.count(code) for code in sorted(set(codes), key=str)})
    print("memory:", [(name, line.peak_mb) for name, line in worst])
    print("seconds:", [(name, line.seconds) for name, line in slowest])
    assert {code for code in codes if code is not None} <= CODES
    assert all(line.ok is (line.code is None) for line in found.values())
    assert [name for name, line in found.items() if line.code == "decoder_crashed"] == []
    assert [name for name, line in found.items() if line.peak_mb > 512] == []
    if SOAK:
        assert [(name, line.seconds) for name, line in slowest if line.seconds > 5] == []


REFUSED = {
    "png-60000x60000": "too_many_pixels",
    "png-10000x8000": "too_many_pixels",
    "png-0x0": "corrupt_image",
    "png-1x1": "too_small",
    "png-ztxt-bomb": "corrupt_image",
    "png-itxt-bomb": "corrupt_image",
    "png-iccp-bomb": "corrupt_image",
    "png-text-behind": "corrupt_image",
    "png-chunks-many": "corrupt_image",
    "png-length-lies": "corrupt_image",
    "png-frames": "too_many_pixels",
    "gif-frames": "too_many_pixels",
    "gif-canvas": "too_many_pixels",
    "gif-endless-blocks": "corrupt_image",
    "webp-frames": "too_many_pixels",
    "webp-16384x16384": "too_many_pixels",
    "jpeg-65535x65535": "too_many_pixels",
    "jpeg-7000x7000": "corrupt_image",
    "jpeg-scans": "corrupt_image",
    # The decoder has a limit of its own.
    "avif-60000x60000": "corrupt_image",
    "tiff-loop": "corrupt_image",
    "tiff-loop-of-two": "corrupt_image",
    "tiff-pages-many": "corrupt_image",
    "tiff-values": "corrupt_image",
    "tiff-huge": "too_many_pixels",
    "tiff-zero": "corrupt_image",
    "pdf-and-jpeg": "unsupported_format",
    "gzip-of-png": "unsupported_format",
    **dict.fromkeys(("eps", "psd", "fits", "svg", "pdf", "blp", "blp-bomb", "jpeg2000"), "unsupported_format"),
    "png-and-zip": None,
    "jpeg-and-tail": None,
    "jpeg-named-png.png": None,
}


def test_what_is_refused_is_refused_for_the_right_reason(tmp_path: Path) -> None:
    files = [(name, body) for name, body in handmade() if name in REFUSED]
    assert {name: line.code for name, line in _probed(files, tmp_path).items()} == REFUSED


def test_the_corpus_is_always_the_same() -> None:
    first = dict(corpus(300))
    handmade.cache_clear()
    assert dict(corpus(300)) == first
    assert len(first) == 300


def test_a_photo_beyond_the_limits_of_the_probe(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(saved(Image.fromarray(np.zeros((90, 90, 3), np.uint8)), "PNG"))
    (line,) = probe([str(path)], limits=DecodeLimits(max_pixels=8_000))
    assert (line.ok, line.code, line.width) == (False, "too_many_pixels", None)
