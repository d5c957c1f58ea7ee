"""The engine, one decision at a time."""

import pytest

from consumers.core import actions, bitmap, signals
from consumers.core.limits import Limits
from consumers.core.retry import Tries, Wait
from consumers.records import TopicPartition
from serve.schemas.exchange import EnrichItem, ResultLine
from serve.schemas.outcome import RetryClass
from tests.support.engine_driver import TP, Driver
from tests.support.listing_events import result_for, source_record, structured_bytes


def test_an_offset_is_done_when_the_broker_has_the_result_and_not_before():
    driver = Driver()
    (item,) = driver.receive("a")
    publish = driver.answer(item)
    assert driver.tell(after=1.0) == []
    driver.tell(signals.Published(publish.token))
    assert driver.commit() == (1, "")


def test_what_is_done_out_of_order_goes_into_the_bitmap():
    driver = Driver()
    items = driver.receive("a", "b", "c")
    driver.finish(items[2])
    offset, metadata = driver.commit()
    assert (offset, bitmap.decode(0, metadata)) == (0, {2})
    driver.finish(items[0])
    offset, metadata = driver.commit()
    assert (offset, bitmap.decode(1, metadata)) == (1, {2})


def test_a_restart_works_only_on_what_was_not_done():
    driver = Driver(offset=0, metadata=bitmap.encode(0, [2]))
    assert [item.event_id for item in driver.receive("a", "b", "c")] == ["e0", "e1"]


def test_a_request_takes_at_most_32_events():
    driver = Driver()
    driver.receive(*(str(n) for n in range(50)))
    assert [len(send.items) for send in driver.got(actions.Send)] == [32, 18]


def test_credit_in_events_follows_the_capacity_of_serve():
    driver = Driver(initial_in_flight=2, max_in_flight=5)
    items = driver.receive(*(str(n) for n in range(10)))
    assert len(items) == 2
    driver.tell(signals.CapacityChanged(100, 4))
    assert [len(send.items) for send in driver.got(actions.Send)] == [3]
    driver.tell(signals.CapacityChanged(1, 4))
    driver.finish(items[0])
    assert driver.sent() == []


def test_credit_in_bytes_but_a_large_event_goes_when_it_is_alone():
    size = len(structured_bytes("e0", "0", 0))
    driver = Driver(max_in_flight_bytes=2 * size)
    first, _ = driver.receive("0", "1", "2")
    driver.answer(first)
    assert [item.event_id for item in driver.sent()] == ["e2"]
    small = Driver(max_in_flight_bytes=size - 1)
    assert len(small.receive("0", "1")) == 1


def test_a_later_event_of_a_listing_waits_for_the_earlier_one():
    driver = Driver()
    (first,) = driver.receive("same")
    driver.receive("same", start=1)
    publish = driver.answer(first)
    assert driver.sent() == []
    driver.tell(signals.Published(publish.token))
    assert [item.event_id for item in driver.sent()] == ["e1"]


def test_transient_errors_are_tried_three_times_the_last_one_as_final():
    driver = Driver()
    (item,) = driver.receive("a")
    for attempt in (2, 3):
        driver.fail(item, RetryClass.TRANSIENT)
        driver.tell(after=20.0)
        (item,) = driver.sent()
        assert (item.attempt, item.final) == (attempt, attempt == 3)
    driver.fail(item, RetryClass.TRANSIENT)
    (dead,) = driver.got(actions.PublishDead)
    assert (dead.error.code, dead.attempts, dead.first_failed_at) == ("code", 3, 0.0)
    driver.tell(signals.Published(dead.token))
    assert driver.got(actions.Finished)[0].code == "code"
    assert driver.commit()[0] == 1


def test_a_permanent_error_is_a_dead_letter_at_once():
    driver = Driver()
    (item,) = driver.receive("a")
    driver.fail(item, RetryClass.PERMANENT)
    assert driver.got(actions.PublishDead)[0].attempts == 1


def test_a_delayed_error_goes_to_a_retry_topic_and_that_completes_its_offset():
    driver = Driver()
    item, _ = driver.receive("a", "b")
    driver.receive("a", start=2)
    driver.fail(item, RetryClass.DELAYED, after=2.0)
    (retry,) = driver.got(actions.PublishRetry)
    assert (retry.tier, retry.tries, retry.first_failed_at, retry.record.offset) == (0, Tries(delayed=1), 2.0, 0)
    assert driver.sent() == []
    driver.tell(signals.Published(retry.token))
    assert driver.got(actions.Finished) == []
    assert [item.event_id for item in driver.sent()] == ["e2"], "the later event need not wait for the retry"
    assert driver.commit()[0] == 1


