"""Cut products out: one PNG with transparency per photo, and a line with the confidence."""

import argparse
import sys
from pathlib import Path

from models.cutout import REVIEW_CONFIDENCE, GrabCut, MaskBackend
from models.cutout.learned import LearnedCutout
from models.matting import decontaminate
from models.photo_files import files_of, read_photo, write_rgba


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What goes in and where it goes to."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="photos, or folders of photos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNG files")
    parser.add_argument("--backend", choices=("learned", "grabcut"), default="learned")
    parser.add_argument("--weights", type=Path, help="folder with weights.json, or a .safetensors file")
    parser.add_argument("--device", default="cpu")


def run(options: argparse.Namespace) -> int:
    """A bad file costs its own line only."""
    backend: MaskBackend = (
        GrabCut() if options.backend == "grabcut" else LearnedCutout.load(options.device, options.weights)
    )
    paths, failed = list(files_of(options.inputs)), 0
    targets = _targets(paths, options.out)
    for path, target in zip(paths, targets, strict=True):
        try:
            photo = read_photo(path)
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
            failed += 1
            continue
        (cut,) = backend.cut([photo])
        write_rgba(target, decontaminate(photo, cut.alpha), cut.alpha)
        remark = "" if cut.confidence >= REVIEW_CONFIDENCE else "  should be seen by a person"
        sys.stdout.write(f"{target}  confidence {cut.confidence:.2f}{remark}\n")
    return 0 if not failed else 2 if failed == len(paths) else 1


def _targets(paths: list[Path], out: Path) -> list[Path]:
    """A file name for each; photos of one name get numbers, so that none overwrites another."""
    taken: dict[str, int] = {}
    targets = []
    for path in paths:
        turn = taken[path.stem] = taken.get(path.stem, 0) + 1
        targets.append(out / (f"{path.stem}.png" if turn == 1 else f"{path.stem}-{turn}.png"))
    return targets
