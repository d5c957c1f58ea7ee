"""Arrival times: ascending, within bounds, the same for the same seed, and distributed as their name says."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deploy.errors import DeployError
from deploy.loadtest.workload.arrivals import Arrivals

Times = NDArray[np.float64]
#: Chosen before the first look at what they give.
SEEDS = (1, 2, 3, 7, 42, 2026)
RATE = 500.0
FACTORS = st.floats(0, 50).map(lambda factor: round(factor, 3))


def times(text: str, rate: float = RATE, duration_s: float = 60.0, seed: int = 1, warmup_s: float = 0.0) -> Times:
    return Arrivals.parse(text).times(rate, duration_s, seed, warmup_s=warmup_s)


def kolmogorov_smirnov(values: Times) -> float:
    """How likely uniform values on [0, 1] are as far from the uniform distribution as these; the asymptotic formula."""
    n = len(values)
    ordered = np.sort(values)
    above = np.max(np.arange(1, n + 1) / n - ordered)
    below = np.max(ordered - np.arange(n) / n)
    # Stephens' correction for finite n.
    scaled = max(above, below) * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))
    p = 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(max(p, 0.0), 1.0)


def test_the_kolmogorov_smirnov_test_can_fail() -> None:
    rng = np.random.default_rng(5)
    assert kolmogorov_smirnov(rng.uniform(size=20_000)) > 0.01
    assert kolmogorov_smirnov(rng.uniform(size=20_000) ** 1.05) < 0.01
    # The critical value for 5 % is 1.358.
    even = (np.arange(10_000) + 0.5) / 10_000
    assert kolmogorov_smirnov(even * (1 - 1.358 / 100)) == pytest.approx(0.05, abs=0.005)


texts = st.one_of(
    st.sampled_from(["poisson", "constant"]),
    st.floats(0.05, 5).map(lambda cv: f"gamma:{cv:.3f}"),
    st.tuples(FACTORS, FACTORS).filter(any).map(lambda two: f"ramp:{two[0]}..{two[1]}"),
    st.lists(FACTORS, min_size=1, max_size=6).filter(any).map(lambda some: "step:" + ",".join(map(str, some))),
    st.tuples(FACTORS, st.floats(0, 0.9), st.floats(0.1, 9)).map(lambda o: f"spike:{o[0]}@{o[1]:.2f}+{o[2]:.2f}"),
)


@settings(max_examples=300)
@given(texts, st.floats(0.1, 300), st.floats(1, 20), st.integers(), st.sampled_from([0.0, 0.5, 3.0]))
def test_times_ascend_within_bounds_and_are_the_same_again(
    text: str, rate: float, duration_s: float, seed: int, warmup_s: float
) -> None:
    found = times(text, rate, duration_s, seed, warmup_s)
    assert found.dtype == np.float64
    assert np.all(np.diff(found) >= 0)
    assert not len(found) or (found[0] >= 0 and found[-1] < warmup_s + duration_s)
    assert np.array_equal(found, times(text, rate, duration_s, seed, warmup_s))


@pytest.mark.parametrize("seed", SEEDS)
def test_poisson_gaps_are_exponential(seed: int) -> None:
    found = times("poisson", seed=seed)
    assert len(found) >= 20_000
    gaps = np.diff(found, prepend=0.0)
    assert abs(gaps.mean() * RATE - 1) < 0.02
    assert kolmogorov_smirnov(1 - np.exp(-RATE * gaps)) > 0.01
    # And where they fall is uniform.
    assert kolmogorov_smirnov(found / 60) > 0.01


def test_another_seed_is_another_schedule() -> None:
    assert not np.array_equal(times("poisson", seed=1)[:100], times("poisson", seed=2)[:100])


def test_constant_gaps_are_all_the_same() -> None:
    found = times("constant", rate=50, duration_s=10)
    assert np.allclose(found, np.arange(500) / 50)
    assert len(times("constant", rate=0.3, duration_s=10)) == 3


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.5])
def test_gamma_gaps_have_their_mean_and_spread(cv: float) -> None:
    gaps = np.diff(times(f"gamma:{cv}", duration_s=200, seed=3), prepend=0.0)
    # Three standard errors of a mean of 100,000.
    assert abs(gaps.mean() * RATE - 1) < 3 * cv / math.sqrt(len(gaps))
    assert gaps.std() * RATE == pytest.approx(cv, rel=0.05)


def expected_share(text: str, t: Times) -> Times:
    """Which share of the events is expected before each time, of a run of 60 s."""
    u = t / 60
    match text:
        case "ramp:0..2":
            return u**2
        case "ramp:3..1":
            return (3 * u - u**2) / 2
        case "step:1,0,3":
            return np.interp(u, [0, 1 / 3, 2 / 3, 1], [0, 0.25, 0.25, 1])
    # spike:10@15+6: 54 s at the rate, 6 s at ten times.
    return np.interp(t, [0, 15, 21, 60], np.array([0, 15, 75, 114]) / 114)


@pytest.mark.parametrize(
    ("text", "events"),
    [("ramp:0..2", 30_000), ("ramp:3..1", 30_000), ("step:1,0,3", 30_000), ("spike:10@15+6", 57_000)],
)
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_changing_rates_are_poisson_in_rescaled_time(text: str, events: int, seed: int) -> None:
    found = times(text, seed=seed)
    assert abs(len(found) - events) < 4 * math.sqrt(events)
    share = expected_share(text, found)
    assert kolmogorov_smirnov(share) > 0.01
    gaps = np.diff(share, prepend=0.0) * events
    assert kolmogorov_smirnov(1 - np.exp(-gaps)) > 0.01


def test_what_changes_over_time_begins_after_the_warm_up() -> None:
    warm = times("ramp:1..3", warmup_s=20)
    # The mean factor is 2, so the ramp begins at half the rate, and so does the warm-up.
    assert abs(np.sum(warm < 20) - 5000) < 4 * math.sqrt(5000)
    assert abs(np.sum(warm >= 20) - 30_000) < 4 * math.sqrt(30_000)
    spike = times("spike:0@5+5", warmup_s=20)
    assert not np.any((spike >= 25) & (spike < 30))
    assert np.any((spike >= 5) & (spike < 10))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "poison",
        "poisson:2",
        "gamma",
        "gamma:0",
        "gamma:nan",
        "ramp:1",
        "ramp:0..0",
        "ramp:-1..2",
        "step:",
        "step:1,,2",
        "spike:3",
        "spike:3@1",
        "spike:3@1+0",
        "spike:inf@1+1",
    ],
)
def test_what_cannot_be_read_is_told_with_what_is_possible(text: str) -> None:
    with pytest.raises(DeployError, match="possible: poisson, constant"):
        Arrivals.parse(text)


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 1), (-1, 1), (math.inf, 1), (1, 0), (1e6, 1e6)])
def test_rates_that_cannot_be_planned(rate: float, duration_s: float) -> None:
    with pytest.raises(DeployError):
        times("poisson", rate, duration_s)
    with pytest.raises(DeployError, match="after the end"):
        times("spike:3@70+1")


# -- traces --

STAMPED = '{{"specversion":"1.0","id":"e{0}","time":"2026-01-01T12:00:0{0}.5Z"}}'
FILES = {
    "numbers": "12.5\n11.5\n\n15.5\n",
    "table": "number,at\n1,100\n2,101\n3,104\n",
    "dates": "2026-01-01T00:00:01Z,x\n2026-01-01 00:00:02,y\n2026-01-01T02:00:05+02:00,z\n",
    "events": "\n".join(STAMPED.format(second) for second in (3, 2, 6)),
    "objects": '{"at": 1}\n{"at": 2.0}\n{"at": "5"}\n',
}


@pytest.mark.parametrize("name", FILES)
def test_traces_are_read_in_all_their_forms(name: str, tmp_path: Path) -> None:
    plain, zipped = tmp_path / name, tmp_path / f"{name}.gz"
    plain.write_text(FILES[name])
    zipped.write_bytes(gzip.compress(FILES[name].encode()))
    for file in (plain, zipped):
        assert times(f"trace:{file}").tolist() == pytest.approx([0, 1, 4])
        assert times(f"trace:{file}*2").tolist() == pytest.approx([0, 0.5, 2])
        assert times(f"trace:{file}", duration_s=2, warmup_s=1).tolist() == pytest.approx([0, 1])


@settings(max_examples=50)
@given(seconds=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_trace_keeps_its_distances(seconds: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "trace.csv"
    file.write_text("\n".join(map(repr, seconds)))
    ordered = sorted(seconds)
    assert times(f"trace:{file}", duration_s=1e7, rate=1).tolist() == [one - ordered[0] for one in ordered]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no times"),
        ("at\n", "no times"),
        ("1\nnever\n", "line 2: 'never'"),
        ('{"at":1}\n{"at":', "line 2 is no JSON"),
        ('{"at":1}\n\n{"id":3}', "line 3 has no time"),
        ("id,at\n1,2\n3\n", "line 3 has no time"),
        ("nan\n", "line 1 has no time"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
        (b"\xff\xfe\xff", "cannot be used"),
    ],
)
def test_broken_traces_are_told_with_their_line(content: str | bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DeployError, match=told):
        Arrivals.parse(f"trace:{file}")


def test_a_trace_that_is_not_there() -> None:
    with pytest.raises(DeployError, match="cannot be read"):
        Arrivals.parse("trace:/nowhere/at/all")
    with pytest.raises(DeployError, match="possible"):
        Arrivals.parse("trace:")
