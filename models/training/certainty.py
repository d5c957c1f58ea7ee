"""Fit and measure the certainty of learned masks: `python -m models.training.certainty --data ../shared`.

Photos that were not learnt from are disturbed more than in training, so that enough masks fail; a logistic regression
then weighs the signs of `models.cutout.certainty`. The weights that it prints stand there.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.cutout import REVIEW_CONFIDENCE
from models.cutout.certainty import SIGNS, signs
from models.cutout.regions import without_crumbs
from models.pictures import Floats
from models.product import ProductModel
from models.training.cutouts import GOOD, logistic
from models.training.examples import Examples
from models.training.photos import Disturbance, Photos, load_photos

_HARDER = Disturbance(zoom=(0.6, 1.7), exposure=0.6, cast=0.2, background=0.35, shadow=0.5, noise=0.25, jpeg=0.4)
_SEED = 11


def observed(model: ProductModel, photos: Photos, views: int) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Signs `[n, 5]`, whether the mask was good `[n]`, and the photo `[n]`; the first view of each is undisturbed."""
    examples = Examples(photos, _SEED)
    rows, good, which = [], [], []
    for photo in np.flatnonzero(photos.trusted):
        for view in range(views):
            draw = np.random.default_rng((_SEED, int(photo), view))
            change = _HARDER if view else Disturbance(zoom=(1.0, 1.0), rotation=0, stretch=1.0, background=0, shadow=0)
            picture, mask = examples.draw(int(photo), model.side, change, draw)
            (sight,) = model.see([picture])
            values = signs(sight.mask)
            if values is not None:
                found, true = without_crumbs(sight.mask) >= 0.5, mask >= 128
                rows.append(values)
                good.append((found & true).sum() >= GOOD * (found | true).sum())
                which.append(int(photo))
        sys.stderr.write(f"\r{photo + 1} of {len(photos.trusted)}")
    return np.array(rows, np.float32), np.array(good), np.array(which)


def temperature(model: ProductModel, photos: Photos) -> float:
    """By what the logits of the classes must be divided so that their probabilities are believable (Guo et al., "On
    calibration of modern neural networks", ICML 2017): training with soft labels leaves them too modest.
    """
    seen = np.array([sight.classes for sight in model.see(list(photos.pictures))], np.float64)
    logits, right = np.log(np.maximum(seen, 1e-9)), photos.classes
    tried = np.exp(np.linspace(np.log(0.2), np.log(3), 80))
    costs = []
    for one in tried:
        scaled = logits / one - (logits / one).max(1, keepdims=True)
        costs.append(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(right)), right]))
    return float(tried[int(np.argmin(costs))]) * model.temperature


def crossed(rows: Floats, good: NDArray[np.bool_], which: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each photo's certainty by weights that were fitted to other photos, in five parts."""
    trust = np.empty(len(rows))
    for part in range(5):
        held = which % 5 == part
        weights, bias = logistic(rows[~held], good[~held].astype(np.float32), ridge=0.01)
        trust[held] = 1 / (1 + np.exp(-np.clip(rows[held] @ weights + bias, -30, 30)))
    return trust


def report(trust: NDArray[np.float64], good: NDArray[np.bool_]) -> str:
    """What the review threshold does, and how often the better mask of two is known."""
    passed = trust >= REVIEW_CONFIDENCE
    order = trust[good][:, None] - trust[~good][None]
    known = ((order > 0) + 0.5 * (order == 0)).mean()
    return (
        f"n {len(good)}, good {good.mean():.3f}; at {REVIEW_CONFIDENCE}: {passed.mean():.3f} pass, "
        f"{good[passed].mean():.3f} of these are good, {(~passed[~good]).mean():.3f} of the poor ones are held back; "
        f"good before poor {known:.3f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.certainty", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--cache", type=Path, default=Path("out/cache"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--views", type=int, default=6)
    options = parser.parse_args(arguments)
    photos = load_photos(options.data, "validation", 400, options.cache)
    model = ProductModel.load(weights=options.weights)
    sys.stdout.write(f"temperature {temperature(model, photos):.2f}\n")
    rows, good, which = observed(model, photos, options.views)
    trust = crossed(rows, good, which)
    weights, bias = logistic(rows, good.astype(np.float32), ridge=0.01)
    sys.stdout.write(f"\n{SIGNS}\nweights {np.round(weights, 2).tolist()} bias {bias:.2f}\n{report(trust, good)}\n")


if __name__ == "__main__":
    main()
