"""A group of workers, a broker and Serve in one thread: the real core and the real poller against the fake Kafka.

Everything that can go wrong is a method here. What is true is read from the logs (`Truth`), apart from what the
engines believe, and every action is held against it the moment that it comes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kafka import TopicPartition as KafkaPartition
from kafka.structs import MemberState

from consumers.core import actions, bitmap, signals
from consumers.core.codes import DEAD_LETTER_CODES, REPLICA_LOST, FailureCode, LogCode
from consumers.core.task import Task
from consumers.core.tracker import Snapshot
from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from serve.schemas.exchange import ErrorLine, ResultLine
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.fake_kafka import CommitFate, EndFate, FakeBroker
from tests.support.group_truth import Place, Truth
from tests.support.group_worker import GroupWorker
from tests.support.listing_events import result_for, structured_bytes

SOURCES = {"listings.new": 2, "listings.new.high": 1}
RETRIES = ("listings.retry.30s", "listings.retry.5m")
RESULTS, DEAD, GROUP = "listings.enriched", "listings.dead", "vitrine"
CREATED, DELETED = (f"org.vitrine.catalog.listing.{kind}.v1" for kind in ("created", "deleted"))
FROM_SERVE = ("x", REPLICA_LOST)
#: A worker that is not turned for longer loses its membership.
_STEP_S = 20.0
#: Rounds in which those who wait for each other to join have done so.
_ROUNDS_TO_JOIN = 5
#: Rounds of a calm end, 5 s each, in which something must be committed: more than the longest wait.
_IDLE_ROUNDS = 80


class GroupWorld:
    """Workers by number; one that is dead is missing."""

    def __init__(self, seed: int, workers: int, *, transactional: bool = False, static: bool = False) -> None:
        self.seed = seed
        self.transactional, self.static = transactional, static
        #: A promise was broken; what comes later means nothing.
        self.broken: Exception | None = None
        self.broker = FakeBroker()
        for topic, partitions in {**SOURCES, **dict.fromkeys((*RETRIES, RESULTS, DEAD), 1)}.items():
            self.broker.create_topic(topic, partitions)
        self.limits = replace(self.settings(0).limits(), initial_in_flight=3, max_events_per_request=3)
        self.truth = Truth(self.broker, RESULTS, DEAD, RETRIES)
        #: The newest revision of each listing that Serve worked on.
        self.index: dict[str, int] = {}
        #: All revisions of each listing that were ever sent.
        self.sent: dict[str, set[int]] = defaultdict(set)
        #: Tries of each event that failed for another reason than want of room.
        self.failures: Counter[Place] = Counter()
        #: Whether what a listener waits for comes to its end before its deadline.
        self.transactions_end_in_time = True
        self.stored: dict[TopicPartition, Snapshot] = {}
        self.workers: dict[int, GroupWorker] = {}
        self.lives = 0
        for number in range(workers):
            self.start(number)

    def settings(self, number: int) -> ConsumerSettings:
        return ConsumerSettings(
            group=GROUP,
            group_instance_id=f"w{number}" if self.static else None,
            topics=tuple(SOURCES),
            retry_topics=RETRIES,
            results_topic=RESULTS,
            dead_topic=DEAD,
            delivery="transactional" if self.transactional else "effectively_once",
            transactional_id=f"t{number}",
            metadata_max_age_s=5.0,
            max_in_flight=4,
            max_in_flight_bytes=1500,
            window=16,
            poll_batch=4,
            buffered_high=20,
            buffered_low=10,
            commit_every=3,
            transaction_messages=4,
        )

    # -- processes --

    def start(self, number: int) -> None:
        self.lives += 1
        self.workers[number] = GroupWorker(self, self.settings(number), self.seed + self.lives)

    def crash(self, number: int, *, landed: bool) -> None:
        self.workers.pop(number).crash(landed=landed)
        self.look()

    def stop(self, number: int, grace_s: float) -> None:
        """SIGTERM; Serve and Kafka answer nothing more, so the grace passes."""
        worker = self.workers[number]
        worker.inbox.put(signals.Drain(grace_s))
        for _ in range(30):
            worker.turn()
            if worker.poller.stopped:
                del self.workers[number]
                self.look()
                return
            self.broker.advance(1.0)
        raise AssertionError("it does not stop")

    def freeze(self, number: int) -> None:
        self.workers[number].frozen = self.workers[number].client.frozen = True

    def thaw(self, number: int, *, deaf: bool) -> None:
        """It goes on; `deaf`: its first round comes before it hears what the group did meanwhile."""
        worker = self.workers[number]
        worker.frozen = worker.client.frozen = False
        worker.client.deaf = deaf
        worker.turn()
        worker.client.deaf = False

    def evict(self, number: int) -> None:
        """The group forgets a member just when it is about to join again."""
        client = self.workers[number].client
        client.rejoin()
        self.broker.group(GROUP).leave(client.group_metadata().member_id, self.broker.now)
        client.deaf = True
        for _ in range(3):
            for worker in self.awake:
                if worker.client is not client:
                    worker.turn()
        self.workers[number].turn()
        client.deaf = False

    def interrupt(self, newcomer: int, number: int) -> None:
        """A member comes, another one dies when it has given up partitions and comes back before it is missed."""
        self.start(newcomer)
        victim = self.workers[number]
        for worker in [*(w for w in reversed(self.awake) if w is not victim), victim]:
            worker.turn()
        self.crash(number, landed=False)
        self.start(number)

    @property
    def awake(self) -> list[GroupWorker]:
        return [worker for worker in self.workers.values() if not worker.frozen]

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            for worker in self.awake:
                worker.turn()

    def pass_time(self, seconds: float) -> None:
        while seconds > 0:
            step = min(seconds, _STEP_S)
            self.broker.advance(step)
            self.turn()
            for _ in range(_ROUNDS_TO_JOIN):
                if any(w.client.group_metadata().state == MemberState.REBALANCING for w in self.awake):
                    self.turn()
            seconds -= step

    # -- the source topics --

    def sources(self) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for topic in SOURCES for n in range(self.broker.count(topic) or 0)]

    def produce(self, tp: TopicPartition, listing: str, gap: int, *, deleted: bool = False) -> None:
        log = self.broker.log(KafkaPartition(*tp))
        log.skip(gap)
        # Two events in a row have the same revision.
        kind = {"type": DELETED if deleted else CREATED}
        name = f"{tp.topic}-{tp.partition}-{log.end}"
        value = structured_bytes(name, listing, log.end // 2, **kind) if listing else b"\xff"
        self.sent[listing].add(log.end // 2)
        log.append(self.broker.now_ms, None, value)

    def trim(self, tp: TopicPartition, keep: int) -> None:
        """Retention takes all but the last `keep` offsets."""
        log = self.broker.log(KafkaPartition(*tp))
        log.trim(log.end - keep)

    # -- Serve --

    def good_line(self, item: actions.Item, *, real: bool = True) -> ResultLine:
        """Serve did the work, or knows a newer revision. Not `real`: nobody gets this answer."""
        listing = item.event.listing
        newest = self.index.get(listing.key, -1)
        if real:
            self.index[listing.key] = max(newest, listing.revision)
        outcome = Outcome.STALE if listing.revision < newest else Outcome.ENRICHED
        return ResultLine(ref=item.ref, result=result_for(item, outcome))

    def answer(self, worker: GroupWorker, request_id: int, item: actions.Item, retry: RetryClass | None) -> None:
        if retry is None:
            worker.answer(request_id, item.ref, self.good_line(item))
            return
        if retry is not RetryClass.BACK_PRESSURE:
            self.failures[worker.place(item)] += 1
        error = ErrorInfo(code="x", retry=retry, message="m")
        worker.answer(request_id, item.ref, ErrorLine(ref=item.ref, error=error))

    # -- what the engines are told and want --

    def assigned(self, worker: GroupWorker, signal: signals.Assigned) -> None:
        done = frozenset[int]() if signal.offset is None else bitmap.decode(signal.offset, signal.metadata)
        worker.resumed[signal.tp] = (signal.offset, done)

    def wanted(self, worker: GroupWorker, action: actions.Action) -> None:
        self.truth.scan()
        match action:
            case actions.Send():
                self._check_request(worker, action)
            case actions.Publish() | actions.PublishDead() | actions.PublishRetry() | actions.Supersede():
                assert not self.transactional, "a message outside of a transaction"
                self._check_message(worker, action)
            case actions.Transact(_, messages, offsets):
                assert worker.transactions is not None
                assert not worker.transactions.busy, "two transactions at a time"
                assert len(messages) <= self.limits.transaction_messages
                for message in messages:
                    self._check_message(worker, message)
                self._check_owned(worker, offsets)
                self.truth.check_offsets(offsets, [(m.record.tp, m.record.offset) for m in messages])
            case actions.Commit(_, offsets, closing):
                assert not self.transactional, "a commit outside of a transaction"
                if not closing:
                    self._check_owned(worker, offsets)
                assert worker.lost.isdisjoint(offsets), "a lost partition was committed"
                self.truth.check_offsets(offsets)
            case actions.Retried(event_id, error, _):
                if error.code == FailureCode.HEAD_BLOCKED and event_id is not None:
                    topic, partition, offset = event_id.rsplit("-", 2)
                    self.failures[TopicPartition(topic, int(partition)), int(offset)] += 1
                assert error.retry is not RetryClass.PERMANENT
                assert error.code in (*FailureCode, *LogCode, *FROM_SERVE)
            case actions.Finished(record=record):
                assert self.truth.landed[record.tp, record.offset], "finished without a message"

    def _check_owned(self, worker: GroupWorker, tps: Iterable[TopicPartition]) -> None:
        assert worker.owned.issuperset(tps), "a partition of somebody else is committed"

    def _check_request(self, worker: GroupWorker, request: actions.Send) -> None:
        assert 0 < len(request.items) <= self.limits.max_events_per_request
        for item in request.items:
            task: Task = worker.engine._dispatcher._tries[item.ref].task
            tp, place = task.record.tp, worker.place(item)
            assert tp in worker.owned, "work for a partition of somebody else"
            assert item.attempt <= 1 + self.failures[place], "an attempt was spent that never failed"
            retried = task.record.retried
            if retried is None:
                base, marked = worker.resumed[tp]
                assert place[1] >= (base or 0), "what is committed was worked on again"
                assert place[1] not in marked, "what the bitmap marks was worked on again"
            else:
                due_ms = task.record.timestamp_ms + 1000 * worker.settings.retry_delays_s[tp.topic]
                assert due_ms <= self.broker.now_ms, "a retry record before its time"
            self._check_order(worker, place, item.event.listing.key)

    def _check_order(self, worker: GroupWorker, place: Place, key: str) -> None:
        """No event may be worked on while an earlier one of its listing waits, unless that one does no work."""
        tp, offset = place
        void = [parcel.message for parcel in worker.engine._outbox._parcels.values()]
        under_way = {(m.record.tp, m.record.offset) for m in void if isinstance(m, actions.Supersede)}
        for entry in self.broker.log(KafkaPartition(*tp)).entries:
            if entry.offset >= offset:
                return
            event = self.event(tp, entry.offset, entry.value)
            if isinstance(event, ListingEvent) and event.listing.key == key:
                earlier = (tp, entry.offset)
                done = self.truth.landed[earlier] or earlier in under_way
                assert done, "a later event of a listing overtook an earlier one"

    def _check_message(self, worker: GroupWorker, message: actions.Outgoing) -> None:
        parcel = worker.engine._outbox._parcels[message.token]
        assert parcel.task.record.tp in worker.owned, "a message for a partition of somebody else"
        place = (message.record.tp, message.record.offset)
        others = [p for p in worker.engine._outbox._parcels.values() if p.task is parcel.task and p is not parcel]
        assert not others, "two messages of one event"
        match message:
            case actions.Publish():
                assert place in worker.succeeded, "an answer that Serve did not give, or gave too late"
            case actions.PublishDead(error=error):
                assert error.code in (*DEAD_LETTER_CODES, *FROM_SERVE)
            case actions.PublishRetry(tier=tier):
                assert 0 <= tier < len(RETRIES)
            case actions.Supersede(event=event, by_revision=newer):
                assert event.type != DELETED, "a deletion was superseded"
                assert newer > event.listing.revision, "the newest was superseded"
                assert newer in self.sent[event.listing.listing_id], "superseded by an event that does not exist"

    def event(self, tp: TopicPartition, offset: int, value: bytes | None) -> Any:
        return parse(SourceRecord(tp, offset, None, value))

    # -- what must hold at any time --

    def look(self) -> None:
        """Read on in the logs; hold what the group has committed against them."""
        self.truth.scan()
        held = self.broker.group(GROUP).offsets
        now = {TopicPartition(*tp): Snapshot(one.offset.offset, one.offset.metadata) for tp, one in held.items()}
        changed = {tp: snapshot for tp, snapshot in now.items() if self.stored.get(tp) != snapshot}
        self.truth.check_offsets(changed)
        for tp, snapshot in changed.items():
            before = self.stored.get(tp, Snapshot(0, ""))
            assert snapshot.offset >= before.offset, "the group's commit went back"
        self.stored = now

    def check(self, worker: GroupWorker) -> None:
        worker.forget_messages(set(worker.engine._outbox._parcels))
        self.look()
        status, limits = worker.engine.status(), self.limits
        items = [item for _, item in worker.tries()]
        assert status.in_flight >= len(items), "work goes on that nobody waits for"
        assert len(items) <= limits.max_in_flight, "more with Serve than may be"
        size = sum(item.record.size for item in items)
        assert len(items) == 1 or size <= limits.max_in_flight_bytes, "more bytes with Serve than may be"
        keys = [item.event.listing.key for item in items]
        assert len(keys) == len(set(keys)), "two events of one listing are in flight"
        assert all(used <= limits.window for used in status.window_used.values()), "a window is too full"
        assert status.buffered <= limits.buffered_high + limits.poll_batch, "the buffer is too full"
        assert worker.owned <= worker.client.assignment(), "it works on what is not assigned to it"
        mine = worker.owned
        assert {tp for tp in worker.client.paused() if tp in mine} == status.paused & mine, "not paused as it should be"
        high = limits.window - limits.poll_batch
        for tp in mine:
            assert tp in status.paused or status.window_used[tp] <= high, "fetched above the watermark"
        for tp, position in status.positions.items():
            for entry in self.broker.log(KafkaPartition(*tp)).entries:
                if entry.offset < position and not entry.control and tp in mine:
                    fate = self.broker.log(KafkaPartition(*tp)).fate(entry)
                    assert not fate or self.truth.answered(tp, entry.offset), "an open offset counts as done"

    # -- a calm end --

    def settle(self) -> None:
        """Faults end but for every second commit, and everything succeeds: all must be done within a bounded time."""
        self.transactions_end_in_time = True
        for number, worker in list(self.workers.items()):
            if worker.frozen:
                self.thaw(number, deaf=False)
        if not self.workers:
            self.start(0)
        idle = rounds = 0
        while idle < _IDLE_ROUNDS:
            before, rounds = self.stored, rounds + 1
            self.broker.advance(5.0)
            for worker in list(self.workers.values()):
                self._calm(worker)
                worker.client.faults.commits.extend([CommitFate.NOT_STORED] * (rounds % 2))
                worker.turn()
                self._calm(worker)
            if all(self.is_finished(tp) for tp in self.all_tps()):
                return
            idle = idle + 1 if self.stored == before else 0
        undone = [(*tp, self.stored.get(tp)) for tp in self.all_tps() if not self.is_finished(tp)]
        seen = {n: (w.owned, w.client.group_metadata(), w.engine.status()) for n, w in self.workers.items()}
        raise AssertionError(f"no progress with {undone}: {seen}")

    def _calm(self, worker: GroupWorker) -> None:
        worker.client.faults.commits.clear()
        worker.client.faults.polls.clear()
        while worker.client.delayed_commits:
            worker.client.release_commit()
        for request_id, item in worker.tries():
            self.answer(worker, request_id, item, None)
        for token in list(worker.outbox):
            worker.acknowledge(token)
        if worker.transaction is not None:
            worker.end_transaction(EndFate.FINE)

    def all_tps(self) -> list[TopicPartition]:
        return [*self.sources(), *(TopicPartition(topic, 0) for topic in RETRIES)]

    def is_finished(self, tp: TopicPartition) -> bool:
        log = self.broker.log(KafkaPartition(*tp))
        last = max((entry.offset for entry in log.entries if not entry.control and log.fate(entry)), default=-1)
        stored = self.stored.get(tp, Snapshot(0, ""))
        return last < log.start or (stored.offset > last and not stored.metadata)

    def check_end(self) -> None:
        for tp in self.sources():
            for entry in self.broker.log(KafkaPartition(*tp)).entries:
                place = (tp, entry.offset)
                assert len(self.truth.visible[place]) == 1, "not exactly one visible answer"
                if self.transactional:
                    assert self.truth.times[place] == 1, "visible twice without a reader that drops repeats"
        for revisions in self.truth.revisions.values():
            assert revisions == sorted(revisions), "an older revision has an effect after a newer one"


__all__ = ["CommitFate", "EndFate", "GroupWorld"]
