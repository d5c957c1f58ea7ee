"""How well colours, patterns and products that were seen before are recognised."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.colour import delta_e_2000, lab_of
from models.evaluate.copies import CHANGES
from models.photo_files import photos_under, read_photo
from models.pictures import Mask, Picture
from models.product import ProductModel
from models.recognition.attributes import AttributeModel
from models.recognition.neighbours import NEAR_DUPLICATE
from models.recognition.palette import main_colours, name_of
from models.recognition.recognise import Sight
from models.recolor import recolor
from models.training.patterns import PAINTERS, laid

#: Below it nothing is said of a pattern, as in the grammars.
_SURE = 0.6
#: Side of the square that patterns are drawn on: the cloth is squeezed as it is for the net.
_SIDE = 400
#: What cloth is dyed to.
_TARGETS = ((190, 30, 40), (30, 40, 80), (240, 238, 232), (30, 30, 32), (60, 130, 80), (230, 200, 60), (150, 110, 180))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos in one folder per class")
    parser.add_argument("--labels", type=Path, help="JSON with patterns by eye: {labels: {file: pattern}}")
    parser.add_argument("--weights", type=Path, help="weights of the product net, the bundled ones by default")
    parser.add_argument("--attributes", type=Path, help="weights of the heads, the bundled ones by default")
    parser.add_argument("--limit", type=int, help="only so many photos, spread over all")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """The figures over all photos, or as many as `--limit` says."""
    product = ProductModel.load(weights=options.weights)
    bench = _Bench(product, AttributeModel.load(options.attributes, product=product.version))
    names = list(photos_under(options.images))
    if options.limit and options.limit < len(names):
        names = [names[round(place)] for place in np.linspace(0, len(names) - 1, options.limit)]
    if len(names) < 2:
        raise ValueError(f"{options.images}: at least two photos are needed")
    labels = _labels(options.labels)
    looks = []
    for number, name in enumerate(names, 1):
        other = read_photo(options.images / names[number % len(names)])
        looks.append(bench.look(read_photo(options.images / name), other, labels.get(name.as_posix()), number))
        sys.stderr.write(f"\r{number} of {len(names)}")
    sys.stderr.write("\n")
    return {
        "patterns_by_eye": _agreement([look.own for look in looks if look.own]),
        "patterns_drawn": _agreement([look.drawn for look in looks if look.drawn]),
        "colours": _colour_figures([look.colour for look in looks if look.colour]),
        "search": _search_figures(looks),
        "n": len(names),
        "versions": {"product": product.version, "attributes": bench.attributes.version},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A pattern that is known, what was told, and how surely."""

    true: str
    told: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Look:
    """What was measured on one photo."""

    own: _Judged | None
    drawn: _Judged | None
    #: Whether the basic colour of dyed cloth is named rightly, and CIEDE2000 to its colour.
    colour: tuple[bool, float] | None
    #: float32 [1 + copies, E], the photo itself first.
    embeddings: NDArray[np.float32]


