"""Transactional delivery, one decision at a time."""

import pytest

from consumers.core import actions, signals
from consumers.core.tracker import Snapshot
from tests.support.engine_driver import TP, Driver


def driver_with(*listings: str, **limits: object) -> tuple[Driver, list]:
    driver = Driver(transactional=True, **limits)
    return driver, driver.receive(*listings)


def answer_all(driver: Driver, items: list) -> None:
    for item in items:
        driver.tell(*driver.answers(item))


def transaction(driver: Driver, after: float = 1.0) -> actions.Transact:
    driver.tell(after=after)
    (transact,) = driver.got(actions.Transact)
    return transact


def test_answers_and_their_offsets_go_together_once_a_second():
    driver, items = driver_with("a", "b", "c")
    answer_all(driver, [items[0], items[2]])
    assert driver.got(actions.Publish) == []
    transact = transaction(driver)
    assert [message.record.offset for message in transact.messages] == [0, 2]
    assert transact.offsets[TP].offset == 1
    assert driver.got(actions.Commit) == []
    driver.tell(signals.Transacted(transact.txn_id))
    assert [done.record.offset for done in driver.got(actions.Finished)] == [0, 2]
    assert driver.tell(after=5.0) == [], "nothing new, nothing to transact"


def test_one_transaction_at_a_time_and_a_full_one_does_not_wait():
    driver, items = driver_with("a", "b", "c", "d", "e", transaction_messages=2)
    driver.tell()
    driver.tell(*driver.answers(*items))
    (sent,) = driver.got(actions.Transact)
    assert len(sent.messages) == 2
    driver.tell(after=60.0)
    assert driver.got(actions.Transact) == []
    driver.tell(signals.Transacted(sent.txn_id))
    assert len(driver.got(actions.Transact)[0].messages) == 2


def test_an_aborted_one_goes_again_whole_and_waits_longer_each_time():
    driver, items = driver_with("a")
    answer_all(driver, items)
    waits = []
    for _ in range(4):
        first = transaction(driver, after=11.0)
        driver.tell(signals.TransactionFailed(first.txn_id, "no"))
        assert driver.got(actions.Finished) == driver.got(actions.Transact) == []
        waits.append(driver.engine.status().commits_unanswered)
    assert waits == [1, 2, 3, 4]
    again = transaction(driver, after=11.0)
    assert [message.record.offset for message in again.messages] == [0]
    assert again.offsets == first.offsets


@pytest.mark.parametrize("committed", [True, False])
def test_what_nobody_answered_is_read_from_the_offsets(committed):
    driver, items = driver_with("a", "b")
    answer_all(driver, items[:1])
    transact = transaction(driver)
    found = transact.offsets if committed else {TP: Snapshot(0, "")}
    driver.tell(signals.TransactionUnknown(transact.txn_id, "no answer", found))
    assert len(driver.got(actions.Finished)) == committed
    driver.tell(after=30.0)
    assert len(driver.got(actions.Transact)) == (not committed)


def test_a_message_that_is_too_large_is_made_smaller_and_the_others_go_as_they_are():
    driver, items = driver_with("a", "b")
    answer_all(driver, items)
    transact = transaction(driver)
    driver.tell(signals.TransactionFailed(transact.txn_id, "large", transact.messages[0].token))
    again = transaction(driver, after=11.0)
    assert {message.record.offset: message.result.shortened for message in again.messages} == {0: True, 1: False}


def test_without_a_bitmap_only_what_the_offset_covers_becomes_visible():
    driver, items = driver_with("a", "b", "c")
    answer_all(driver, items[1:])
    transact = transaction(driver)
    assert transact.offsets[TP].metadata
    driver.tell(signals.TransactionFailed(transact.txn_id, "metadata", metadata_refused=True))
    driver.tell(after=11.0)
    assert driver.got(actions.Transact) == [], "a crash would show it twice"
    answer_all(driver, items[:1])
    again = transaction(driver)
    assert sorted(message.record.offset for message in again.messages) == [0, 1, 2]
    assert again.offsets == {TP: Snapshot(3, "")}


def test_a_partition_that_left_takes_its_answers_along():
    driver, items = driver_with("a", "b")
    answer_all(driver, items[:1])
    transact = transaction(driver)
    answer_all(driver, items[1:])
    assert driver.tell(signals.Revoked([TP])) == []
    assert driver.tell(signals.Transacted(transact.txn_id)) == []
    driver.tell(signals.Assigned(TP, 1))
    assert driver.receive("b", start=1)[0].event_id == "e1"


def test_a_late_fate_changes_nothing():
    driver, items = driver_with("a")
    answer_all(driver, items)
    transact = transaction(driver)
    driver.tell(signals.TransactionFailed(transact.txn_id, "no"))
    assert driver.tell(signals.Transacted(transact.txn_id)) == []
    assert driver.engine.busy


def test_a_drain_ends_with_a_last_transaction():
    driver, items = driver_with("a")
    driver.tell()
    answer_all(driver, items)
    driver.tell(signals.Drain(0.0))
    (transact,) = driver.got(actions.Transact)
    assert driver.got(actions.Stopped) == []
    driver.tell(signals.Transacted(transact.txn_id))
    assert driver.got(actions.Stopped) == [actions.Stopped()]


def test_a_drain_does_not_wait_for_ever():
    driver, items = driver_with("a")
    answer_all(driver, items)
    driver.tell(signals.Drain(0.0))
    driver.tell(after=10.0)
    assert driver.got(actions.Stopped) == [actions.Stopped()]


def test_signals_of_the_other_delivery_are_refused():
    with pytest.raises(TypeError, match="belongs to another delivery"):
        Driver(transactional=True).tell(signals.Published(1))
    with pytest.raises(TypeError, match="belongs to another delivery"):
        Driver().tell(signals.Transacted(1))