def test_a_bad_event_is_a_dead_letter_and_done_when_that_is_acknowledged():
    driver = Driver()
    assert driver.receive("") == []
    (dead,) = driver.got(actions.PublishDead)
    assert dead.error.code == "invalid_json"
    assert driver.tell(after=1.0) == []
    driver.tell(signals.Published(dead.token))
    assert driver.commit() == (1, "")


def test_no_room_costs_no_attempt_and_closes_the_gate_for_all():
    driver = Driver()
    driver.receive("a", "b")
    (send,) = driver.got(actions.Send)
    driver.tell(signals.StreamBroken(send.request_id, signals.Break.REFUSED, "503", 2.0))
    (retried,) = driver.got(actions.Retried)
    assert retried.decision == Wait(2.0)
    driver.receive("c", start=2)
    assert driver.sent() == []
    driver.tell(after=2.0)
    assert [(item.event_id, item.attempt) for item in driver.sent()] == [("e0", 1), ("e1", 1), ("e2", 1)]


def test_waits_grow_with_each_refusal_and_shrink_with_a_success():
    driver = Driver()
    driver.receive("a")
    waits = []
    for _ in range(6):
        (send,) = driver.got(actions.Send)
        driver.tell(signals.StreamBroken(send.request_id, signals.Break.REFUSED, "no"))
        waits.append(driver.got(actions.Retried)[0].decision.delay_s)
        driver.tell(after=waits[-1])
    assert all(0.1 * 2**n <= wait <= 0.2 * 2**n for n, wait in enumerate(waits))
    driver.finish(driver.sent()[0])
    driver.receive("b", start=1)
    driver.tell(signals.StreamBroken(driver.got(actions.Send)[0].request_id, signals.Break.REFUSED, "no"))
    assert driver.got(actions.Retried)[0].decision.delay_s <= 0.2


def test_lines_of_a_broken_stream_stand_and_the_rest_travels_alone():
    driver = Driver()
    items = driver.receive("a", "b", "c")
    (send,) = driver.got(actions.Send)
    driver.answer(items[1])
    driver.tell(signals.StreamBroken(send.request_id, signals.Break.BROKEN, "cut"))
    driver.tell(after=20.0)
    seen = []
    for _ in range(2):
        ((item,),) = [send.items for send in driver.got(actions.Send)]
        assert driver.engine.status().in_flight == 1
        assert item.attempt == 2
        seen.append(item.event_id)
        driver.answer(item)
    assert sorted(seen) == ["e0", "e2"]


def test_a_suspect_waits_until_nothing_else_is_with_serve_and_nothing_joins_it():
    driver = Driver()
    suspect, other = driver.receive("a", "b")
    driver.lose(suspect)
    driver.tell(after=20.0)
    assert driver.sent() == []
    driver.receive("c", start=2)
    assert driver.sent() == []
    driver.answer(other)
    (suspect,) = driver.sent()
    assert (suspect.event_id, suspect.attempt) == ("e0", 2)
    driver.receive("d", start=3)
    assert driver.sent() == []
    driver.answer(suspect)
    assert [item.event_id for item in driver.sent()] == ["e2", "e3"]


def test_a_try_that_took_too_long_travels_in_a_request_of_its_own_but_keeps_nobody_waiting():
    driver = Driver(item_deadline_s=10.0)
    driver.receive("a")
    driver.tell(after=10.0)
    driver.receive("b", start=1)
    driver.tell(after=1.0)
    driver.receive("c", start=2)
    assert [item.event_id for item in driver.sent()] == ["e2"]
    assert driver.engine.status().in_flight == 3


def test_the_company_of_a_poisonous_event_is_answered_however_often_its_replica_dies():
    # Whatever is with Serve dies with the poison; a healthy event needs three turns.
    driver = Driver()
    driver.receive("poison", *(f"l{n}" for n in range(1, 40)))
    under_way: list[tuple[int, EnrichItem]] = []
    dead, done = [], set()
    for turn in range(400):
        under_way += [(turn, item) for item in driver.sent()]
        dead += driver.got(actions.PublishDead)
        killed = any(item.event.listing.listing_id == "poison" and turn > begun for begun, item in under_way)
        ready = [item for begun, item in under_way if killed or turn - begun >= 3]
        under_way = [(begun, item) for begun, item in under_way if item not in ready]
        driver.now += 0.5
        if killed:
            driver.lose(*ready)
            continue
        publications = driver.tell(*(signals.Answered(ResultLine(ref=i.ref, result=result_for(i))) for i in ready))
        tokens = [action.token for action in publications if isinstance(action, actions.Publish)]
        done.update(item.event_id for item in ready)
        said = driver.said
        driver.tell(*map(signals.Published, tokens))
        driver.said = [*said, *driver.said]
    assert done == {f"e{n}" for n in range(1, 40)}
    assert [letter.event.id for letter in dead] == ["e0"]