class _Bench:
    """The models under test, and what they are shown."""

    def __init__(self, product: ProductModel, attributes: AttributeModel) -> None:
        self.product, self.attributes = product, attributes

    def look(self, photo: Picture, other: Picture, label: str | None, seed: int) -> _Look:
        """All that is measured on a photo; `label` is its pattern by eye."""
        (sight,) = self.product.see([photo])
        draw = np.random.default_rng((1, seed))
        copies = [np.asarray(change(photo, sight.mask, other, draw)) for change in CHANGES.values()]
        told = self.attributes.tell([sight, *self.product.see(copies)])
        return _Look(
            own=self._judged(sight, label) if label else None,
            drawn=self._drawn(photo, sight.mask, draw) if label == "plain" else None,
            colour=_dyed(photo, sight.mask, seed) if label == "plain" else None,
            embeddings=np.stack([one.embedding for one in told]),
        )

    def _drawn(self, photo: Picture, mask: Mask, draw: np.random.Generator) -> _Judged:
        kind = str(draw.choice(list(PAINTERS)))
        square = np.asarray(cv2.resize(photo, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        cloth = laid(square, np.asarray(cv2.resize(mask, (_SIDE, _SIDE)), np.float32), kind, draw)
        (sight,) = self.product.see([cloth])
        return self._judged(sight, kind)

    def _judged(self, sight: Sight, true: str) -> _Judged:
        (told,) = self.attributes.tell([sight])
        best = int(told.patterns.argmax())
        return _Judged(true=true, told=self.attributes.patterns[best], confidence=float(told.patterns[best]))


def _dyed(photo: Picture, mask: Mask, seed: int) -> tuple[bool, float] | None:
    """Dye the cloth, look at its main colour."""
    target = _TARGETS[seed % len(_TARGETS)]
    alpha = np.asarray(cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    found = main_colours(recolor(photo, alpha, target), alpha)
    if not found:
        return None
    away = float(delta_e_2000(lab_of(found[0].srgb), lab_of(target)))
    return found[0].name.family == name_of(lab_of(target)).family, away


def _agreement(judged: Sequence[_Judged]) -> dict[str, Any]:
    """Accuracy over all and over those told surely; recall per pattern; what is taken for what."""
    if not judged:
        return {"n": 0}
    sure = [one for one in judged if one.confidence >= _SURE]
    stripes = [
        (one.true.replace("vertical", "horizontal"), one.told.replace("vertical", "horizontal")) for one in judged
    ]
    counts = Counter(one.true for one in judged)
    hits = Counter(one.true for one in judged if one.true == one.told)
    wrong = Counter(f"{one.true} taken for {one.told}" for one in judged if one.true != one.told)
    return {
        "n": len(judged),
        "accuracy": _share(one.true == one.told for one in judged),
        "accuracy_stripes_as_one": _share(true == told for true, told in stripes),
        "sure": {"share": round(len(sure) / len(judged), 4), "accuracy": _share(one.true == one.told for one in sure)},
        "recall": {kind: f"{hits[kind]} of {count}" for kind, count in counts.most_common()},
        "wrong": dict(wrong.most_common(12)),
    }


def _colour_figures(found: Sequence[tuple[bool, float]]) -> dict[str, Any]:
    if not found:
        return {"n": 0}
    away = [one for _, one in found]
    median, p90 = (round(float(np.percentile(away, share)), 2) for share in (50, 90))
    return {
        "n": len(found),
        "basic_colour": _share(right for right, _ in found),
        "delta_e": {"median": median, "p90": p90},
    }


def _search_figures(looks: Sequence[_Look]) -> dict[str, Any]:
    """Each copy sought among all photos; pairs of different photos that pass for near-duplicates."""
    all_of = np.stack([look.embeddings for look in looks])
    gallery, copies = all_of[:, 0], all_of[:, 1:]
    alike = np.einsum("ncd,md->ncm", copies, gallery)
    own = np.arange(len(gallery))
    first = alike.argmax(2) == own[:, None]
    same = alike[own, :, own] >= NEAR_DUPLICATE
    apart = (gallery @ gallery.T)[np.triu_indices(len(gallery), 1)]
    return {
        "recall_at_1": {kind: _share(first[:, place]) for place, kind in enumerate(CHANGES)}
        | {"all": _share(first.ravel())},
        "near_duplicates_found": {kind: _share(same[:, place]) for place, kind in enumerate(CHANGES)},
        "false_near_duplicates": {"pairs": int((apart >= NEAR_DUPLICATE).sum()), "of": len(apart)},
        "threshold": NEAR_DUPLICATE,
        "n": len(gallery),
    }


def _share(hits: Any) -> float:
    return round(float(np.mean([bool(hit) for hit in hits])), 4) if (hits := list(hits)) else 0.0


def _labels(path: Path | None) -> dict[str, str]:
    body = path.read_text("utf-8") if path else files("models.evaluate").joinpath("patterns.json").read_text("utf-8")
    found: dict[str, str] = json.loads(body)["labels"]
    return found
