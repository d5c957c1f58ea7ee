"""HdrHistograms of microseconds: any number of samples in bounded memory, 0.1 % off at most. Pure.

After Gil Tene's HdrHistogram, https://hdrhistogram.org.
"""

from collections.abc import Iterable

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import ArrayLike, NDArray

#: Values are kept to 3 digits: below this many units exactly.
_UNITS = 2048
_HIGHEST_US = 24 * 3600 * 1_000_000


def empty_histogram() -> HdrHistogram:
    """1 us to a day, 3 digits."""
    return HdrHistogram(1, _HIGHEST_US, 3)


def quantised(values: ArrayLike) -> NDArray[np.int64]:
    """The smallest value of the histogram's class of each value; whole numbers from 0 on."""
    whole = np.clip(np.asarray(values, np.int64), 0, _HIGHEST_US)
    bits = np.frexp(whole.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(0, bits - _UNITS.bit_length() + 1)
    classes: NDArray[np.int64] = (whole >> shift) << shift
    return classes


def histogram_of(values_us: ArrayLike) -> HdrHistogram:
    """A histogram of microseconds; negative ones count as 0, those over a day as a day."""
    histogram = empty_histogram()
    whole = np.clip(np.asarray(values_us, np.int64), 0, _HIGHEST_US)
    if whole.size:
        for value, count in zip(*np.unique(quantised(whole), return_counts=True), strict=True):
            histogram.record_value(int(value), int(count))
        # Of the extremes more than the class is known.
        histogram.min_value, histogram.max_value = int(whole.min()), int(whole.max())
    return histogram


def merged(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    """All in one."""
    whole = empty_histogram()
    for histogram in histograms:
        whole.add(histogram)
    return whole


def counted(histogram: HdrHistogram) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values that occur (the middle of their class) and how often."""
    counts = np.array(histogram.counts, np.int64)
    [found] = np.nonzero(counts)
    lowest = [histogram.get_value_from_index(int(index)) for index in found]
    middles = [(low + histogram.get_highest_equivalent_value(low)) // 2 for low in lowest]
    return np.array(middles, np.int64), counts[found]


def quantile(histogram: HdrHistogram, share: float) -> float | None:
    """A percentile of a histogram, at most 0.1 % off; None where it is empty."""
    values, counts = counted(histogram)
    if not values.size:
        return None
    return float(values[np.searchsorted(np.cumsum(counts), share * counts.sum() - 1e-9)])
