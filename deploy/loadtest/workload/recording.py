"""The times of a recorded trace: a table, a file of events, or the schedule of an earlier run."""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from pydantic_core import from_json

from deploy.errors import DeployError
from deploy.loadtest.workload.processes import Times

#: Names of the field or column that has the time, the first one counts.
_NAMES = ("at", "time", "timestamp", "seconds")
_GZIP = b"\x1f\x8b"


def read_times(path: Path) -> Times:
    """The times in a file, ascending seconds from 0 on; raise `DeployError` with the line where it is broken.

    Either JSON objects, one a line, with the time in a field `at` or `time` (schedules, CloudEvents), or a table with
    commas, with the time in the column of such a name, or in the first one if there is no head. A time is a number of
    seconds or a date with time after ISO 8601, in UTC unless it says otherwise. The file may be gzipped.
    """
    try:
        with closing(_opened(path)) as file:
            times = np.fromiter(_times(TextIOWrapper(cast("BinaryIO", file), "utf-8")), np.float64)
    except (OSError, EOFError, zlib.error) as error:
        raise DeployError(f"the trace {path} cannot be read: {error}") from error
    except ValueError as error:
        raise DeployError(f"the trace {path} cannot be used: {error}") from error
    if not times.size:
        raise DeployError(f"the trace {path} has no times")
    times.sort()
    return np.asarray(times - times[0], np.float64)


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as file:
        zipped = file.read(len(_GZIP)) == _GZIP
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _times(file: Iterable[str]) -> Iterator[float]:
    lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    first = next(lines, None)
    if first is None:
        return
    read = _objects if first[1].lstrip().startswith("{") else _rows
    yield from read(chain([first], lines))


def _objects(lines: Iterable[tuple[int, str]]) -> Iterator[float]:
    for number, line in lines:
        try:
            document = from_json(line)
            found = next((document[name] for name in _NAMES if name in document), None)
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number} is no JSON object") from error
        # The head of a schedule.
        if number == 1 and "format" in document:
            continue
        yield _seconds(found, number)


def _rows(lines: Iterable[tuple[int, str]]) -> Iterator[float]:
    numbers, column = [0], 0

    def texts() -> Iterator[str]:
        for number, line in lines:
            numbers[0] = number
            yield line

    for count, row in enumerate(csv.reader(texts())):
        names = [cell.strip().lower() for cell in row]
        if count == 0 and (named := [names.index(one) for one in _NAMES if one in names]):
            column = named[0]
            continue
        yield _seconds(row[column] if column < len(row) else None, numbers[0])


def _seconds(value: Any, line: int) -> float:
    """Seconds since whenever; raise `ValueError`."""
    if isinstance(value, str):
        value = value.strip()
        try:
            value = float(value)
        except ValueError:
            value = _date(value, line)
    if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
        raise ValueError(f"line {line} has no time")
    return float(value)


def _date(text: str, line: int) -> float:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"line {line}: {text[:40]!r} is no time") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
