"""The breaker of a photo host: when it opens, that it always closes again, and that one fetch at a time may try."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serve.fetcher.breaker import Admission, Breaker, BreakerRules, BreakerState

RULES = BreakerRules(trip_after=3, window_s=60, rest_s=10, longest_rest_s=40, try_s=1)


def failing(breaker: Breaker, now: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(now, breaker.admit(now))


def test_it_opens_after_failures_in_a_row_and_says_how_long() -> None:
    breaker = Breaker(RULES)
    failing(breaker, 0, 2)
    assert breaker.admit(1).admitted
    failing(breaker, 1)
    assert breaker.state(1) is BreakerState.OPEN
    assert breaker.admit(4) == Admission(admitted=False, wait_s=7)


def test_an_answer_between_failures_begins_the_count_anew() -> None:
    breaker = Breaker(RULES)
    failing(breaker, 0, 2)
    breaker.answered()
    failing(breaker, 0, 2)
    assert breaker.state(0) is BreakerState.CLOSED


def test_failures_far_apart_do_not_add_up() -> None:
    breaker = Breaker(RULES)
    for now in (0, 61, 122, 183):
        failing(breaker, now)
        assert breaker.state(now) is BreakerState.CLOSED


def test_one_fetch_tries_and_its_end_decides() -> None:
    breaker = Breaker(RULES)
    failing(breaker, 0, 3)
    probe = breaker.admit(10)
    assert probe == Admission(admitted=True, probe=True)
    assert breaker.admit(10) == Admission(admitted=False, wait_s=1)
    breaker.failed(11, probe)
    assert breaker.wait_s(11) == 20
    breaker.gave_up(breaker.admit(31))
    second = breaker.admit(31)
    assert second.probe
    breaker.answered()
    assert breaker.state(31) is BreakerState.CLOSED
    assert breaker.admit(31) == Admission(admitted=True)


@pytest.mark.parametrize(("rests", "wait_s"), [(1, 10), (2, 20), (3, 40), (4, 40), (2000, 40)])
def test_rests_grow_up_to_the_longest(rests: int, wait_s: float) -> None:
    breaker, now = Breaker(RULES), 0.0
    failing(breaker, now, 3)
    for _ in range(rests - 1):
        now += 40
        failing(breaker, now)
    assert breaker.wait_s(now) == wait_s


class Histories(RuleBasedStateMachine):
    """Any order of admissions, ends and pauses, against a count kept beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(RULES)
        self.now = 0.0
        self.under_way: list[Admission] = []
        self.failed_since_answer: list[float] = []
        #: The fetch that tries at the moment.
        self.probe: Admission | None = None

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 10.0, 40.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        expected = self.breaker.wait_s(self.now)
        admission = self.breaker.admit(self.now)
        assert admission.admitted == (expected == 0)
        assert admission.wait_s == expected
        if admission.admitted:
            self.under_way.append(admission)
        if admission.probe:
            assert self.probe is None
            assert self.breaker.state(self.now) is BreakerState.HALF_OPEN
            self.probe = admission

    @precondition(lambda self: self.under_way)
    @rule(place=st.integers(0, 20), how=st.sampled_from(["answered", "failed", "gave up"]))
    def end(self, place: int, how: str) -> None:
        admission = self.under_way.pop(place % len(self.under_way))
        before = self.breaker.state(self.now)
        was_probe = admission is self.probe
        if was_probe or how == "answered":
            self.probe = None
        if how == "answered":
            self.breaker.answered()
            self.failed_since_answer.clear()
            assert self.breaker.state(self.now) is BreakerState.CLOSED
        elif how == "failed":
            self.breaker.failed(self.now, admission)
            self.failed_since_answer.append(self.now)
            if before is not BreakerState.CLOSED:
                assert (self.breaker.wait_s(self.now) > 0) == (
                    was_probe or before is BreakerState.OPEN or self.probe is not None
                )
            elif self.breaker.state(self.now) is BreakerState.OPEN:
                recent = [time for time in self.failed_since_answer if self.now - time <= RULES.window_s]
                assert len(recent) >= RULES.trip_after
        else:
            self.breaker.gave_up(admission)
            assert self.breaker.state(self.now) is before

    @invariant()
    def it_never_waits_for_ever(self) -> None:
        assert 0 <= self.breaker.wait_s(self.now) <= RULES.longest_rest_s
        if self.probe is None:
            assert self.breaker.wait_s(self.now + RULES.longest_rest_s) == 0


TestHistories = Histories.TestCase
