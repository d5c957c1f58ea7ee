"""The engine with retry topics, revisions, priorities, a full window, a client that is replaced, a log that was cut."""

from consumers.core import actions, bitmap, signals
from consumers.records import Retried, SourceRecord, TopicPartition
from serve.schemas.outcome import RetryClass
from tests.support.engine_driver import TP, Driver
from tests.support.listing_events import source_record, structured_bytes

RETRY = TopicPartition("listings.retry.30s", 0)


def retried(offset: int, due_at: float, *, first: int = 0, delayed: int = 1, broken: int = 0) -> SourceRecord:
    origin = source_record(TP, first, structured_bytes(f"e{first}", f"l{first}", first))
    history = Retried(origin, broken, delayed, broken, 1.5, due_at)
    return source_record(RETRY, offset, origin.value)._replace(retried=history)


def driver_of_both(**limits: object) -> Driver:
    driver = Driver(**limits)
    driver.tell(signals.Assigned(RETRY, 0))
    return driver


def test_what_is_not_due_is_fetched_again_when_it_is():
    driver = driver_of_both()
    driver.tell(signals.Received([retried(0, 0.0), retried(1, 10.0, first=1), retried(2, 20.0, first=2)]))
    assert [item.position.offset for item in driver.sent()] == [0]
    assert driver.got(actions.SeekBack) == [actions.SeekBack(RETRY, 1)]
    assert driver.got(actions.Pause)[0].tps == [RETRY]
    driver.tell(signals.Received([retried(2, 20.0, first=2)]), after=9.9)
    assert driver.sent() == driver.got(actions.Resume) == []
    driver.tell(after=0.2)
    assert driver.got(actions.Resume)[0].tps == [RETRY]
    driver.tell(signals.Received([retried(1, 0.0, first=1), retried(2, 20.0, first=2)]))
    assert [item.event_id for item in driver.sent()] == ["e1"]


def test_a_retried_event_keeps_its_place_and_its_history():
    driver = driver_of_both()
    driver.tell(signals.Received([retried(7, 0.0, first=3, delayed=2)]))
    (item,) = driver.sent()
    assert (item.position.topic, item.position.offset, item.attempt, item.final) == (TP.topic, 3, 3, False)
    driver.fail(item, RetryClass.DELAYED)
    (again,) = driver.got(actions.PublishRetry)
    assert (again.tier, again.record.tp, again.record.offset, again.first_failed_at) == (2, TP, 3, 1.5)
    driver.tell(signals.Published(again.token))
    driver.tell(after=1.0)
    assert driver.got(actions.Commit)[0].offsets[RETRY].offset == 8


def test_the_last_delayed_error_ends_in_the_dead_letters():
    driver = driver_of_both()
    driver.tell(signals.Received([retried(7, 0.0, first=3, delayed=3)]))
    assert driver.sent()[0].final
    driver.fail(driver.sent()[0], RetryClass.DELAYED)
    (dead,) = driver.got(actions.PublishDead)
    assert (dead.record.tp, dead.record.offset, dead.attempts, dead.first_failed_at) == (TP, 3, 4, 1.5)


def test_a_suspect_is_one_still_when_it_comes_back():
    driver = driver_of_both()
    driver.receive("a")
    driver.tell(signals.Received([retried(0, 0.0, first=3, broken=1)]))
    assert driver.sent() == [], "it travels when nothing else does"


def test_a_retry_record_that_is_too_large_waits_here():
    driver = Driver()
    (item,) = driver.receive("a")
    driver.fail(item, RetryClass.DELAYED)
    (retry,) = driver.got(actions.PublishRetry)
    driver.tell(signals.PublishFailed(retry.token, "large", permanent=True))
    assert driver.tell(after=29.0) == []
    driver.tell(after=1.1)
    assert [item.attempt for item in driver.sent()] == [2]


def test_of_revisions_that_wait_the_newest_works_and_the_others_are_superseded():
    driver = Driver()
    (first,) = driver.receive("a")
    driver.receive("a", "a", "a", start=1)
    superseded = driver.got(actions.Supersede)
    assert [(message.record.offset, message.by_revision) for message in superseded] == [(1, 2), (2, 3)]
    driver.tell(*(signals.Published(message.token) for message in superseded))
    assert [done.outcome for done in driver.got(actions.Finished)] == ["superseded", "superseded"]
    driver.finish(first)
    assert [item.event_id for item in driver.sent()] == ["e3"]


def test_a_hundred_thousand_events_of_one_listing_stay_within_memory():
    driver = Driver()
    at, sent, superseded, most = 0, driver.receive("a"), 0, 0
    while at < 100_000:
        if TP not in driver.engine.status().paused:
            driver.receive(*["a"] * 500, start=at + 1)
            at += 500
        messages = driver.got(actions.Supersede)
        superseded += len(messages)
        most = max(most, driver.engine.status().buffered)
        driver.tell(*(signals.Published(message.token) for message in messages))
        for item in [*sent, *driver.sent()]:
            driver.finish(item)
        sent = driver.sent()
    assert superseded > 99_000
    assert most <= 1000


