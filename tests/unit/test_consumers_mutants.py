"""Bugs planted in core and shell, one at a time: the state machine over the group must catch each of them.

A check that lets a bug pass checks nothing. Each mutant is what somebody could write by mistake.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from kafka import TopicPartition as KafkaPartition

from consumers.core import actions, bitmap
from consumers.core.committer import Committer
from consumers.core.delivery import AtLeastOnce
from consumers.core.dispatcher import Dispatcher
from consumers.core.engine import Engine
from consumers.core.failures import Failures
from consumers.core.flow import Credit, Watermarks
from consumers.core.lanes import Joined, Lanes
from consumers.core.outbox import Outbox
from consumers.core.partitions import Partitions
from consumers.core.signals import Published, PublishFailed, Transacted, TransactionFailed
from consumers.core.task import Place, Task
from consumers.core.tracker import Snapshot, Tracker
from consumers.core.transactor import Transactor
from consumers.records import TopicPartition
from consumers.shell.poll import Poller
from consumers.shell.positions import Positions
from consumers.shell.transactions import Transactions
from serve.schemas.outcome import RetryClass
from tests.unit.test_consumers_group_machine import GroupMachine, TransactionalGroupMachine

#: The bound of a search. Most end within the first dozen examples, but a few have to go on for hundreds by bad luck:
#: what Hypothesis draws also depends on which modules were imported before.
EXAMPLES = 1500
SEARCH = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Mutant:
    """A method with a bug in it, made from the right one."""

    owner: type
    method: str
    make: Callable[[Any], Any]
    #: A part of what the machine says.
    says: str
    transactional: bool = False


def wrong_snapshot(_right: Any) -> Any:
    def snapshot(tracker: Tracker, *_: Any, **__: Any) -> Snapshot | None:
        return None if tracker.position is None else Snapshot(tracker.expected, "")

    return snapshot


def later_bitmap(right: Any) -> Any:
    def snapshot(tracker: Tracker, also: Iterable[int] = (), *, with_bitmap: bool = True) -> Snapshot | None:
        now = right(tracker, also, with_bitmap=with_bitmap)
        before = _LAST.get(id(tracker), now)
        _LAST[id(tracker)] = now
        return now if now is None or before is None else Snapshot(before.offset, now.metadata)

    return snapshot


_LAST: dict[int, Snapshot | None] = {}


def short_bitmap(right: Any) -> Any:
    def encode(base: int, done: Iterable[int]) -> str:
        return right(base, [offset + 1 for offset in done])

    return encode


def commit_answered(right: Any) -> Any:
    def snapshots(committer: Committer, changed: Iterable[Any]) -> Any:
        found = right(committer, changed)
        for home in changed:
            answered = [task.record.offset for task in home.tasks.values() if task.place is Place.ANSWERED]
            if home.tp in found:
                found[home.tp] = home.tracker.snapshot(answered)
        return found

    return snapshots


def commit_of_lost(_right: Any) -> Any:
    def on_lost(engine: Engine, signal: Any) -> None:
        commit = engine._delivery.closing(engine._withdraw(signal.tps))
        if commit is not None:
            engine._out.append(commit)

    return on_lost


def failed_is_stored(right: Any) -> Any:
    return lambda committer, commit_id, **_: right(committer, commit_id, stored=True)


def nothing(_right: Any) -> Any:
    return lambda *_: []


def all_replaceable(_right: Any) -> Any:
    return property(lambda _task: True)


def oldest_wins(right: Any) -> Any:
    def made(task: Task) -> None:
        right(task)
        task.revision = -task.revision

    return made


def before_due(right: Any) -> Any:
    def receive(partitions: Partitions, records: Iterable[Any], now: float) -> Any:
        early = [r if r.retried is None else r._replace(retried=r.retried._replace(due_at=now)) for r in records]
        return right(partitions, early, now)

    return receive


def burnt(right: Any) -> Any:
    def answered(failures: Failures, task: Task, error: Any, now: float) -> Any:
        if error.retry is RetryClass.BACK_PRESSURE:
            task.tries = task.tries.plus(RetryClass.TRANSIENT, broken=False)
        return right(failures, task, error, now)

    return answered


def everyone_is_head(right: Any) -> Any:
    return lambda lanes, task: Joined(task, right(lanes, task).superseded, task.revision)


def never_full(_right: Any) -> Any:
    return property(lambda _watermarks: 10**6)


def endless_credit(_right: Any) -> Any:
    return lambda *_, **__: 100


def without_messages(right: Any) -> Any:
    def due(transactor: Transactor, *given: Any, **more: Any) -> actions.Transact | None:
        found = right(transactor, *given, **more)
        return None if found is None else replace(found, messages=found.messages[1:])

    return due


def always_committed(_right: Any) -> Any:
    return lambda *_: True


def forgets_bitmap(right: Any) -> Any:
    return lambda tracker, committed=None, _metadata="", known=None: right(tracker, committed, "", known)


def lost_message(_right: Any) -> Any:
    return lambda *_: iter(())


def done_when_failed(right: Any) -> Any:
    def told(delivery: AtLeastOnce, signal: Any, now: float, owned: Any) -> Any:
        done = Published(signal.token) if isinstance(signal, PublishFailed) else signal
        return right(delivery, done, now, owned)

    return told


def seeks_too_far(right: Any) -> Any:
    def read(positions: Positions, tp: TopicPartition) -> Any:
        found = right(positions, tp)
        positions._consumer.seek(KafkaPartition(*tp), found.offset + 1)
        return found

    return read


def unknown_is_committed(_right: Any) -> Any:
    return lambda _transactions, transact, _message: Transacted(transact.txn_id)


def unknown_is_failed(_right: Any) -> Any:
    return lambda _transactions, transact, message: TransactionFailed(transact.txn_id, message)


def lost_untold(_right: Any) -> Any:
    return lambda poller, tps: poller._positions.let_go(tps)


MUTANTS = {
    "commit of the highest offset": Mutant(Tracker, "snapshot", wrong_snapshot, "pass an unanswered event"),
    "bitmap of a later moment than its base": Mutant(Tracker, "snapshot", later_bitmap, ""),
    "bitmap off by one": Mutant(bitmap, "encode", short_bitmap, ""),  # type: ignore[arg-type]
    "done before it is acknowledged": Mutant(Committer, "_snapshots", commit_answered, "pass an unanswered event"),
    "done though the broker refused it": Mutant(AtLeastOnce, "told", done_when_failed, ""),
    "a lost partition is committed": Mutant(Engine, "_on_lost", commit_of_lost, "lost partition was committed"),
    "a failed commit counts as stored": Mutant(Committer, "answered", failed_is_stored, "no progress"),
    "late acknowledgements are taken": Mutant(Outbox, "drop", nothing, ""),
    "late answers are taken": Mutant(Dispatcher, "_cancel", nothing, ""),
    "a deletion is superseded": Mutant(Task, "replaceable", all_replaceable, "a deletion was superseded"),
    "the newest is superseded": Mutant(Task, "__post_init__", oldest_wins, "superseded"),
    "a retry record before its time": Mutant(Partitions, "receive", before_due, "before its time"),
    "back-pressure burns attempts": Mutant(Failures, "answered", burnt, "an attempt was spent"),
    "a lane that blocks nobody": Mutant(Lanes, "join", everyone_is_head, "listing"),
    "pausing is forgotten": Mutant(Watermarks, "window_high", never_full, ""),
    "credit without end": Mutant(Credit, "room", endless_credit, ""),
    "the bitmap is not read": Mutant(Tracker, "__init__", forgets_bitmap, "what the bitmap marks"),
    "a message that failed is forgotten": Mutant(Failures, "unpublished", lost_message, "no progress"),
    "offsets without their messages": Mutant(Transactor, "due", without_messages, "pass an unanswered event", True),
    "an unknown transaction counts as committed": Mutant(Transactor, "was_committed", always_committed, "", True),
    "the newest bitmap in a transaction's offsets": Mutant(Tracker, "snapshot", later_bitmap, "", True),
    "fetching begins one too far": Mutant(Positions, "_read", seeks_too_far, ""),
    "the engine is not told what was lost": Mutant(Poller, "_lost", lost_untold, "not assigned to it"),
    "no answer counts as committed": Mutant(Transactions, "_resolve", unknown_is_committed, "without a message", True),
    "no answer counts as aborted": Mutant(Transactions, "_resolve", unknown_is_failed, "visible twice", True),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    machine = TransactionalGroupMachine if mutant.transactional else GroupMachine
    right = vars(mutant.owner)[mutant.method]
    monkeypatch.setattr(mutant.owner, mutant.method, mutant.make(right))
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises((AssertionError, ValueError, KeyError), match=mutant.says or None):
            run_state_machine_as_test(machine, settings=SEARCH)
    finally:
        logging.disable(logging.NOTSET)
        _LAST.clear()
