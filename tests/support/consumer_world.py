"""A world around the engine for property tests: logs, a group, Serve and a broker, all in memory and fully controlled.

It keeps the truth (`answered`: which records have an acknowledged result or dead letter) apart from what the engine
believes, and checks every action against it the moment that it comes.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from random import Random

from consumers.core import actions, bitmap, signals
from consumers.core.actions import Item
from consumers.core.codes import DEAD_LETTER_CODES, REPLICA_LOST, FailureCode, LogCode
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.core.tracker import Snapshot
from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from consumers.results import result_id
from consumers.retries import read, retry_record
from serve.schemas.exchange import ErrorLine, ResultLine
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo, Position
from tests.support.listing_events import result_for, source_record, structured_bytes

TPS = (TopicPartition("listings.new", 0), TopicPartition("listings.new.high", 0))
RETRY_TPS = (TopicPartition("retry.30s", 0), TopicPartition("retry.5m", 0), TopicPartition("retry.30m", 0))
ALL_TPS = (*TPS, *RETRY_TPS)
CREATED, DELETED = (f"org.vitrine.catalog.listing.{kind}.v1" for kind in ("created", "deleted"))
LIMITS = Limits(
    max_in_flight=6,
    max_in_flight_bytes=1000,
    initial_in_flight=3,
    max_events_per_request=3,
    window=16,
    poll_batch=4,
    buffered_high=20,
    buffered_low=10,
    commit_every=3,
    transaction_messages=4,
)
POLICY = RetryPolicy()
FROM_SERVE = ("x", REPLICA_LOST)
Place = tuple[TopicPartition, int]


def place_of(item: Item) -> Place:
    return TopicPartition(item.position.topic, item.position.partition), item.position.offset


class World:
    def __init__(self, seed: int = 0, engine_class: type[Engine] = Engine, *, transactional: bool = False) -> None:
        self.engine_class = engine_class
        self.limits = replace(LIMITS, transactional=transactional)
        self.seed = seed
        self.logs: dict[TopicPartition, list[SourceRecord]] = {tp: [] for tp in ALL_TPS}
        self.next_offset = dict.fromkeys(ALL_TPS, 0)
        self.committed: dict[TopicPartition, Snapshot] = {}
        #: How many messages about the event that stood here first are with the broker.
        self.landed: Counter[Place] = Counter()
        #: How many there must be before this record, copy or original, counts as answered.
        self.needs: dict[Place, int] = {}
        #: Where the event of each record stood first, and the events of which there are copies.
        self.origins: dict[Place, Place] = {}
        self.copied: set[Place] = set()
        #: Ids of all answers and dead letters, per event: what the reader drops repeats by.
        self.visible: dict[Place, set[str]] = defaultdict(set)
        #: How often each came, for transactions.
        self.times: Counter[Place] = Counter()
        self.now = 0.0
        self.capacity = LIMITS.initial_in_flight
        self.stale: list[signals.Signal] = []
        self.start()

    def is_answered(self, tp: TopicPartition, record: SourceRecord, extra: Collection[Place] = ()) -> bool:
        """Whether the truth says that this record is done, or will be with the `extra` messages."""
        origin = self.origin(record)
        return self.landed[origin] + (origin in extra) >= self.needs[tp, record.offset]

    def origin(self, record: SourceRecord) -> Place:
        return self.origins[record.tp, record.offset]

    def delivered(self, record: SourceRecord) -> SourceRecord:
        if record.tp not in RETRY_TPS:
            return record
        return read(record, POLICY.delayed_s[RETRY_TPS.index(record.tp)], 0.0, self.now)

    # -- life --

    def start(self) -> None:
        self.engine = self.engine_class(self.limits, POLICY, Random(self.seed))
        self.capacity = LIMITS.initial_in_flight
        self.fetch: dict[TopicPartition, int] = {}
        self.marked: dict[TopicPartition, frozenset[int]] = {}
        self.paused: set[TopicPartition] = set()
        self.requests: dict[int, dict[int, Item]] = {}
        self.cancelled: dict[int, Item] = {}
        self.outbox: dict[int, actions.Outgoing] = {}
        self.transaction: actions.Transact | None = None
        self.commits: dict[int, actions.Commit] = {}
        self.epoch_commit: dict[TopicPartition, int] = {}
        self.newest_stored = 0
        self.stale = []
        self.suspects: set[tuple[TopicPartition, int]] = set()
        self.stopped = False

    def crash(self, landed: bool) -> None:
        for message in self.outbox.values():
            if landed:
                self.land(message)
        for commit in self.commits.values():
            if landed:
                self.store(commit)
        if self.transaction is not None and landed:
            self.make_visible(self.transaction)
        self.start()

    def tell(self, *happened: signals.Signal) -> list[actions.Action]:
        for signal in happened:
            if isinstance(signal, signals.CapacityChanged):
                self.capacity = signal.max_in_flight
        done = self.engine.handle(self.now, happened)
        for action in done:
            getattr(self, f"do_{type(action).__name__.lower()}")(action)
        self.check()
        return done

    # -- the group --

    def assign(self, tp: TopicPartition) -> None:
        if self.transaction is not None and tp in self.transaction.offsets:
            # A broker does not tell the offsets of a partition while a transaction over it is open.
            self.end_transaction(committed=self.transaction.txn_id % 2 == 0, known=True)
        snapshot = self.committed.get(tp)
        self.fetch[tp] = snapshot.offset if snapshot else 0
        self.paused.add(tp)
        self.epoch_commit.pop(tp, None)
        self.marked[tp] = bitmap.decode(snapshot.offset, snapshot.metadata) if snapshot else frozenset()
        offset, metadata = (snapshot.offset, snapshot.metadata) if snapshot else (None, "")
        self.tell(signals.Assigned(tp, offset, metadata))

    def leave(self, tp: TopicPartition, *, lost: bool, replaced: bool = False) -> None:
        in_flight = [(ref, item) for items in self.requests.values() for ref, item in items.items()]
        leaving = {ref for ref, attempt in self.engine._dispatcher._tries.items() if attempt.task.home.tp == tp}
        parcels = {token: parcel.task.home.tp for token, parcel in self.engine._outbox._parcels.items()}
        tokens = list(self.outbox.items())
        self.fetch.pop(tp, None)
        self.paused.discard(tp)
        suspects = {place_of(item) for ref, item in in_flight if ref in leaving}
        self.suspects = {place for place in self.suspects - suspects if place[0] != tp}
        said = self.tell(signals.Lost([tp], replaced=replaced) if lost else signals.Revoked([tp]))
        for commit in (action for action in said if isinstance(action, actions.Commit) and action.closing):
            assert not lost, "a lost partition was committed"
            assert set(commit.offsets) == {tp}
        for ref, item in in_flight:
            if ref in leaving:
                assert ref in self.cancelled, "a try of a revoked partition was not cancelled"
                self.stale.append(signals.Answered(ResultLine(ref=ref, result=result_for(item))))
        for token, message in tokens:
            if parcels.get(token) == tp:
                # The producer cannot be called back: the message lands, and its acknowledgement comes too late.
                self.land(message)
                del self.outbox[token]
                self.stale.append(signals.Published(token))

    def produce(self, tp: TopicPartition, listing: str, gap: int, *, deleted: bool = False) -> None:
        offset = self.next_offset[tp] + gap
        # Two events in a row have the same revision.
        more = {"type": DELETED if deleted else CREATED}
        value = structured_bytes(f"{tp.topic}-{offset}", listing, offset // 2, **more) if listing else b"\xff"
        self.append(source_record(tp, offset, value), (tp, offset), needs=1)

    def append(self, record: SourceRecord, origin: Place, needs: int) -> None:
        self.origins[record.tp, record.offset] = origin
        self.logs[record.tp].append(record)
        self.next_offset[record.tp] = record.offset + 1
        self.needs[record.tp, record.offset] = needs

    def poll(self, tp: TopicPartition) -> None:
        if tp not in self.fetch or tp in self.paused:
            return
        records = [record for record in self.logs[tp] if record.offset >= self.fetch[tp]][: LIMITS.poll_batch]
        if records:
            self.fetch[tp] = records[-1].offset + 1
            self.tell(signals.Received([self.delivered(record) for record in records]))

    def rewind(self, tp: TopicPartition, records: int) -> None:
        """The client fetches some records a second time under the same assignment."""
        fetched = [record.offset for record in self.logs[tp] if record.offset < self.fetch.get(tp, 0)]
        if tp in self.fetch and fetched:
            self.fetch[tp] = fetched[-records:][0]

    # -- serve --

    def tries(self) -> list[tuple[int, int, Item]]:
        return [(r, ref, item) for r, items in self.requests.items() for ref, item in items.items()]

    def answer(self, request_id: int, ref: int, retry: RetryClass | None, code: str = "x") -> None:
        item = self.requests[request_id].pop(ref)
        if retry is not None and code == REPLICA_LOST:
            self.suspects.add(place_of(item))
        if retry is None:
            line: ResultLine | ErrorLine = ResultLine(ref=ref, result=result_for(item))
        else:
            line = ErrorLine(ref=ref, error=ErrorInfo(code=code, retry=retry, message="m"))
        self.tell(signals.Answered(line))

    def end(self, request_id: int, kind: signals.Break | None) -> None:
        if kind in (None, signals.Break.BROKEN):
            self.suspects.update(place_of(item) for item in self.requests[request_id].values())
        if kind is None:
            self.tell_end(request_id, signals.StreamEnded(request_id))
        else:
            self.tell_end(request_id, signals.StreamBroken(request_id, kind, "broken"))

    def tell_end(self, request_id: int, signal: signals.Signal) -> None:
        for ref, item in self.requests.pop(request_id).items():
            self.stale.append(signals.Answered(ResultLine(ref=ref, result=result_for(item))))
        self.tell(signal)

    # -- the broker --

    def acknowledge(self, token: int) -> None:
        self.land(self.outbox.pop(token))
        self.tell(signals.Published(token))

    def refuse(self, token: int, *, permanent: bool, landed: bool) -> None:
        message = self.outbox.pop(token)
        if landed and not permanent:
            self.land(message)
        self.tell(signals.PublishFailed(token, "no", permanent))

    def land(self, message: actions.Outgoing) -> None:
        record, event = message.record, message.event
        place = (record.tp, record.offset)
        self.landed[place] += 1
        if isinstance(message, actions.PublishRetry):
            copy = retry_record(message, 0.0, "test")
            tp = RETRY_TPS[message.tier]
            stamped = SourceRecord(tp, self.next_offset[tp], copy.key, copy.value, copy.headers, int(self.now * 1000))
            self.append(stamped, place, needs=self.landed[place] + 1)
            self.copied.add(place)
            return
        position = Position(topic=record.tp.topic, partition=record.tp.partition, offset=record.offset)
        self.times[place] += 1
        self.visible[place].add(result_id(event.source or "", event.id or "", position))

    def end_transaction(self, *, committed: bool, known: bool) -> None:
        transaction, self.transaction = self.transaction, None
        assert transaction is not None
        number = transaction.txn_id
        if committed:
            self.make_visible(transaction)
        if not known:
            found = {tp: self.committed[tp] for tp in transaction.offsets if tp in self.committed}
            self.tell(signals.TransactionUnknown(number, "no answer", found))
        else:
            self.tell(signals.Transacted(number) if committed else signals.TransactionFailed(number, "aborted"))

    def make_visible(self, transaction: actions.Transact) -> None:
        for message in transaction.messages:
            self.land(message)
        self.committed.update(transaction.offsets)

    def finish_commit(self, commit_id: int, *, stored: bool, known: bool) -> None:
        commit = self.commits.pop(commit_id)
        if stored:
            self.store(commit)
        done = signals.CommitDone(commit_id) if stored and known else signals.CommitFailed(commit_id, "unknown")
        self.tell(done)

    def store(self, commit: actions.Commit) -> None:
        # One connection keeps the order: what was sent earlier cannot land on top of what was sent later.
        if commit.commit_id > self.newest_stored:
            self.newest_stored = commit.commit_id
            self.committed.update(commit.offsets)

    # -- actions, each checked against the truth --

    def do_send(self, action: actions.Send) -> None:
        assert 0 < len(action.items) <= LIMITS.max_events_per_request
        assert self.capacity > 0, "something was sent though no replica is there"
        # Messages of a partition that is just leaving are no longer the engine's.
        answers = [message for message in self.outbox.values() if not isinstance(message, actions.Supersede)]
        waiting = [message for message in answers if message.record.tp in self.fetch]
        assert len(waiting) < LIMITS.max_in_flight, "work goes on though Kafka takes no answers"
        self.requests[action.request_id] = {item.ref: item for item in action.items}
        for item in action.items:
            tp = TopicPartition(item.position.topic, item.position.partition)
            if place_of(item) not in self.copied:
                assert item.position.offset not in self.marked[tp], "what the bitmap marks was worked on again"
            self.check_order(tp, item.position.offset, item.event.listing.key)
        assert item.final == (item.attempt >= POLICY.max_attempts) or item.attempt > 1

    def check_order(self, tp: TopicPartition, offset: int, key: str) -> None:
        """No event may be worked on while an earlier one of its listing is, unless that one does no work."""
        on_their_way = {(message.record.tp, message.record.offset) for message in self.pending()}
        for record in self.logs[tp]:
            if record.offset >= offset:
                break
            event = parse(record)
            if isinstance(event, ListingEvent) and event.listing.key == key:
                done = self.landed[tp, record.offset] or (tp, record.offset) in on_their_way
                assert done, "a later event of a listing overtook an earlier one"

    def pending(self) -> list[actions.Outgoing]:
        """Superseded events whose messages are under way: they do no work."""
        parcels = [parcel.message for parcel in self.engine._outbox._parcels.values()]
        return [message for message in parcels if isinstance(message, actions.Supersede)]

    def do_cancelitems(self, action: actions.CancelItems) -> None:
        for ref in action.refs:
            item = self.requests[action.request_id].pop(ref)
            self.cancelled[ref] = item
            self.stale.append(signals.Answered(ResultLine(ref=ref, result=result_for(item))))

    def do_publish(self, action: actions.Publish) -> None:
        self.take(action)
        self.check_order(action.record.tp, action.record.offset, action.event.listing.key)

    def do_publishdead(self, action: actions.PublishDead) -> None:
        self.take(action)
        assert action.error.code in (*DEAD_LETTER_CODES, *FROM_SERVE)

    def do_publishretry(self, action: actions.PublishRetry) -> None:
        self.take(action)
        never_tried = action.error.code == FailureCode.HEAD_BLOCKED and action.tier == 0
        assert action.tries.delayed == action.tier + 1 or never_tried

    def do_supersede(self, action: actions.Supersede) -> None:
        self.take(action)
        listing = action.event.listing
        assert action.event.type != DELETED, "a deletion was superseded"
        assert action.by_revision > listing.revision
        events = (parse(record) for tp in TPS for record in self.logs[tp])
        revisions = {e.listing.revision for e in events if isinstance(e, ListingEvent) and e.listing.key == listing.key}
        assert action.by_revision in revisions, "superseded by an event that does not exist"

    def take(self, action: actions.Outgoing) -> None:
        assert not self.limits.transactional, "a message outside of a transaction"
        assert action.token not in self.outbox
        self.outbox[action.token] = action

    def do_transact(self, action: actions.Transact) -> None:
        assert self.transaction is None, "two transactions at a time"
        assert self.limits.transactional
        assert len(action.messages) <= LIMITS.transaction_messages
        self.check_offsets(action.offsets, [(m.record.tp, m.record.offset) for m in action.messages])
        self.transaction = action

    def do_seekback(self, action: actions.SeekBack) -> None:
        self.fetch[action.tp] = action.offset

    def do_commit(self, action: actions.Commit) -> None:
        self.check_offsets(action.offsets)
        if action.closing:
            self.store(action)
        else:
            self.commits[action.commit_id] = action

    def check_offsets(self, offsets: Mapping[TopicPartition, Snapshot], extra: Collection[Place] = ()) -> None:
        for tp, snapshot in offsets.items():
            marked = bitmap.decode(snapshot.offset, snapshot.metadata)
            for record in self.logs[tp]:
                if record.offset < snapshot.offset or record.offset in marked:
                    assert self.is_answered(tp, record, extra), "offsets pass an unanswered event"
            assert snapshot.offset >= self.epoch_commit.get(tp, 0), "a commit went back"
            assert len(snapshot.metadata) <= bitmap.MAX_METADATA_CHARS
            self.epoch_commit[tp] = snapshot.offset

    def do_pause(self, action: actions.Pause) -> None:
        assert self.paused.isdisjoint(action.tps)
        assert set(action.tps) <= set(self.fetch)
        self.paused.update(action.tps)

    def do_resume(self, action: actions.Resume) -> None:
        assert self.paused.issuperset(action.tps)
        self.paused.difference_update(action.tps)

    def do_retried(self, action: actions.Retried) -> None:
        assert action.error.retry is not RetryClass.PERMANENT
        assert action.error.code in (*FailureCode, *LogCode, *FROM_SERVE)

    def do_finished(self, action: actions.Finished) -> None:
        assert self.landed[action.record.tp, action.record.offset]

    def do_wentback(self, action: actions.WentBack) -> None:
        assert action.offset < action.expected <= self.next_offset[action.tp]

    def do_stopped(self, action: actions.Stopped) -> None:
        self.stopped = True

    # -- what must hold at any time --

    def check(self) -> None:
        status = self.engine.status()
        items = [item for _, _, item in self.tries()]
        assert status.in_flight == len(items) <= max(self.capacity, LIMITS.initial_in_flight, LIMITS.max_in_flight)
        keys = [item.event.listing.key for item in items]
        assert len(keys) == len(set(keys)), "two events of one listing are in flight"
        # A copy from an earlier life does not know what became of the event since.
        known = self.suspects - self.copied
        assert len(items) == 1 or known.isdisjoint(map(place_of, items)), "a suspect has company"
        assert status.paused == self.paused
        assert all(used <= LIMITS.window for used in status.window_used.values())
        assert status.buffered <= LIMITS.buffered_high + LIMITS.poll_batch
        assert set(status.window_used) == set(self.fetch)
        for tp, position in status.positions.items():
            undone = [record.offset for record in self.logs[tp] if not self.is_answered(tp, record)]
            assert position <= min(undone, default=self.next_offset[tp])

    # -- a calm end --

    def settle(self) -> None:
        """Give every partition and let everything succeed; the engine must come to an end by itself."""
        for tp in ALL_TPS:
            if tp not in self.fetch:
                self.assign(tp)
        # With no replica at all there would be no end.
        self.tell(signals.CapacityChanged(LIMITS.max_in_flight, LIMITS.max_events_per_request))
        for _ in range(400):
            self.now += 100.0
            self.tell()
            for tp in ALL_TPS:
                self.poll(tp)
            self.succeed()
            if all(self.is_finished(tp) for tp in ALL_TPS):
                return
        raise AssertionError("no progress")

    def succeed(self) -> None:
        """Everything that is under way comes to a good end."""
        for request_id, ref, _ in self.tries():
            if request_id in self.requests and ref in self.requests[request_id]:
                self.answer(request_id, ref, None)
        for token in list(self.outbox):
            self.acknowledge(token)
        for commit_id in list(self.commits):
            self.finish_commit(commit_id, stored=True, known=True)
        if self.transaction is not None:
            self.end_transaction(committed=True, known=True)

    def is_finished(self, tp: TopicPartition) -> bool:
        if not self.logs[tp]:
            return True
        end = self.logs[tp][-1].offset + 1
        return (snapshot := self.committed.get(tp)) is not None and snapshot == (end, "")

    def check_end(self) -> None:
        for tp in TPS:
            for record in self.logs[tp]:
                assert len(self.visible[tp, record.offset]) == 1, "not exactly one visible answer"
                if self.limits.transactional:
                    assert self.times[tp, record.offset] == 1, "visible twice without a reader that drops repeats"
