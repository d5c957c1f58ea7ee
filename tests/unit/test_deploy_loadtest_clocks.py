"""Offsets of other machines' clocks from simulated events, and jumps of our own."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.loadtest.measuring.clock_watch import Clocks, ClockWatch, read_clocks
from deploy.loadtest.measuring.clocks import Offset, estimate, read_own_clock
from serve.schemas.clock import clock_name

SECOND = 1_000_000_000
Times = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def events(offset_ns: int, chance: np.random.Generator, count: int = 200) -> Times:
    """Sent, first and last told by a clock that is `offset_ns` behind ours, seen."""
    sent = np.sort(chance.integers(0, 60 * SECOND, count))
    first = sent + chance.exponential(0.02, count).__mul__(SECOND).astype(np.int64)
    last = first + chance.exponential(0.1, count).__mul__(SECOND).astype(np.int64)
    seen = last + chance.exponential(0.02, count).__mul__(SECOND).astype(np.int64)
    return sent, first - offset_ns, last - offset_ns, seen


@settings(max_examples=100)
@given(st.integers(-(10**18), 10**18), st.integers(0, 2**32))
def test_the_true_offset_lies_within_the_error(offset_ns: int, seed: int) -> None:
    found = estimate(*events(offset_ns, np.random.default_rng(seed)))
    assert found.offset_ns is not None
    assert abs(found.offset_ns - offset_ns) <= found.error_ns
    assert (found.n, found.contradicting) == (200, 0)


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 2), st.sampled_from([-1, 1]))
def test_a_few_contradicting_events_are_told_and_not_trusted(seed: int, wrong: int, sign: int) -> None:
    sent, first, last, seen = events(123 * SECOND, np.random.default_rng(seed))
    first[:wrong] += sign * 1000 * SECOND
    last[:wrong] += sign * 1000 * SECOND
    found = estimate(sent, first, last, seen)
    assert found.contradicting == wrong
    assert found.offset_ns is not None
    assert abs(found.offset_ns - 123 * SECOND) <= found.error_ns


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(20, 180))
def test_a_clock_that_was_set_meanwhile_has_no_offset(seed: int, when: int) -> None:
    sent, first, last, seen = events(0, np.random.default_rng(seed))
    first[when:] += 1000 * SECOND
    last[when:] += 1000 * SECOND
    found = estimate(sent, first, last, seen)
    assert found.offset_ns is None
    assert found.contradicting == min(when, 200 - when)


def test_events_that_took_longer_there_than_here_contradict() -> None:
    sent, first, last, seen = events(0, np.random.default_rng(1))
    last[0] = first[0] + 3600 * SECOND
    assert estimate(sent, first, last, seen).contradicting == 1


def test_a_handful_of_events_says_nothing() -> None:
    assert estimate(*(times[:4] for times in events(0, np.random.default_rng(1)))).offset_ns is None
    nothing = np.zeros(0, np.int64)
    assert estimate(nothing, nothing, nothing, nothing) == Offset(offset_ns=None, error_ns=0, n=0)


def test_intervals_that_touch_agree() -> None:
    lows = np.array([0, 0, 0, 10, 10])
    highs = np.array([10, 10, 10, 20, 20])
    nothing = np.zeros(5, np.int64)
    found = estimate(lows, nothing, nothing, highs)
    assert (found.offset_ns, found.contradicting) == (10, 0)


def test_our_own_clock_is_read_from_the_machine() -> None:
    own, now = read_own_clock(), read_clocks()
    assert own.name == clock_name()
    # A second apart would mean that the clock was set just now.
    assert abs(now.realtime_ns + own.offset_ns - now.monotonic_ns) < SECOND


def watched(*looks: Clocks) -> list[str]:
    watch = ClockWatch()
    for one in looks:
        watch.look(one)
    return watch.jumps


def at(seconds: float, *, day: float = 0.0, asleep: float = 0.0) -> Clocks:
    """After so many seconds awake; the time of day was set by `day`, and the machine slept for `asleep`."""
    awake = round(seconds * SECOND)
    slept = round(asleep * SECOND)
    return Clocks(awake, 10**18 + awake + slept + round(day * SECOND), 10**9 + awake + slept)


@given(st.lists(st.floats(0, 1e5), min_size=1), st.floats(-4e-4, 4e-4))
def test_clocks_that_only_drift_do_not_jump(times: list[float], drift: float) -> None:
    looks = [at(float(one), day=drift * one) for one in np.arange(0, 100, 1.0)]
    assert watched(*looks) == []
    assert watched(*(at(one) for one in sorted(times))) == []


def test_a_step_of_the_time_of_day_is_found_once() -> None:
    [jump] = watched(at(0), at(1), at(2, day=-0.06), at(3, day=-0.06))
    assert jump == "the time of day jumped by -0.060 s, 2 s after the first look"
    assert watched(at(0), at(1, day=0.04)) == []


def test_sleep_is_found_and_is_no_step_of_the_time_of_day() -> None:
    [jump] = watched(at(0), at(1, asleep=30))
    assert jump == "the machine slept 30.00 s, 1 s after the first look"
    assert len(watched(at(0), at(1, asleep=30, day=5))) == 2