def low_and_high(low: int, high: int) -> list[SourceRecord]:
    events = [(TP, n) for n in range(low)] + [(TopicPartition("listings.new.high", 0), n) for n in range(high)]
    return [source_record(tp, n, structured_bytes(f"{tp.topic}{n}", f"{tp.topic}-{n}")) for tp, n in events]


def test_a_backlog_of_unimportant_events_leaves_room_for_the_important_ones():
    high = TopicPartition("listings.new.high", 0)
    driver = Driver(weights={high.topic: 3}, buffered_high=80, buffered_low=40, initial_in_flight=2)
    driver.tell(signals.Assigned(high, 0))
    driver.tell()
    driver.tell(signals.Received(low_and_high(20, 0)))
    assert driver.engine.status().paused == {TP}
    driver.tell(signals.Received(low_and_high(0, 59)))
    assert driver.engine.status().paused == {TP}


def test_a_full_window_with_hardly_anything_open_diverts_its_head_once_in_a_while():
    driver = Driver(window=220, poll_batch=20, divert_every_s=10.0)
    said: list[actions.Action] = []
    stuck = {}
    for start in range(0, 200, 20):
        items = driver.receive(*(str(n) for n in range(start, start + 20)), start=start)
        stuck |= {item.position.offset: item for item in items if item.position.offset in (0, 70)}
        for item in items:
            if item.position.offset not in stuck:
                driver.tell(*driver.answers(item))
                driver.tell(signals.Published(driver.got(actions.Publish)[0].token))
                said += driver.said
    diverted = [action for action in said if isinstance(action, actions.PublishRetry)]
    assert [(message.record.offset, message.error.code) for message in diverted] == [(0, "head_blocked")]
    assert [action.refs for action in said if isinstance(action, actions.CancelItems)] == [(stuck[0].ref,)]
    assert driver.tell(*driver.answers(stuck[0])) == [], "its late answer changes nothing"


def test_what_does_not_fit_into_the_bitmap_waits_outside():
    driver = Driver()
    (slow,) = driver.receive("slow")
    driver.receive("far", start=bitmap.MAX_WINDOW)
    assert driver.sent() == []
    assert driver.got(actions.SeekBack) == [actions.SeekBack(TP, bitmap.MAX_WINDOW)]
    driver.finish(slow)
    assert driver.got(actions.Resume)[0].tps == [TP]
    assert driver.receive("far", start=bitmap.MAX_WINDOW)[0].event_id == f"e{bitmap.MAX_WINDOW}"


def test_a_replaced_client_does_not_do_again_what_is_done():
    driver = Driver()
    items = driver.receive("a", "b", "c", "d")
    for item in (items[0], items[2]):
        driver.finish(item)
    assert driver.tell(signals.Lost([TP], replaced=True))[0].refs == (items[1].ref, items[3].ref)
    driver.tell(signals.Assigned(TP, 0))
    assert [item.event_id for item in driver.receive("a", "b", "c", "d")] == ["e1", "e3"]


def test_what_was_lost_to_another_worker_is_not_taken_for_done():
    driver = Driver()
    driver.finish(driver.receive("a")[0])
    driver.tell(signals.Lost([TP]))
    driver.tell(signals.Assigned(TP, 0))
    assert [item.event_id for item in driver.receive("a")] == ["e0"]


def test_a_log_that_was_cut_is_read_from_where_it_begins_now():
    driver = Driver()
    (old,) = driver.receive("a", start=50)
    driver.tell(signals.Repositioned(TP, 7))
    assert driver.got(actions.CancelItems)[0].refs == (old.ref,)
    (new,) = driver.receive("b", start=7)
    driver.finish(new)
    assert driver.commit() == (8, "")


def test_metadata_that_the_broker_refuses_is_left_out_from_then_on():
    driver = Driver()
    items = driver.receive("a", "b", "c")
    driver.finish(items[1])
    driver.tell(after=1.0)
    (commit,) = driver.got(actions.Commit)
    driver.tell(signals.CommitFailed(commit.commit_id, "metadata", metadata_refused=True))
    driver.tell(after=1.0)
    assert driver.got(actions.Commit)[0].offsets == {TP: (0, "")}


def test_serve_taking_a_request_ends_the_refusal_of_requests():
    driver = Driver()
    driver.receive("a", "b")
    for _ in range(4):
        (send,) = driver.got(actions.Send)
        driver.tell(signals.StreamBroken(send.request_id, signals.Break.REFUSED, "no"))
        driver.tell(after=10.0)
    assert len(driver.sent()) == 1, "one event tries"
    (send,) = driver.got(actions.Send)
    driver.tell(signals.StreamOpened(send.request_id))
    assert len(driver.sent()) == 1
    assert driver.engine.status().breaker == "closed"


def test_an_outage_that_outlives_its_partitions_does_not_keep_the_next_ones_paused():
    driver = Driver()
    driver.receive("a")
    for _ in range(4):
        (send,) = driver.got(actions.Send)
        driver.tell(signals.StreamBroken(send.request_id, signals.Break.REFUSED, "no"))
        driver.tell(after=10.0)
    driver.tell(signals.Lost([TP]))
    driver.tell(signals.Assigned(TP, 0))
    assert driver.got(actions.Resume)[0].tps == [TP], "somebody must try"
    assert [item.event_id for item in driver.receive("b")] == ["e0"]
