"""Percentiles against exact ones, how many samples they need, and how sure they are."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.loadtest.judging.percentiles import SHARES, BlockTable, exact, figures, samples_needed
from deploy.loadtest.measuring.histograms import histogram_of, merged, quantile, quantised

LATENCIES_US = st.lists(st.integers(1, 3600 * 1_000_000), min_size=1, max_size=300)


@settings(max_examples=60)
@given(LATENCIES_US, st.sampled_from(sorted(SHARES.values())))
def test_a_percentile_of_a_histogram_is_at_most_a_thousandth_off(values: list[int], share: float) -> None:
    right = np.quantile(values, share, method="inverted_cdf")
    assert quantile(histogram_of(values), share) == pytest.approx(right, rel=1e-3)
    assert exact(np.array(values, float), share) == right


@pytest.mark.parametrize("sigma", [0.2, 1.0, 2.0])
def test_percentiles_of_many_latencies(sigma: float) -> None:
    values = np.random.default_rng(1).lognormal(math.log(20_000), sigma, 100_000).astype(int)
    histogram = histogram_of(values)
    for share in SHARES.values():
        right = np.quantile(values, share, method="inverted_cdf")
        assert quantile(histogram, share) == pytest.approx(right, rel=1e-3)


@settings(max_examples=20)
@given(st.lists(LATENCIES_US, min_size=1, max_size=5))
def test_merged_shards_are_one_histogram(shards: list[list[int]]) -> None:
    whole = histogram_of([value for shard in shards for value in shard])
    together = merged(map(histogram_of, shards))
    assert list(together.counts) == list(whole.counts)
    assert together.get_total_count() == whole.get_total_count()
    assert (together.get_min_value(), together.get_max_value()) == (whole.get_min_value(), whole.get_max_value())


@settings(max_examples=60)
@given(LATENCIES_US)
def test_all_at_once_is_as_one_by_one(values: list[int]) -> None:
    one_by_one = histogram_of([])
    for value in values:
        one_by_one.record_value(value)
    at_once = histogram_of(values)
    assert list(at_once.counts) == list(one_by_one.counts)
    assert [one_by_one.get_lowest_equivalent_value(value) for value in values] == list(quantised(values))


def few_beyond(n: int, share: float) -> float:
    return sum(math.comb(n, k) * (1 - share) ** k * share ** (n - k) for k in (0, 1))


@pytest.mark.parametrize(("share", "needed"), [(0.5, 11), (0.9, 64), (0.99, 662), (0.999, 6636)])
def test_samples_that_a_percentile_needs(share: float, needed: int) -> None:
    assert samples_needed(share) == needed
    assert few_beyond(needed, share) <= 0.01 < few_beyond(needed - 1, share)


def test_a_percentile_of_too_few_samples_is_withheld() -> None:
    told = figures(np.arange(661.0))
    assert (told.p90, told.p99, told.n) == (594.0, None, 661)
    assert told.withheld["p99"] == "661 samples, 662 are needed"
    assert figures(np.arange(662.0)).p99 == 655.0
    nothing = figures([])
    assert (nothing.p50, nothing.max, nothing.mean) == (None, None, None)
    assert nothing.withheld["p50"] == "0 samples, 11 are needed"


def test_unanswered_events_are_later_than_everything() -> None:
    told = figures(np.arange(1000.0), unanswered=1000)
    assert told.p50 == 999.0
    assert (told.p90, told.p99, told.max, told.mean) == (None, None, None, None)
    assert told.withheld["p90"] == "it falls among the 1000 of 2000 events that are without an answer"
    assert (told.n, told.unanswered) == (2000, 1000)


def covered(block_s: float, runs: int = 80) -> tuple[int, float]:
    """How often the interval of the median holds the true one, and how wide it is, where latency wanders slowly."""
    hits, widths = 0, []
    for seed in range(runs):
        chance = np.random.default_rng(seed)
        at_s = np.sort(chance.uniform(0, 120, 3000))
        # A queue that is long or short for `block_s` at a time.
        level = chance.normal(0, 1, int(120 / block_s) + 1)[(at_s / block_s).astype(int)]
        told = figures(100 + 10 * level + chance.normal(0, 3, at_s.size), at_s=at_s)
        interval = told.intervals["p50"]
        hits += interval.low <= 100 <= interval.high
        widths.append(interval.high - interval.low)
    return hits, float(np.mean(widths))


def test_intervals_hold_the_truth_though_neighbours_are_alike() -> None:
    hits, width = covered(block_s=2.0)
    # Of 80 intervals of 95 % at least 68 hold it, but for one time in a thousand.
    assert hits >= 68
    # Events drawn one by one would be as sure as if nothing wandered.
    assert width > 3 * covered(block_s=0.01, runs=20)[1]


def test_an_interval_beyond_the_unanswered_is_left_out() -> None:
    at_s = np.linspace(0, 60, 1000)
    late = np.linspace(30, 60, 9)
    told = figures(np.full(1000, 5.0), 9, at_s=at_s, unanswered_at_s=late)
    assert told.p99 == 5.0
    assert "p99" not in told.intervals
    assert told.intervals["p50"].low == pytest.approx(5.0, rel=1e-3)


def test_there_is_no_interval_of_a_few_blocks() -> None:
    assert figures(np.full(900, 5.0), at_s=np.repeat([0.0, 1.0, 2.0], 300)).intervals == {}
    assert BlockTable.from_stretches([]).drawn([0.5]).size == 0


@given(st.lists(st.floats(0.001, 1e6), max_size=40), st.integers(0, 5))
def test_there_are_figures_of_any_few_samples(values_ms: list[float], unanswered: int) -> None:
    at_s = np.arange(len(values_ms), dtype=float)
    found = figures(values_ms, unanswered, at_s=at_s, unanswered_at_s=np.arange(unanswered, dtype=float))
    assert found.n == len(values_ms) + unanswered
    assert found.intervals.keys() <= {name for name in SHARES if getattr(found, name) is not None}
    assert (found.p50 is None) == ("p50" in found.withheld)


def test_the_same_samples_give_the_same_interval() -> None:
    values = np.random.default_rng(3).exponential(10, 2000)
    at_s = np.linspace(0, 60, 2000)
    assert figures(values, at_s=at_s) == figures(values, at_s=at_s)
