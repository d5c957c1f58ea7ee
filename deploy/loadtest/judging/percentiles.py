"""Percentiles of samples, with how sure they are. Pure.

The percentile of share s of n samples is the smallest sample that at least s * n of them do not exceed. Events without
an answer count as later than everything.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deploy.loadtest.document import Interval, Percentiles
from deploy.loadtest.measuring.histograms import quantised

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
#: With so little probability fewer than two samples lie beyond a percentile that is told.
_DOUBT = 0.01
_CONFIDENCE = 0.95
_RESAMPLES = 500
_BLOCKS = 60
_MIN_BLOCKS = 10
_SEED = 8
_CURVE_POINTS = 100


def samples_needed(share: float) -> int:
    """The least n for which at most 1 % of runs have fewer than two samples beyond the percentile: 662 for 0.99."""
    below, above = 2, 4
    while _few_beyond(above, share) > _DOUBT:
        above *= 2
    while below < above:
        middle = (below + above) // 2
        if _few_beyond(middle, share) > _DOUBT:
            below = middle + 1
        else:
            above = middle
    return below


def _few_beyond(n: int, share: float) -> float:
    """P(Binomial(n, 1 - share) <= 1)."""
    return share**n + n * (1 - share) * share ** (n - 1)


def exact(samples: NDArray[np.float64], share: float, unanswered: int = 0) -> float:
    """A percentile of samples; infinite where it falls among the unanswered."""
    rank = int(np.ceil(share * (samples.size + unanswered) - 1e-9)) - 1
    if not 0 <= rank < samples.size:
        return float("inf")
    return float(np.partition(samples, rank)[rank])


def figures(
    samples_ms: ArrayLike, unanswered: int = 0, *, at_s: ArrayLike | None = None, unanswered_at_s: ArrayLike = ()
) -> Percentiles:
    """Percentiles of milliseconds. With the times of the samples, and of those unanswered, also how sure they are."""
    samples = np.asarray(samples_ms, np.float64)
    n = samples.size + unanswered
    told: dict[str, float | None] = {}
    withheld: dict[str, str] = {}
    for name, share in SHARES.items():
        told[name], why = _told(samples, share, unanswered)
        if why:
            withheld[name] = why
    for name, value in (("max", samples.max), ("mean", samples.mean)):
        told[name] = float(value()) if samples.size and not unanswered else None
        if unanswered:
            withheld[name] = f"{unanswered} events are without an answer"
    intervals = {}
    if at_s is not None:
        table = BlockTable.of(np.asarray(at_s), samples * 1000, np.asarray(unanswered_at_s))
        asked = {name: SHARES[name] for name in SHARES if told[name] is not None}
        intervals = {
            name: Interval(low=low / 1000, high=high / 1000) for name, (low, high) in table.sure(asked).items()
        }
    return Percentiles(
        **told,
        n=n,
        unanswered=unanswered,
        intervals=intervals,
        withheld=withheld,
        curve=_curve(samples, unanswered),
    )


def _curve(samples: NDArray[np.float64], unanswered: int) -> list[tuple[float, float]]:
    """Percentile (0..100) and milliseconds, with as many points for each nine; no further than samples reach."""
    n = samples.size + unanswered
    if not samples.size:
        return []
    shares = np.unique(1 - 10 ** -np.linspace(0, np.log10(max(n, 2)), _CURVE_POINTS))
    ranks = np.clip(np.ceil(shares * n - 1e-9).astype(int) - 1, 0, n - 1)
    within = ranks < samples.size
    values = np.sort(samples)[ranks[within]]
    return [(round(100 * float(share), 5), float(value)) for share, value in zip(shares[within], values, strict=True)]


def _told(samples: NDArray[np.float64], share: float, unanswered: int) -> tuple[float | None, str]:
    n, needed = samples.size + unanswered, samples_needed(share)
    if n < needed:
        return None, f"{n} samples, {needed} are needed"
    value = exact(samples, share, unanswered)
    if np.isinf(value):
        return None, f"it falls among the {unanswered} of {n} events that are without an answer"
    return value, ""


class Stretched(Protocol):
    """Values that occur within a stretch of time, and how often."""

    @property
    def values(self) -> NDArray[np.int64]:
        """They rise."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """One for each value."""
        ...


class BlockTable:
    """How often every value occurs in each of several stretches of time; what a bootstrap of blocks draws from.

    Neighbouring events share queues and pauses, so that single events tell less than their number seems to say;
    whole stretches drawn anew keep together what belongs together.
    """

    def __init__(self, values: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
        """`values` rise; `counts`[block, value]."""
        self.values = values
        self.counts = counts

    @classmethod
    def of(
        cls, at_s: NDArray[np.float64], values_us: NDArray[np.float64], never_at_s: NDArray[np.float64]
    ) -> "BlockTable":
        """From samples and their times; what never ended counts as infinite."""
        times = np.concatenate([at_s, never_at_s]).astype(np.float64)
        kept = quantised(np.round(values_us)).astype(np.float64)
        values, index = np.unique(np.concatenate([kept, np.full(never_at_s.size, np.inf)]), return_inverse=True)
        counts = np.zeros((_BLOCKS, values.size))
        if times.size:
            begin, end = times.min(), times.max()
            block = ((times - begin) / max(end - begin, 1e-9) * _BLOCKS).astype(int).clip(0, _BLOCKS - 1)
            np.add.at(counts, (block, index), 1)
        return cls(values, counts)

    @classmethod
    def from_stretches(cls, stretches: Sequence[Stretched]) -> "BlockTable":
        """From the counts of stretches of equal length in their order, several of them to a block if there are many."""
        values = np.unique(np.concatenate([np.zeros(0, np.int64), *(one.values for one in stretches)]))
        counts = np.zeros((min(_BLOCKS, len(stretches)), values.size))
        for number, one in enumerate(stretches):
            counts[number * len(counts) // len(stretches), np.searchsorted(values, one.values)] += one.counts
        return cls(values.astype(np.float64), counts)

    def drawn(self, shares: Sequence[float], seed: int = _SEED) -> NDArray[np.float64]:
        """Percentiles of many drawn runs [draw, share]; of none where there are fewer than 10 blocks with samples."""
        full = self.counts[self.counts.sum(axis=1) > 0]
        if len(full) < _MIN_BLOCKS or not shares:
            return np.zeros((0, len(shares)))
        draws = np.random.default_rng(seed).multinomial(len(full), np.full(len(full), 1 / len(full)), _RESAMPLES)
        sums = np.cumsum(draws @ full, axis=1)
        ranks = [(sums < share * sums[:, -1:] - 1e-6).sum(axis=1) for share in shares]
        drawn: NDArray[np.float64] = self.values[np.stack(ranks, axis=1)]
        return drawn

    def sure(self, shares: dict[str, float]) -> dict[str, tuple[float, float]]:
        """95 % intervals by name; none where they would be unbounded or where there are too few blocks."""
        drawn = self.drawn(list(shares.values()))
        if not drawn.size:
            return {}
        tail = (1 - _CONFIDENCE) / 2
        lows, highs = np.quantile(drawn, (tail, 1 - tail), axis=0, method="inverted_cdf")
        return {
            name: (float(low), float(high))
            for name, low, high in zip(shares, lows, highs, strict=True)
            if np.isfinite(high)
        }