def test_an_event_that_breaks_every_stream_ends_as_worker_lost():
    driver = Driver()
    driver.receive("poison")
    for _ in range(3):
        assert driver.got(actions.PublishDead) == []
        driver.tell(signals.StreamBroken(driver.got(actions.Send)[0].request_id, signals.Break.BROKEN, "killed"))
        dead = driver.got(actions.PublishDead)
        driver.tell(after=20.0)
    assert [letter.error.code for letter in dead] == ["worker_lost"]


def test_a_stream_that_ends_early_counts_as_broken():
    driver = Driver()
    driver.receive("a")
    driver.tell(signals.StreamEnded(driver.got(actions.Send)[0].request_id))
    assert driver.got(actions.Retried)[0].error.code == "worker_lost"


def test_a_rejected_request_is_taken_apart_to_find_the_culprit():
    driver = Driver()
    driver.receive("a", "b")
    driver.tell(signals.StreamBroken(driver.got(actions.Send)[0].request_id, signals.Break.REJECTED, "422"))
    first, second = driver.got(actions.Send)
    assert len(first.items) == len(second.items) == 1
    driver.tell(signals.StreamBroken(first.request_id, signals.Break.REJECTED, "422"))
    assert driver.got(actions.PublishDead)[0].error.code == "request_rejected"
    driver.finish(second.items[0])


def test_a_try_without_an_answer_is_cancelled_and_tried_again():
    driver = Driver(item_deadline_s=10.0)
    (item,) = driver.receive("a")
    driver.tell(after=10.0)
    assert driver.got(actions.CancelItems)[0].refs == (item.ref,)
    assert driver.got(actions.Retried)[0].error.code == "deadline_exceeded"
    assert driver.tell(signals.Answered(ResultLine(ref=item.ref, result=result_for(item)))) == []


def test_an_answer_for_another_event_is_not_believed():
    driver = Driver()
    first, second = driver.receive("a", "b")
    driver.tell(signals.Answered(ResultLine(ref=first.ref, result=result_for(second))))
    assert driver.got(actions.Retried)[0].error.code == "answer_mismatch"


def test_a_result_that_is_not_acknowledged_is_sent_until_it_is():
    driver = Driver()
    (item,) = driver.receive("a")
    publish = driver.answer(item)
    for _ in range(20):
        driver.tell(signals.PublishFailed(publish.token, "no leader"))
        driver.tell(after=10.0)
        (publish,) = driver.got(actions.Publish)
    driver.tell(signals.Published(publish.token))
    assert driver.got(actions.Finished)[0].outcome == "enriched"


def test_what_the_broker_finds_too_large_is_sent_smaller_until_it_takes_it():
    driver = Driver()
    (item,) = driver.receive("a")
    whole = driver.answer(item)
    driver.tell(signals.PublishFailed(whole.token, "too large", permanent=True))
    (short,) = driver.got(actions.Publish)
    assert (whole.result.shortened, short.result.shortened) == (False, True)
    driver.tell(signals.PublishFailed(short.token, "too large", permanent=True))
    (dead,) = driver.got(actions.PublishDead)
    assert (dead.error.code, dead.bare) == ("result_unpublishable", False)
    driver.tell(signals.PublishFailed(dead.token, "too large", permanent=True))
    (bare,) = driver.got(actions.PublishDead)
    assert bare.bare
    driver.tell(signals.Published(bare.token))
    assert driver.got(actions.Finished)[0].outcome is None
    assert driver.commit() == (1, "")


def test_a_shortened_result_that_the_broker_takes_is_the_answer():
    driver = Driver()
    (item,) = driver.receive("a")
    driver.tell(signals.PublishFailed(driver.answer(item).token, "too large", permanent=True))
    driver.tell(signals.Published(driver.got(actions.Publish)[0].token))
    assert driver.got(actions.Finished)[0].outcome == "enriched"


def test_answers_that_the_broker_does_not_take_hold_back_new_work():
    driver = Driver(max_in_flight=4, initial_in_flight=4)
    items = driver.receive(*(str(n) for n in range(20)))
    tokens = []
    while items:
        tokens.append(driver.answer(items.pop(0)).token)
        items += driver.sent()
    assert len(tokens) < 2 * 4
    driver.tell(*map(signals.Published, tokens))
    assert len(driver.sent()) == 4


def test_offsets_that_go_back_are_passed_over_but_not_in_silence():
    driver = Driver()
    driver.receive("a", "b")
    driver.receive("c", "d", "e")
    assert driver.got(actions.WentBack) == [actions.WentBack(TP, 0, 3, 2)]
    assert [item.event_id for item in driver.sent()] == ["e2"]


