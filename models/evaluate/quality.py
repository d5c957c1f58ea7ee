"""Whether the quality net knows which of two pictures is worse, how much worse, and why.

Every photo is damaged in some kinds that were trained on and some that were not (`models.evaluate.unseen`), at five
levels each; the kinds take turns. A pair counts as half right where both scores are equal.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluate.unseen import UNSEEN
from models.photo_files import photos_under, read_mask, read_photo
from models.pictures import Picture
from models.quality.judge import Judgement, QualityModel
from models.quality.ranks import auc, order, spearman
from models.training.composites import composed_pair
from models.training.distortions import LEVELS, TRAINED, Distortion, jpeg

#: Of all pairs of levels 0 (undamaged) to 5 those without 0, and those of neighbours.
_BETTER, _WORSE = np.triu_indices(1 + len(LEVELS), 1)
_DAMAGED, _NEIGHBOURS = _BETTER > 0, _WORSE - _BETTER == 1
#: Scores that a limit might be set at: the share of photos below is told for each level.
_LIMITS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
#: Photos that composites are made of.
_COMPOSED = 80

#: The judgements of a photo at levels 0 to 5.
Ladder = Sequence[Judgement]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument("--images", type=Path, required=True, help="photos, in folders or not")
    parser.add_argument("--masks", type=Path, help="their alpha masks, same paths with .png: realism is measured too")
    parser.add_argument("--weights", type=Path, help="folder with weights.json, or a .safetensors file")
    parser.add_argument("--limit", type=int, default=400, help="photos at most, evenly chosen")
    parser.add_argument("--kinds", type=int, default=2, help="kinds of damage per photo, trained and not trained each")


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    """The figures over all photos."""
    model = QualityModel.load(source=options.weights)
    names = list(photos_under(options.images))
    if not names:
        raise ValueError(f"no photo under {options.images}")
    chosen = [names[int(i)] for i in np.linspace(0, len(names) - 1, min(options.limit, len(names)))]
    trained: dict[str, list[Ladder]] = {name: [] for name in TRAINED}
    unseen: dict[str, list[Ladder]] = {name: [] for name in UNSEEN}
    for turn, name in enumerate(chosen):
        photo = read_photo(options.images / name)
        for found, kinds in ((trained, TRAINED), (unseen, UNSEEN)):
            for kind in _turns(list(kinds), turn, options.kinds):
                found[kind].append(model.judge(damaged(photo, kinds[kind], turn)))
        sys.stderr.write(f"{turn + 1} of {len(chosen)}\n")
    return {
        **figures(trained, unseen),
        **(realism(model, options.images, options.masks, chosen) if options.masks else {}),
        "n": len(chosen),
        "version": model.version,
    }


def _turns(names: list[str], turn: int, count: int) -> list[str]:
    """The kinds whose turn it is."""
    return [names[(turn * count + place) % len(names)] for place in range(min(count, len(names)))]


def damaged(photo: Picture, distortion: Distortion, seed: int) -> list[Picture]:
    """The photo at levels 0 to 5."""
    return [photo, *(distortion(photo, level, np.random.default_rng(seed)) for level in LEVELS)]


def figures(trained: Mapping[str, Sequence[Ladder]], unseen: Mapping[str, Sequence[Ladder]]) -> dict[str, Any]:
    """What can be told from judged ladders; kinds without any are left out."""
    known = [(name, ladder) for name, ladders in trained.items() for ladder in ladders]
    clean = [ladder[0].score for _, ladder in known]
    hits = {name: [[one.type == name for one in ladder[1:]] for ladder in found] for name, found in trained.items()}
    per_kind = {
        name: np.array([order([one.score for one in ladder]) for ladder in ladders])
        for name, ladders in [*unseen.items(), *trained.items()]
        if ladders
    }
    return {
        **_orders("unseen", [per_kind[name] for name in unseen if name in per_kind]),
        **_orders("trained", [per_kind[name] for name in trained if name in per_kind]),
        "severity_srcc": _srcc(known),
        "type_accuracy": round(float(np.concatenate([np.ravel(each) for each in hits.values()]).mean()), 4),
        "type_accuracy_from_level_2": round(
            float(np.concatenate([np.ravel([line[1:] for line in each]) for each in hits.values()]).mean()), 4
        ),
        "clean_called_clean": round(float(np.mean([ladder[0].type not in trained for _, ladder in known])), 4),
        "clean_best": round(float(np.mean([ladder[0].score > max(_scores(ladder)[1:]) for _, ladder in known])), 4),
        "clean_score": _quantiles(clean),
        "below": {
            str(limit): _by_level([[s < limit for s in _scores(ladder)] for _, ladder in known]) for limit in _LIMITS
        },
        "score_by_level": _by_level([_scores(ladder) for _, ladder in known]),
        "pairwise_by_kind": {name: round(float(pairs.mean()), 4) for name, pairs in per_kind.items()},
        "severity_srcc_by_kind": {
            name: _srcc([(name, ladder) for ladder in found]) for name, found in trained.items() if found
        },
        "type_accuracy_by_kind": {name: round(float(np.mean(each)), 4) for name, each in hits.items() if each},
    }


def _orders(name: str, kinds: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    """Share of pairs in the right order, as the mean of the kinds: all pairs, those of levels 1 to 5, neighbours."""
    if not kinds:
        return {}

    def mean(chosen: NDArray[np.bool_]) -> float:
        return round(float(np.mean([pairs[:, chosen].mean() for pairs in kinds])), 4)

    return {
        f"pairwise_{name}": mean(np.ones_like(_DAMAGED)),
        f"pairwise_{name}_damaged": mean(_DAMAGED),
        f"pairwise_{name}_neighbours": mean(_NEIGHBOURS),
    }


def _by_level(values: Sequence[Sequence[float]]) -> list[float]:
    """Means of what was found at levels 0 to 5."""
    return [round(float(mean), 3) for mean in np.mean(values, 0)]


def _scores(ladder: Ladder) -> list[float]:
    return [one.score for one in ladder]


def _srcc(known: Sequence[tuple[str, Ladder]]) -> float:
    """Of the severity at levels 1 to 5."""
    found = [one.severity for _, ladder in known for one in ladder[1:]]
    return round(spearman(found, np.tile(LEVELS, len(known))), 4)


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(values, share)), 3) for share in (5, 25, 50, 75, 95)}


def realism(model: QualityModel, images: Path, masks: Path, names: Sequence[Path]) -> dict[str, float]:
    """Photos against composites made of them, and well cut composites against badly cut ones.

    Both sides are stored as JPEG of the same quality, which is drawn at random for each pair.
    """
    found: dict[str, list[float]] = {"photo": [], "composed": [], "badly cut": []}
    there = [name for name in names if (masks / name.with_suffix(".png")).is_file()]
    for turn, place in enumerate(np.linspace(0, len(there) - 1, min(_COMPOSED, len(there))).astype(int)):
        photo, mask = read_photo(images / there[place]), read_mask(masks / there[place].with_suffix(".png"))
        good, bad = composed_pair(photo, mask, (turn, 1))
        quality = int(np.random.default_rng(turn).integers(60, 96))
        views = [jpeg(picture, quality) for picture in (photo, good.pixels, bad.pixels)]
        judged = model.judge(views, [mask, good.mask, bad.mask])
        for kind, one in zip(found.values(), judged, strict=True):
            kind.append(one.realism)
    return {
        "realism_auc": round(auc(found["photo"], found["composed"]), 4),
        "cut_auc": round(auc(found["composed"], found["badly cut"]), 4),
        "cut_pairs": round(float(np.mean(np.array(found["composed"]) > np.array(found["badly cut"]))), 4),
    }
