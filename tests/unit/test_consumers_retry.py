"""The retry policy: every decision is a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.retry import DeadLetter, RetryLater, RetryNow, RetryPolicy, Tries, Wait
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo

POLICY = RetryPolicy(max_attempts=3, base_s=0.5, cap_s=20.0)
uniform = st.floats(0, 1)


def error(retry: RetryClass, retry_after_s: float | None = None) -> ErrorInfo:
    return ErrorInfo(code="some_code", retry=retry, message="m", retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        (Tries(), RetryNow(0.25)),  # 0.5 * 0.5 * 2**0
        (Tries(transient=1), RetryNow(0.5)),  # 0.5 * 0.5 * 2**1
        (Tries(transient=2), DeadLetter("some_code")),  # this was the third
        (Tries(delayed=3), DeadLetter("some_code")),  # the last tier was used: this try was sent as final
    ],
)
def test_transient(tries, expected):
    assert POLICY.decide(error(RetryClass.TRANSIENT), tries, 0.5) == expected


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        (Tries(), RetryLater(30.0, 0)),
        (Tries(delayed=1), RetryLater(300.0, 1)),
        (Tries(transient=1, delayed=2), RetryLater(1800.0, 2)),
        (Tries(delayed=3), DeadLetter("some_code")),
        (Tries(transient=2), DeadLetter("some_code")),
    ],
)
def test_delayed(tries, expected):
    assert POLICY.decide(error(RetryClass.DELAYED), tries, 0.5) == expected


@given(uniform, st.builds(Tries, st.integers(0, 9), st.integers(0, 9)))
def test_permanent_is_never_tried_again(random, tries):
    assert POLICY.decide(error(RetryClass.PERMANENT), tries, random) == DeadLetter("some_code")


@given(uniform, st.builds(Tries, st.integers(0, 9), st.integers(0, 9)), st.integers(0, 10**6))
def test_back_pressure_costs_nothing_and_never_ends(random, tries, waits):
    decision = POLICY.decide(error(RetryClass.BACK_PRESSURE), tries, random, waits)
    assert isinstance(decision, Wait)
    assert POLICY.wait_base_s / 2 <= decision.delay_s <= POLICY.wait_cap_s


@given(uniform, st.integers(0, 1))
def test_jitter_is_full_and_bounded(random, transient):
    decision = POLICY.decide(error(RetryClass.TRANSIENT), Tries(transient), random)
    assert isinstance(decision, RetryNow)
    assert decision.delay_s == pytest.approx(random * 0.5 * 2**transient)


def test_the_other_side_may_ask_for_more_time_but_not_for_ever():
    assert POLICY.decide(error(RetryClass.TRANSIENT, 3.0), Tries(), 0.5) == RetryNow(3.0)
    assert POLICY.decide(error(RetryClass.TRANSIENT, 1e9), Tries(), 0.5) == RetryNow(POLICY.cap_s)
    assert POLICY.decide(error(RetryClass.BACK_PRESSURE, 1e9), Tries(), 0.5) == Wait(POLICY.wait_cap_s)


@given(st.lists(st.sampled_from([RetryClass.TRANSIENT, RetryClass.DELAYED]), min_size=10, max_size=10))
def test_an_event_ends_with_the_try_that_was_called_final(classes):
    tries, finals = Tries(), 0
    for number, retry in enumerate(classes, 1):
        assert tries.attempt == number
        final = POLICY.is_final(tries)
        finals += final
        decision = POLICY.decide(error(retry), tries, 0.5)
        assert isinstance(decision, DeadLetter) == final
        if final:
            break
        tries = tries.plus(retry)
    assert finals == 1
