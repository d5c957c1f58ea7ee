"""`run.hlog`: histograms of latency by second, in the log format of HdrHistogram that other tools read, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hdrh.histogram import HdrHistogram
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Stretch:
    """The latencies, in microseconds, of the events that were due within a stretch of time."""

    #: Seconds since the measured window began.
    at_s: float
    length_s: float
    histogram: HdrHistogram


def write_hlog(
    path: Path,
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    started_at: datetime,
    *,
    interval_s: float = 1.0,
) -> None:
    """Times in seconds since `started_at` and microseconds, by tag."""
    raise NotImplementedError


def read_hlog(path: Path) -> dict[str, Sequence[Stretch]]:
    """By tag; raise `DeployError` where the file cannot be read."""
    raise NotImplementedError
