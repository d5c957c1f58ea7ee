"""Events are sent at their times, in order, none is left out, and what reads ahead changes nothing."""

import threading
from collections.abc import Iterator
from itertools import accumulate, count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.loadtest.sending.look_ahead import LookAhead
from deploy.loadtest.sending.pacer import pace
from deploy.loadtest.workload.planned import Kind, Planned
from deploy.loadtest.workload.schedule_file import Due

MS = 1_000_000
START = 5_000 * MS


class ToyClock:
    """Time passes where somebody sleeps, and too much of it by `oversleep_ns`."""

    def __init__(self, oversleep_ns: int = 0) -> None:
        self.time_ns = START - 700 * MS
        self.oversleep_ns = oversleep_ns
        self.longest_ns = 0

    def now_ns(self) -> int:
        return self.time_ns

    def sleep(self, ns: int) -> None:
        self.longest_ns = max(self.longest_ns, ns)
        self.time_ns += ns + self.oversleep_ns


def event(number: int) -> Planned:
    return Planned(number=number, topic="t", key=b"k", value=b"v", kind=Kind.BARE, event_id=f"e-{number}")


def schedule(times_ms: list[int]) -> list[Due]:
    return [Due(at / 1000, event(number)) for number, at in enumerate(times_ms, 1)]


def paced(times_ms: list[int], took_ms: list[int], clock: ToyClock) -> list[tuple[int, int]]:
    """Number and time in ms at which it was handed over; the driver holds each so long."""
    sent = []

    def send(one: Planned) -> None:
        sent.append((one.number, (clock.time_ns - START) // MS))
        clock.time_ns += took_ms[one.number - 1] * MS

    assert pace(schedule(times_ms), START, send, clock=clock)
    return sent


def test_events_go_at_their_times() -> None:
    assert paced([0, 10, 10, 2_500], [0] * 4, ToyClock()) == [(1, 0), (2, 10), (3, 10), (4, 2_500)]


def test_what_is_late_goes_at_once_and_what_follows_is_on_time_again() -> None:
    # The first holds the pacer for 25 ms: 10 and 20 are late, 40 is not.
    assert paced([0, 10, 20, 40], [25, 0, 0, 0], ToyClock()) == [(1, 0), (2, 25), (3, 25), (4, 40)]


def test_a_schedule_that_began_in_the_past_is_sent_whole() -> None:
    clock = ToyClock()
    clock.time_ns = START + 1_000 * MS
    assert [number for number, _ in paced([0, 1, 999], [0] * 3, clock)] == [1, 2, 3]


@given(
    gaps=st.lists(st.integers(0, 400), min_size=1, max_size=40),
    took=st.lists(st.integers(0, 300), min_size=40, max_size=40),
    oversleep_ms=st.integers(0, 3),
)
def test_none_is_early_or_lost_or_out_of_order_and_lag_comes_from_the_driver(
    gaps: list[int], took: list[int], oversleep_ms: int
) -> None:
    times = list(accumulate(gaps))
    clock = ToyClock(oversleep_ms * MS)
    sent = paced(times, took, clock)
    assert [number for number, _ in sent] == list(range(1, len(times) + 1))
    free = -700
    for (_, at), due, held in zip(sent, times, took, strict=False):
        assert at >= due
        # A sleep is cut into pieces, of which only the last one may take it past the moment.
        assert at <= max(due + oversleep_ms, free)
        free = at + held


def test_a_pacer_that_waits_hears_soon_that_it_shall_stop() -> None:
    clock = ToyClock()
    sent: list[Planned] = []
    ended = pace(schedule([3_600_000]), START, sent.append, clock=clock, stopped=lambda: clock.time_ns > START)
    assert (ended, sent) == (False, [])
    assert clock.longest_ns <= 250 * MS


def test_a_pacer_that_is_behind_stops_too() -> None:
    sent: list[Planned] = []
    pace(schedule([0] * 10), START - 10**12, sent.append, clock=ToyClock(), stopped=lambda: len(sent) == 3)
    assert len(sent) == 3


def dues() -> Iterator[Due]:
    return (Due(number / 10, event(number)) for number in count(1))


def test_what_is_read_ahead_is_the_schedule_and_bounded() -> None:
    read = []
    source = (read.append(due.event.number) or due for due in islice(dues(), 1_000))
    ahead = LookAhead(source, events=50)
    ahead.start()
    assert ahead.filled(10)
    # One waits for room beside the 50 that have it.
    assert len(read) <= 51
    assert list(ahead) == list(islice(dues(), 1_000))
    assert list(ahead) == []


def test_a_short_schedule_counts_as_filled() -> None:
    ahead = LookAhead(islice(dues(), 3))
    ahead.start()
    assert ahead.filled(10)
    assert len(list(ahead)) == 3


def test_a_broken_schedule_is_told_after_what_could_be_read() -> None:
    def broken() -> Iterator[Due]:
        yield from islice(dues(), 2)
        raise OSError("the disk")

    ahead = LookAhead(broken())
    ahead.start()
    assert [next(ahead).event.number, next(ahead).event.number] == [1, 2]
    with pytest.raises(OSError, match="the disk"):
        next(ahead)


def test_a_reader_that_waits_for_more_is_let_go() -> None:
    gate = threading.Event()

    def stuck() -> Iterator[Due]:
        gate.wait(20)
        yield from ()

    ahead = LookAhead(stuck())
    ahead.start()
    threading.Timer(0.2, ahead.close).start()
    assert list(ahead) == []
    gate.set()
