"""Events that meet back-pressure by themselves: they starve nobody, and they end; an outage ends no event."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core import actions, signals
from consumers.core.actions import Item
from consumers.core.breaker import BreakerState
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.core.waits import Waits
from consumers.records import TopicPartition
from serve.schemas.exchange import ErrorLine, ResultLine
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.listing_events import result_for, source_record, structured_bytes

TP = TopicPartition("listings.new", 0)
LIMITS = Limits()
AWAY = ErrorInfo(code="store_unavailable", retry=RetryClass.BACK_PRESSURE, message="away")


class Shop:
    """One partition that is fetched whenever it is not paused, and a Serve whose store refuses some events."""

    def __init__(self, refuses: Callable[[int, float], bool], *, events: int = 10**9, per_turn: int = 50) -> None:
        self.refuses = refuses
        self.events = events
        self.per_turn = per_turn
        self.engine = Engine(Limits(window=256, poll_batch=50, max_in_flight=8), RetryPolicy(), Random(1))
        self.now = 0.0
        self.received = 0
        self.done: dict[int, str | None] = {}
        self.tries = 0
        self.said = self.engine.handle(0.0, [signals.Assigned(TP, 0), signals.CapacityChanged(8, 32)])

    def run(self, until: float) -> None:
        while self.now < until:
            happened = [signal for action in self.said for signal in self.respond(action)]
            if TP not in self.engine.status().paused and self.received < self.events:
                happened.append(signals.Received([self.record() for _ in range(min(self.per_turn, self.events))]))
            self.now += 0.25
            self.said = self.engine.handle(self.now, happened)

    def respond(self, action: actions.Action) -> list[signals.Signal]:
        match action:
            case actions.Send():
                self.tries += len(action.items)
                return [signals.Answered(self.line(item)) for item in action.items]
            case actions.Publish():
                self.done[action.record.offset] = None
                return [signals.Published(action.token)]
            case actions.PublishDead() | actions.PublishRetry():
                self.done[action.record.offset] = action.error.code
                return [signals.Published(action.token)]
        return []

    def line(self, item: Item) -> ResultLine | ErrorLine:
        if self.refuses(item.position.offset, self.now):
            return ErrorLine(ref=item.ref, error=AWAY)
        return ResultLine(ref=item.ref, result=result_for(item, Outcome.ENRICHED))

    def record(self):
        offset, self.received = self.received, self.received + 1
        return source_record(TP, offset, structured_bytes(f"e{offset}", f"l{offset}"))


@pytest.mark.parametrize("refused", [1, 8, 40])
def test_events_that_are_always_refused_starve_no_other(refused):
    shop = Shop(lambda offset, _: offset < refused, events=200)
    shop.run(300.0)
    answered = {offset for offset, code in shop.done.items() if code is None}
    assert answered == set(range(refused, 200))


def test_an_event_that_is_always_refused_ends_though_its_partition_is_not_blocked():
    shop = Shop(lambda offset, _: offset == 0, events=10**9, per_turn=1)
    shop.engine = Engine(Limits(window=4096, poll_batch=1, max_in_flight=8), RetryPolicy(), Random(1))
    shop.said = shop.engine.handle(0.0, [signals.Assigned(TP, 0), signals.CapacityChanged(8, 32)])
    shop.run(880.0)
    assert 0 not in shop.done
    shop.run(1000.0)
    assert {offset: code for offset, code in shop.done.items() if code} == {0: "store_unavailable"}


def test_the_head_of_a_full_window_is_diverted_and_its_partition_goes_on():
    shop = Shop(lambda offset, _: offset == 0)
    shop.run(120.0)
    assert {offset: code for offset, code in shop.done.items() if code} == {0: "head_blocked"}
    assert shop.received > 1000


@pytest.mark.parametrize("begins", [0.0, 5.0, 17.0])
def test_an_outage_of_hours_ends_no_event(begins):
    shop = Shop(lambda _, now: begins <= now < 9000.0, events=300, per_turn=4)
    shop.run(9600.0)
    assert shop.done == dict.fromkeys(range(300))


def test_an_outage_is_not_asked_without_end():
    shop = Shop(lambda _, now: True, events=100)
    shop.run(3600.0)
    # The gate opens every 5 to 10 s, for one event.
    assert shop.tries < 3600 / 5 + 100


def test_an_outage_pauses_consumption_lets_one_event_try_and_ends_by_itself():
    shop = Shop(lambda _, now: now < 60.0, events=300, per_turn=10)
    shop.run(50.0)
    assert shop.engine.status().breaker is not BreakerState.CLOSED
    assert shop.engine.status().paused == {TP}
    assert shop.received < 150
    tries = shop.tries
    shop.run(59.0)
    assert shop.tries - tries <= 2
    shop.run(120.0)
    assert shop.engine.status().breaker is BreakerState.CLOSED
    assert shop.done == dict.fromkeys(range(300))


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 20)), min_size=1, max_size=200))
def test_stubborn_is_who_waited_often_and_long_while_others_got_through(steps):
    waits, now, proofs = Waits(), 0.0, 7
    for pause, others in steps:
        now += pause
        proofs += others
        waits = waits.plus(now, proofs)
    lasted = now - steps[0][0]
    overtaken = sum(others for _, others in steps[1:])
    expected = len(steps) >= 60 and lasted > 900 and overtaken > LIMITS.max_in_flight
    assert waits.stubborn(now, proofs, LIMITS) == expected or abs(lasted - 900) < 1e-6


@pytest.mark.parametrize(
    ("count", "lasted", "overtaken", "stubborn"),
    [(60, 901.0, 257, True), (59, 901.0, 257, False), (60, 900.0, 257, False), (60, 901.0, 256, False)],
)
def test_one_less_is_not_stubborn(count, lasted, overtaken, stubborn):
    waits = Waits()
    for _ in range(count):
        waits = waits.plus(5.0, 100)
    assert waits.stubborn(5.0 + lasted, 100 + overtaken, LIMITS) == stubborn