def test_a_failed_commit_goes_again_and_an_unanswered_one_too():
    driver = Driver()
    driver.finish(driver.receive("a")[0])
    driver.tell(after=1.0)
    (commit,) = driver.got(actions.Commit)
    driver.tell(signals.CommitFailed(commit.commit_id, "rebalance"))
    driver.tell(after=1.0)
    (again,) = driver.got(actions.Commit)
    assert again.offsets == commit.offsets
    assert driver.tell(after=4.9) == []
    driver.tell(after=0.2)
    (third,) = driver.got(actions.Commit)
    assert driver.tell(signals.CommitDone(again.commit_id)) == []
    driver.tell(signals.CommitDone(third.commit_id))
    assert driver.tell(after=60.0) == []


def test_a_hundred_completions_are_committed_without_waiting():
    driver = Driver(commit_every=3)
    items = driver.receive("a", "b", "c", "d")
    for item in items[:2]:
        driver.finish(item)
        assert driver.got(actions.Commit) == []
    driver.finish(items[2])
    assert driver.got(actions.Commit)[0].offsets[TP] == (3, "")


def test_a_revocation_cancels_the_events_of_the_partition_and_commits_what_is_done():
    driver = Driver()
    other = TopicPartition("listings.new", 1)
    driver.tell(signals.Assigned(other, 0))
    items = driver.receive("a", "b")
    driver.tell(signals.Received([source_record(other, 0, structured_bytes("x", "z"))]))
    (stays,) = driver.sent()
    driver.finish(items[0])
    driver.tell(signals.Revoked([TP]))
    (cancel,) = driver.got(actions.CancelItems)
    assert cancel.refs == (items[1].ref,)
    (commit,) = driver.got(actions.Commit)
    assert commit.closing
    assert commit.offsets == {TP: (1, "")}
    driver.finish(stays)


def test_lost_partitions_are_not_committed():
    driver = Driver()
    driver.finish(driver.receive("a")[0])
    driver.tell(signals.Lost([TP]), after=1.0)
    assert driver.got(actions.Commit) == []


def test_a_full_window_pauses_its_partition_and_half_of_it_resumes():
    driver = Driver(window=20, poll_batch=10)
    items = driver.receive(*(str(n) for n in range(11)))
    assert driver.got(actions.Pause)[0].tps == [TP]
    for item in items[:5]:
        driver.finish(item)
        assert driver.got(actions.Resume) == []
    driver.finish(items[5])
    assert driver.got(actions.Resume)[0].tps == [TP]


def test_full_memory_pauses_everything():
    driver = Driver(buffered_high=4, buffered_low=2)
    items = driver.receive("a", "b", "c", "d")
    assert driver.got(actions.Pause)[0].tps == [TP]
    for item in items[:2]:
        driver.finish(item)
    assert driver.got(actions.Resume) == []
    driver.finish(items[2])
    assert driver.got(actions.Resume)[0].tps == [TP]


def test_a_drain_finishes_what_is_in_flight_commits_and_stops():
    driver = Driver(initial_in_flight=1)
    (item,) = driver.receive("a", "b")
    driver.tell(signals.Drain(30.0))
    assert driver.got(actions.Pause)[0].tps == [TP]
    driver.finish(item)
    assert driver.sent() == []
    (commit,) = driver.got(actions.Commit)
    assert commit.offsets == {TP: (1, "")}
    assert driver.got(actions.Stopped) == []
    driver.tell(signals.CommitDone(commit.commit_id))
    assert driver.got(actions.Stopped) == [actions.Stopped()]
    assert driver.tell(after=100.0) == []


def test_a_drain_ends_with_its_time_and_a_dead_broker_does_not_hold_it():
    driver = Driver()
    first, second = driver.receive("a", "b")
    driver.finish(first)
    driver.tell(signals.Drain(5.0))
    driver.tell(after=5.0)
    assert driver.got(actions.CancelItems)[0].refs == (second.ref,)
    assert len(driver.got(actions.Commit)) == 1
    driver.tell(after=5.0)
    assert driver.got(actions.Stopped) == [actions.Stopped()]


def test_nothing_to_commit_stops_at_once():
    driver = Driver()
    driver.tell(signals.Drain(5.0))
    assert driver.got(actions.Stopped) == [actions.Stopped()]


def test_time_that_goes_back_stands_still():
    driver = Driver()
    (item,) = driver.receive("a")
    driver.tell(after=100.0)
    driver.fail(item, RetryClass.TRANSIENT, after=-90.0)
    driver.tell()
    assert driver.sent() == []
    driver.tell(after=111.0)
    assert len(driver.sent()) == 1


def test_decisions_repeat_with_the_same_seed():
    def once() -> list[object]:
        driver = Driver()
        (item,) = driver.receive("a")
        return driver.fail(item, RetryClass.TRANSIENT)

    assert once() == once()


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 5000},
        {"poll_batch": 4096},
        {"max_events_per_request": 33},
        {"buffered_low": 9000},
        {"max_in_flight": 0},
    ],
)
def test_limits_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match=r"."):
        Limits(**wrong)
