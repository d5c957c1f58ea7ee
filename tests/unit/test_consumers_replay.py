"""What a replay hands to the engine, where it begins and ends, and what it counts."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.core import actions, signals
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy, Tries
from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from consumers.tools.log_reader import Span
from consumers.tools.pace import Pace
from consumers.tools.replay_feed import VIRTUAL, Feed
from consumers.tools.replay_range import between
from consumers.tools.replay_tally import Tally
from serve.schemas.exchange import EnrichItem, ErrorLine, ResultLine
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo, ListingResult, Output, Position
from tests.support.index_contract import output
from tests.support.listing_events import result_for, source_record, structured_bytes

TP = TopicPartition("new", 0)


def record(offset: int, listing: str = "l1", revision: int = 1) -> SourceRecord:
    return source_record(TP, offset, structured_bytes(f"e{offset}", listing, revision))


def taken(feed: Feed, now: float = 0.0) -> list[SourceRecord]:
    """Everything that may go now."""
    found = []
    while (copy := feed.next(now)) is not None:
        found.append(copy)
    return found


def origins(copies: list[SourceRecord]) -> list[int]:
    return [copy.retried.origin.offset for copy in copies if copy.retried is not None]


def test_of_one_listing_one_at_a_time_and_others_pass() -> None:
    feed = Feed()
    feed.add([record(0), record(1), record(2, "l2"), record(3)])
    assert origins(taken(feed)) == [0, 2]
    assert taken(feed) == []
    feed.done(record(0))
    assert origins(taken(feed)) == [1]
    feed.done(record(2, "l2"))
    assert taken(feed) == []
    feed.done(record(1))
    assert origins(taken(feed)) == [3]
    assert feed.busy
    feed.done(record(3))
    assert not feed.busy


def test_bad_events_wait_for_nobody() -> None:
    feed = Feed()
    feed.add([source_record(TP, offset, b"{") for offset in range(3)])
    assert origins(taken(feed)) == [0, 1, 2]


def test_a_delayed_event_comes_again_when_it_is_due_and_its_listing_waits() -> None:
    feed = Feed()
    feed.add([record(0), record(1), record(2, "l2")])
    taken(feed)
    event = parse(record(0))
    assert isinstance(event, ListingEvent)
    error = ErrorInfo(code="later", retry=RetryClass.DELAYED, message="later")
    feed.later(actions.PublishRetry(1, record(0), event, error, Tries(1, 1, 1), 5.0, 0), due_at=30.0)
    assert feed.delayed == 1
    assert taken(feed, 29.9) == []
    (again,) = taken(feed, 30.0)
    told = again.retried
    assert told is not None
    assert (told.origin, told.transient, told.delayed, told.broken) == (record(0), 1, 1, 1)
    assert (told.first_failed_at, told.due_at) == (5.0, 30.0)
    assert feed.event(again) is event
    feed.done(record(0))
    assert origins(taken(feed, 31.0)) == [1]


@settings(deadline=None)
@given(listings=st.lists(st.sampled_from("abc"), max_size=30), data=st.data())
def test_each_event_goes_once_in_the_order_of_its_listing(listings: list[str], data: st.DataObject) -> None:
    feed = Feed()
    records = [record(offset, listing) for offset, listing in enumerate(listings)]
    feed.add(records)
    under_way: list[int] = []
    given_out: list[int] = []
    numbers: list[int] = []
    while feed.busy:
        copies = taken(feed)
        numbers += [copy.offset for copy in copies]
        under_way += origins(copies)
        given_out += origins(copies)
        assert len({listings[offset] for offset in under_way}) == len(under_way)
        ended = data.draw(st.sampled_from(under_way))
        under_way.remove(ended)
        feed.done(records[ended])
    assert sorted(given_out) == list(range(len(listings)))
    assert numbers == sorted(set(numbers)), "the engine takes lower offsets for repeats"
    for listing in "abc":
        own = [offset for offset in given_out if listings[offset] == listing]
        assert own == sorted(own)
    assert (feed.held, feed.held_bytes) == (0, 0)


@settings(deadline=None)
@given(
    listings=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40),
    seed=st.integers(0, 2**16),
    revisions=st.randoms(use_true_random=False),
)
def test_the_real_engine_answers_every_event_once(listings: list[str], seed: int, revisions: Random) -> None:
    records = [record(offset, listing, revisions.randint(1, 9)) for offset, listing in enumerate(listings)]
    feed, random = Feed(), Random(seed)
    engine = Engine(Limits(), RetryPolicy(), Random(seed), feed.event)
    feed.add(records)
    ends: Counter[int] = Counter()
    waiting: list[signals.Signal] = [signals.Assigned(VIRTUAL, 0)]
    now = 0.0
    while feed.busy:
        now += 1.0
        assert now < 100_000, "it goes on for ever"
        if copies := taken(feed, now):
            waiting.append(signals.Received(copies))
        wanted, waiting = engine.handle(now, waiting), []
        for action in wanted:
            match action:
                case actions.Send(items=items, request_id=number):
                    for item in items:
                        waiting.append(signals.Answered(_line(item.exchange(), random)))
                    waiting.append(signals.StreamEnded(number))
                case actions.PublishRetry():
                    feed.later(action, now + 30)
                    waiting.append(signals.Published(action.token))
                case actions.Publish() | actions.PublishDead():
                    waiting.append(signals.Published(action.token))
                case actions.Commit():
                    waiting.append(signals.CommitDone(action.commit_id))
                case actions.Finished(record=origin):
                    assert action.outcome != "superseded"
                    ends[origin.offset] += 1
                    feed.done(origin)
    assert ends == Counter(range(len(listings)))


def _line(item: EnrichItem, random: Random) -> ResultLine | ErrorLine:
    retry = random.choice([None, None, RetryClass.TRANSIENT, RetryClass.DELAYED, RetryClass.PERMANENT])
    if retry is None:
        return ResultLine(ref=item.ref, result=result_for(item))
    return ErrorLine(ref=item.ref, error=ErrorInfo(code="x", retry=retry, message="x"))


SPANS = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda ends: Span(min(ends), max(ends)))


@settings(deadline=None)
@given(held=SPANS, start=st.integers(0, 25), end=st.integers(0, 25))
def test_a_range_is_what_was_asked_for_and_is_there(held: Span, start: int, end: int) -> None:
    asked = set(range(start, end))
    found = between({TP: held}, {TP: start}, {TP: end})
    read = {offset for span in found.spans.values() for offset in range(span.start, span.end)}
    assert read == asked & set(range(held.start, held.end))
    assert found.size == len(read)
    assert found.removed == len(asked & set(range(held.start)))


def _result(*outputs: Output) -> ListingResult:
    item = EnrichItem.model_validate(
        {
            "ref": 1, "event_id": "e", "event_source": "s", "type": "org.vitrine.catalog.listing.created.v1",
            "position": Position(topic="t", partition=0, offset=0),
            "listing": {"tenant_id": "acme", "listing_id": "l", "revision": 1},
        }
    )  # fmt: skip
    return result_for(item).model_copy(update={"outputs": list(outputs)})


def test_a_result_counts_once_and_when_the_broker_has_it() -> None:
    tally = Tally()
    event = parse(record(0))
    assert isinstance(event, ListingEvent)
    reused = output("k1").model_copy(update={"reused": True})
    for token in (1, 2):  # the second is the same, sent again
        tally.going_out(actions.Publish(token, record(0), event, _result(output("k1"), reused, output("k2"))))
    assert (tally.done, tally.images) == (0, 0)
    tally.finished(actions.Finished(record(0), "e0", "enriched", None, 1))
    assert (tally.done, tally.images, tally.reused, tally.repeated) == (1, 3, 1, 1)


def test_failures_are_told_with_place_and_reason() -> None:
    tally = Tally()
    error = ErrorInfo(code="bad", retry=RetryClass.PERMANENT, message="no good")
    tally.going_out(actions.PublishDead(1, record(4), parse(record(4)), error, 2, 0.0, 0.0))
    tally.finished(actions.Finished(record(4), "e4", None, "bad", 2))
    (failure,) = tally.failures
    assert (failure.topic, failure.partition, failure.offset) == ("new", 0, 4)
    assert (failure.event_id, failure.code, failure.message, failure.attempts) == ("e4", "bad", "no good", 2)
    assert (tally.codes, tally.outcomes) == ({"bad": 1}, {})


@settings(deadline=None)
@given(per_s=st.floats(0.1, 1000), steps=st.lists(st.floats(0, 1), max_size=50))
def test_a_pace_is_kept(per_s: float, steps: list[float]) -> None:
    pace, now, went = Pace(per_s), 0.0, 0
    for step in steps:
        now += step
        while not pace.due_in(now):
            pace.went(now)
            went += 1
    assert went <= 1 + (now + 0.2) * per_s
    assert Pace(None).due_in(0.0) == 0.0
