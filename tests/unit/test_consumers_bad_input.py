"""What the engine makes of a flood of one listing, and of clocks that jump."""

from collections import Counter, deque
from itertools import islice
from random import Random

import pytest

from consumers.core import actions, signals
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.records import Retried, SourceRecord, TopicPartition
from consumers.retries import read
from serve.schemas.exchange import ResultLine
from tests.support.listing_events import result_for, source_record, structured_bytes

TP = TopicPartition("listings.new", 0)
RETRY = TopicPartition("listings.retry.30s", 0)
LIMITS = Limits()
DELETED = "org.vitrine.catalog.listing.deleted.v1"


class Flood:
    """Feeds one partition to an engine as fast as it takes it, with a Serve that answers every few turns."""

    def __init__(self, records: int, revision: dict[int, int], kind: str | None = None) -> None:
        self.engine = Engine(LIMITS, RetryPolicy(), Random(1))
        self.left = iter(range(records))
        self.revision = revision
        self.more = {} if kind is None else {"type": kind}
        self.paused = True
        self.under_way: deque[tuple[int, signals.Signal]] = deque()
        self.ends: dict[int, str] = {}
        self.worked: list[int] = []
        self.most = 0
        self.committed = 0

    def run(self) -> None:
        self.carry_out(self.engine.handle(0.0, [signals.Assigned(TP, 0)]), 0)
        turn = 0
        while self.engine.busy or not self.paused or self.under_way or self.committed < len(self.ends):
            turn += 1
            happened: list[signals.Signal] = []
            while self.under_way and self.under_way[0][0] <= turn:
                happened.append(self.under_way.popleft()[1])
            # Three turns for a poll: acknowledgements come faster than records.
            if not self.paused and turn % 3 == 0:
                batch = [self.record(offset) for offset in islice(self.left, LIMITS.poll_batch)]
                happened.append(signals.Received(batch))
                self.paused = not batch
            self.carry_out(self.engine.handle(turn * 0.05, happened), turn)
            self.most = max(self.most, self.engine.status().buffered)

    def record(self, offset: int) -> SourceRecord:
        value = structured_bytes(f"e{offset}", "the-one", self.revision.get(offset, offset), **self.more)
        return source_record(TP, offset, value)

    def carry_out(self, wanted: list[actions.Action], turn: int) -> None:
        for action in wanted:
            match action:
                case actions.Send(items=items):
                    assert len(items) == 1, "two events of a listing are under way at once"
                    self.worked.append(items[0].event.listing.revision)
                    line = ResultLine(ref=items[0].ref, result=result_for(items[0]))
                    self.under_way.append((turn + 3, signals.Answered(line)))
                case actions.Publish(token=token) | actions.Supersede(token=token):
                    assert action.record.offset not in self.ends, "answered twice"
                    self.ends[action.record.offset] = type(action).__name__
                    self.under_way.append((turn + 1, signals.Published(token)))
                case actions.Commit(commit_id=number, offsets=offsets):
                    self.committed = offsets[TP].offset
                    self.under_way.append((turn + 3, signals.CommitDone(number)))
                case actions.Pause():
                    self.paused = True
                case actions.Resume():
                    self.paused = False
                case _:
                    pass


@pytest.mark.parametrize(("order", "count"), [("rising", 100_000), ("shuffled", 10_000)])
def test_a_hundred_thousand_events_of_one_listing(order: str, count: int) -> None:
    revisions = list(range(count))
    if order == "shuffled":
        Random(2).shuffle(revisions)
    flood = Flood(count, dict(enumerate(revisions)))
    flood.run()
    assert flood.ends.keys() == set(range(count))
    ends = Counter(flood.ends.values())
    assert ends["Supersede"] > 0.9 * count
    # The newest one is worked on, and whoever is not the newest by then need not be.
    assert max(flood.worked) == count - 1
    assert flood.most <= LIMITS.buffered_high
    assert flood.committed == count


def test_deletions_are_all_worked_on_one_after_another_in_bounded_memory() -> None:
    flood = Flood(5_000, {}, DELETED)
    flood.run()
    assert flood.worked == list(range(5_000))
    assert flood.most <= LIMITS.window
    assert flood.committed == 5_000


def test_many_events_of_one_revision_leave_nothing_behind() -> None:
    flood = Flood(5_000, dict.fromkeys(range(5_000), 7))
    flood.run()
    assert flood.worked == [7] * 5_000
    assert flood.committed == 5_000
    assert len(flood.engine._dispatcher._lanes) == 0


def retried(offset: int, due_at: float) -> SourceRecord:
    origin = source_record(TP, offset, structured_bytes(f"e{offset}", f"l{offset}"))
    told = Retried(origin, transient=0, delayed=1, broken=0, first_failed_at=0.0, due_at=due_at)
    return SourceRecord(RETRY, offset, None, origin.value, retried=told)


def test_a_clock_that_jumps_back_delays_a_retry_and_loses_none() -> None:
    engine = Engine(LIMITS, RetryPolicy(), Random(1))
    engine.handle(1000.0, [signals.Assigned(RETRY, 0)])
    said = engine.handle(1000.0, [signals.Received([retried(0, due_at=1030.0)])])
    assert actions.SeekBack(RETRY, 0) in said
    assert any(isinstance(action, actions.Pause) for action in said) or RETRY in engine.status().paused
    for now in (400.0, 1029.0):
        assert not [action for action in engine.handle(now) if isinstance(action, actions.Resume | actions.Send)]
    assert actions.Resume([RETRY]) in engine.handle(1030.0)
    # Back again, while the record comes a second time: the engine's time has not moved, and it is due.
    said = engine.handle(10.0, [signals.Received([retried(0, due_at=1030.0)])])
    assert [item.event_id for send in said if isinstance(send, actions.Send) for item in send.items] == ["e0"]


@pytest.mark.parametrize("wrong_by_s", [-86_400.0, -1.0, 0.0, 1.0, 86_400.0])
def test_a_wrong_timestamp_never_holds_a_retry_longer_than_its_delay(wrong_by_s: float) -> None:
    """The clock of the broker that stamped it against ours, which may have been set in between."""
    wall, now, delay_s = 1_800_000_000.0, 500.0, 30.0
    headers = {
        "vitrine-original-topic": b"listings.new",
        "vitrine-original-partition": b"0",
        "vitrine-original-offset": b"7",
        "vitrine-original-timestamp": b"0",
        "vitrine-tries-transient": b"0",
        "vitrine-tries-delayed": b"1",
        "vitrine-tries-broken": b"0",
        "vitrine-first-failed-at": b"2026-11-21T00:00:00+00:00",
    }
    stamped_ms = int((wall + wrong_by_s) * 1000)
    record = SourceRecord(RETRY, 0, None, b"{}", tuple(headers.items()), stamped_ms)
    told = read(record, delay_s, wall - now, now).retried
    assert told is not None
    assert 0.0 <= told.due_at - now <= delay_s
    assert told.due_at - now == pytest.approx(min(max(delay_s + wrong_by_s, 0.0), delay_s))
