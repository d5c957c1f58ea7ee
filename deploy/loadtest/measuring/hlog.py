"""`run.hlog`: histograms of latency by second, in the log format of HdrHistogram that other tools read, too.

Values are microseconds; the tag `intended` has them from the intended time, `service` from the real one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from numpy.typing import ArrayLike, NDArray

from deploy.errors import DeployError
from deploy.loadtest.measuring.histograms import counted, empty_histogram, histogram_of


@dataclass(frozen=True, slots=True)
class Stretch:
    """The latencies of the events that were due, or really sent, within a stretch of time."""

    #: Seconds since the measured window began.
    at_s: float
    length_s: float
    #: Microseconds that occur, the middle of their class each, and how often they do.
    values: NDArray[np.int64]
    counts: NDArray[np.int64]


Hlog = Mapping[str, Sequence[Stretch]]


def write_hlog(
    path: Path,
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    started_at: datetime,
    *,
    interval_s: float = 1.0,
) -> None:
    """Times in seconds since `started_at`, when the measured window began, and microseconds, by tag."""
    begin_s = started_at.timestamp()
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write("#[Latencies in microseconds]\n#[Histogram log format version 1.3]\n")
        file.write(f"#[StartTime: {begin_s:.3f} (seconds since epoch), {started_at.isoformat()}]\n")
        file.write(f"#[BaseTime: {begin_s:.3f} (seconds since epoch)]\n")
        file.write('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
        for tag, (at_s, values_us) in series.items():
            _write(file, tag, np.asarray(at_s, np.float64), np.asarray(values_us, np.float64), interval_s)


def _write(
    file: TextIO, tag: str, at_s: NDArray[np.float64], values_us: NDArray[np.float64], interval_s: float
) -> None:
    # Whole intervals; the log knows no time before its beginning.
    interval = np.maximum(0, np.floor(at_s / interval_s)).astype(np.int64)
    order = np.argsort(interval, kind="stable")
    found, begins = np.unique(interval[order], return_index=True)
    for number, some in zip(found, np.split(np.round(values_us)[order], begins[1:]), strict=True):
        histogram = histogram_of(some)
        largest_ms = histogram.get_max_value() / 1000
        head = f"Tag={tag},{number * interval_s:.3f},{interval_s:.3f},{largest_ms:.3f}"
        file.write(f"{head},{histogram.encode().decode()}\n")


def read_hlog(path: Path) -> dict[str, list[Stretch]]:
    """By tag; raise `DeployError` where the file cannot be read."""
    told: dict[str, list[Stretch]] = {}
    try:
        for histogram, begin_s in _intervals(path):
            at_s = histogram.get_start_time_stamp() / 1000 - begin_s
            length_s = (histogram.get_end_time_stamp() - histogram.get_start_time_stamp()) / 1000
            stretch = Stretch(round(at_s, 3), round(length_s, 3), *counted(histogram))
            told.setdefault(histogram.get_tag() or "", []).append(stretch)
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # the decoder lets through whatever zlib, base64 and ctypes say
        raise DeployError(f"{path} is no histogram log: {error}") from error
    if not told:
        raise DeployError(f"{path} is no histogram log, or there is nothing in it")
    return told


def _intervals(path: Path) -> Iterator[tuple[HdrHistogram, float]]:
    with closing(HistogramLogReader(str(path), empty_histogram())) as reader:
        while (histogram := reader.get_next_interval_histogram()) is not None:
            yield histogram, reader.get_start_time_sec()
