"""How far a group is behind, against a plain count of offsets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.core import bitmap
from consumers.records import TopicPartition
from consumers.tools.lag import Idle, Reading, Row, Totals, done_of, row_of
from consumers.tools.log_reader import Span

TP = TopicPartition("new", 0)
SPANS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: Span(min(ends), max(ends)))


def reading(held: Span, committed: int | None, done: frozenset[int] = frozenset()) -> Reading:
    metadata = "" if committed is None else bitmap.encode(committed, done)
    return Reading(tp=TP, held=held, committed=committed, metadata=metadata)


@settings(deadline=None)
@given(held=SPANS, committed=st.integers(0, 70), beyond=st.frozensets(st.integers(1, 40)))
def test_what_is_left_is_what_the_topic_holds_less_what_is_done(
    held: Span, committed: int, beyond: frozenset[int]
) -> None:
    done = frozenset(committed + place for place in beyond)
    row = row_of(reading(held, committed, done))
    left = {offset for offset in range(*held) if offset >= committed and offset not in done}
    assert row.open == len(left)
    assert row.oldest == min(left, default=None)
    assert row.lag == len([offset for offset in range(*held) if offset >= committed])
    assert row.done == row.lag - row.open
    never = {offset for offset in range(held.start) if offset >= committed and offset not in done}
    assert row.removed == len(never)


@settings(deadline=None)
@given(held=SPANS)
def test_without_a_commit_all_or_nothing_is_left(held: Span) -> None:
    assert row_of(reading(held, None)).open == held.size
    row = row_of(reading(held, None), from_earliest=False)
    assert (row.open, row.oldest, row.removed) == (0, None, 0)
    assert row.note == "no commit"


@pytest.mark.parametrize("metadata", ["", "foreign", "AAAA", "\xff" * 5000])
def test_foreign_metadata_says_nothing(metadata: str) -> None:
    strange = Reading(tp=TP, held=Span(0, 9), committed=3, metadata=metadata)
    assert done_of(strange) == frozenset()
    assert row_of(strange).open == 6


@pytest.mark.parametrize(
    ("committed", "word"),
    [(None, "no commit"), (5, ""), (2, "3 removed by retention"), (9, ""), (10, "beyond the end")],
)
def test_what_is_odd_is_said(committed: int | None, word: str) -> None:
    note = row_of(reading(Span(5, 9), committed)).note
    assert word in note
    assert bool(word) == bool(note)


def row(lag: int, age_s: float | None = None, *, done: int = 0, committed: int = 0) -> Row:
    return Row(tp=TP, committed=committed, end=99, lag=lag, done=done, member=None, oldest=None, age_s=age_s)


def test_totals_take_the_oldest() -> None:
    totals = Totals.of([row(3, 1.5, done=1), row(4), row(0, 7.0)])
    assert (totals.lag, totals.done, totals.open, totals.age_s) == (7, 1, 6, 7.0)
    assert Totals.of([row(1)]).age_s is None
    assert Totals.of([]) == Totals()


def test_idle_is_the_time_since_something_was_done() -> None:
    idle = Idle()
    assert idle.seconds(10.0, [row(9)]) == 0.0
    assert idle.seconds(14.0, [row(20)]) == 4.0, "more to do is no progress"
    assert idle.seconds(15.0, [row(20, done=1)]) == 0.0
    assert idle.seconds(17.0, [row(20, committed=1)]) == 2.0, "the same sum: what was beyond is below now"
    assert idle.seconds(18.0, [row(20, committed=2)]) == 0.0
    assert idle.seconds(20.0, []) == 0.0, "a partition went"
