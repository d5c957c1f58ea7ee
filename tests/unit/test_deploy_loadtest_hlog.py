"""The histogram log: written and read back, also by the reader of the library."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import DeployError
from deploy.loadtest.measuring.histograms import quantised
from deploy.loadtest.measuring.hlog import read_hlog, write_hlog

STARTED = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVENTS = st.lists(st.tuples(st.floats(0, 20), st.integers(0, 10**9)), min_size=1, max_size=40)


def spread(values: np.ndarray, counts: np.ndarray) -> list[int]:
    return sorted(np.repeat(quantised(values), counts))


@settings(max_examples=30, deadline=None)
@given(EVENTS, EVENTS)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, intended: list[tuple[float, int]], service: list[tuple[float, int]]
) -> None:
    path = tmp_path_factory.mktemp("hlog") / "run.hlog"
    told = {"intended": intended, "service": service}
    write_hlog(path, {tag: tuple(np.array(events).T) for tag, events in told.items()}, STARTED)
    read = read_hlog(path)
    assert read.keys() == told.keys()
    for tag, events in told.items():
        by_second: dict[int, list[int]] = {}
        for at_s, value in events:
            by_second.setdefault(int(at_s), []).append(value)
        assert [one.at_s for one in read[tag]] == sorted(by_second)
        for one in read[tag]:
            assert one.length_s == 1.0
            assert spread(one.values, one.counts) == sorted(quantised(by_second[int(one.at_s)]))


def test_another_reader_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "run.hlog"
    values = np.random.default_rng(1).integers(1, 10**7, 1000)
    write_hlog(path, {"intended": (np.linspace(0, 9.99, 1000), values)}, STARTED, interval_s=2.0)
    reader = HistogramLogReader(str(path), HdrHistogram(1, 24 * 3600 * 10**6, 3))
    count = 0
    while (one := reader.get_next_interval_histogram()) is not None:
        assert one.get_tag() == "intended"
        assert one.get_start_time_stamp() == STARTED.timestamp() * 1000 + 2000 * count
        assert one.get_total_count() == pytest.approx(200, abs=1)
        count += 1
    reader.close()
    assert count == 5
    assert reader.get_start_time_sec() == STARTED.timestamp()
    first = path.read_text().splitlines()[5]
    assert first.startswith("Tag=intended,0.000,2.000,")
    assert float(first.split(",")[3]) == pytest.approx(max(values[:200]) / 1000, rel=1e-3)


@pytest.mark.parametrize("text", ["", "what is this\n", "Tag=a,0,1,2,HISTnonsense\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.hlog"
    path.write_text(text)
    with pytest.raises(DeployError, match="is no histogram log"):
        read_hlog(path)


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="cannot be read"):
        read_hlog(tmp_path / "none.hlog")
