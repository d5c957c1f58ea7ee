"""Whether memory grows over a soak. Pure.

The slope is that of the straight line through the samples after the warm-up. Its interval comes from a bootstrap:
stretches of what lies beside the line are drawn anew and put upon it. A role leaks where the slope is certainly above
zero, over the whole and over the second half (what fills up and stays is no leak), and where memory grew by more than
5 % and by more than 20 MB.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deploy.loadtest.document import Interval, Trend
from deploy.loadtest.measuring.samples import Sample

_PREFIX = "rss_mb."
_LEAST = 40
_BLOCKS = 20
_RESAMPLES = 500
_SEED = 8
_GROWTH = 0.05
_GROWTH_MB = 20.0

Floats = NDArray[np.float64]


def trends(samples: Sequence[Sample], begin_ns: int, end_ns: int) -> list[Trend]:
    """The memory of every role that has enough samples between the two times."""
    return list(_trends([one for one in samples if begin_ns <= one.at_ns < end_ns]))


def _trends(samples: Sequence[Sample]) -> Iterator[Trend]:
    roles = sorted({name.removeprefix(_PREFIX) for one in samples for name in one.values if name.startswith(_PREFIX)})
    for role in roles:
        told = [(one.at_ns, one.values[_PREFIX + role]) for one in samples if _PREFIX + role in one.values]
        if len(told) >= _LEAST:
            yield _trend(role, np.array([at for at, _ in told]) / 3.6e12, np.array([mb for _, mb in told]))


def _trend(role: str, hours: Floats, mb: Floats) -> Trend:
    slope, start = _line(hours, mb)
    length = float(hours[-1] - hours[0])
    whole = _interval(hours, mb)
    later = _interval(hours[hours.size // 2 :], mb[hours.size // 2 :])
    growth = slope * length
    certain = whole.low > 0 and later.low > 0
    return Trend(
        role=role,
        start_mb=start,
        end_mb=start + growth,
        slope_mb_per_h=slope,
        interval=whole,
        leaks=certain and growth > max(_GROWTH_MB, _GROWTH * start),
    )


def _line(hours: Floats, mb: Floats) -> tuple[float, float]:
    """Slope, and the height at the first sample."""
    since = hours - hours[0]
    slope, start = np.polyfit(since, mb, 1)
    return float(slope), float(start)


def _interval(hours: Floats, mb: Floats) -> Interval:
    slope, start = _line(hours, mb)
    since = hours - hours[0]
    beside = mb - (start + slope * since)
    length = max(1, mb.size // _BLOCKS)
    chance = np.random.default_rng(_SEED)
    begins = chance.integers(0, mb.size - length + 1, (_RESAMPLES, -(-mb.size // length)))
    drawn = beside[(begins[:, :, None] + np.arange(length)).reshape(_RESAMPLES, -1)[:, : mb.size]]
    centred = since - since.mean()
    slopes = slope + (drawn @ centred) / (centred @ centred)
    low, high = np.quantile(slopes, (0.025, 0.975))
    return Interval(low=float(low), high=float(high))
