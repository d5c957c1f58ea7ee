"""How well one order agrees with another."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """The place of each value from the smallest, counted from 0; equal values share the mean of their places."""
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count + 1) / 2)[place.ravel()])


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Rank correlation (SRCC), -1..1, of two lists of equal length; 0 where one of them is constant."""
    one, other = ranks(first), ranks(second)
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread else 0.0


def order(scores: ArrayLike) -> NDArray[np.float64]:
    """Of pictures from best to worst, whether each pair is scored so: float64 [n * (n - 1) / 2]; 0.5 where equal.

    Pairs come as (0, 1), (0, 2), ..., (1, 2), ...
    """
    values = np.asarray(scores)
    better, worse = np.triu_indices(len(values), 1)
    return np.asarray((np.sign(values[better] - values[worse]) + 1) / 2)


def auc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Chance that one of the positive is above one of the negative; 0.5 for equal ones."""
    count, total = len(np.asarray(positive)), len(np.asarray(negative))
    places = ranks(np.concatenate([np.asarray(positive), np.asarray(negative)]))[:count]
    return float((places.sum() - count * (count - 1) / 2) / (count * total))
