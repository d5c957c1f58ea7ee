"""A whole group against a hostile world: the real core and poller over the fake Kafka, in both modes of delivery.

`VITRINE_SOAK_EXAMPLES` sets the number of examples; `make soak` sets it to 20,000.
"""

import os
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from kafka.errors import KafkaError

from consumers.core.actions import SeekBack
from consumers.core.engine import Engine
from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy
from consumers.core.signals import Assigned, Break, CapacityChanged, Lost, Received
from consumers.records import TopicPartition
from serve.schemas.outcome import RetryClass
from tests.support.fake_kafka import CommitFate, EndFate, SendFate
from tests.support.group_world import GroupWorld
from tests.support.listing_events import source_record, structured_bytes

pick = st.integers(0, 10**6)
#: Shrinking a failure takes minutes here: switch it on when there is one.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def test_a_place_to_fetch_again_from_is_forgotten_with_its_assignment():
    """Found by the machine: a member that was renewed skipped what lay before that place."""
    tp, engine = TopicPartition("listings.new", 0), Engine(Limits(), RetryPolicy(), Random(0))
    far = [source_record(tp, offset, structured_bytes(f"e{offset}", f"l{offset}")) for offset in (0, 5000)]
    engine.handle(0.0, [Assigned(tp, 0)])
    assert SeekBack(tp, 5000) in engine.handle(1.0, [Received(far)])
    engine.handle(2.0, [Assigned(tp, 0)])
    told = [Received(far), Lost([tp], replaced=True), Assigned(tp, 0)]
    assert not any(isinstance(action, SeekBack) for action in engine.handle(3.0, told))


def test_what_a_static_member_gave_up_before_it_died_finds_an_owner():
    world = GroupWorld(3, 2, static=True)
    world.turn(6)
    for tp in world.sources():
        world.produce(tp, "l", 0)
    world.interrupt(2, 0)
    world.settle()
    world.check_end()


DISTURBANCES = [
    *("crash", "restart", "stop", "start", "freeze", "thaw", "replace", "evict", "interrupt"),
    *("retention", "grow", "capacity", "slow"),
]


class GroupMachine(RuleBasedStateMachine):
    transactional = False
    world: GroupWorld

    @initialize(seed=st.integers(0, 1000), workers=st.integers(2, 3), static=st.booleans())
    def begin(self, seed, workers, static):
        self.world = GroupWorld(seed, workers, transactional=self.transactional, static=static)
        self.world.turn(4)

    def awake(self, which):
        workers = self.world.awake
        return workers[which % len(workers)]

    @rule(
        tp=st.integers(0, 3),
        listings=st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", ""]), min_size=1, max_size=8),
        gap=st.sampled_from([0, 0, 0, 2, 5000]),
        deleted=st.booleans(),
    )
    def produce(self, tp, listings, gap, deleted):
        sources = self.world.sources()
        for number, listing in enumerate(listings):
            middle = number == len(listings) // 2
            self.world.produce(sources[tp % len(sources)], listing, gap, deleted=deleted and middle)
        self.world.turn(2)

    @rule(which=pick, times=st.integers(1, 3))
    def turn(self, which, times):
        if self.world.awake:
            worker = self.awake(which)
            for _ in range(times):
                worker.turn()

    @precondition(lambda self: any(worker.tries() for worker in self.world.awake))
    @rule(which=pick, count=st.integers(1, 3), retry=st.sampled_from([None, None, None, *RetryClass]))
    def answer(self, which, count, retry):
        for step in range(count):
            tries = [(worker, *attempt) for worker in self.world.awake for attempt in worker.tries()]
            if tries:
                worker, request_id, item = tries[(which + step) % len(tries)]
                self.world.answer(worker, request_id, item, retry)
                worker.turn()

    @precondition(lambda self: any(worker.requests for worker in self.world.awake))
    @rule(which=pick, kind=st.sampled_from([None, *Break]))
    def end_stream(self, which, kind):
        streams = [(worker, request) for worker in self.world.awake for request in worker.requests]
        worker, request = streams[which % len(streams)]
        worker.end_stream(request, kind)
        worker.turn()

    @precondition(lambda self: any(worker.outbox for worker in self.world.awake))
    @rule(which=pick, count=st.integers(1, 5), turn=st.booleans())
    def acknowledge(self, which, count, turn):
        worker = [worker for worker in self.world.awake if worker.outbox][which % 1]
        for token in list(worker.outbox)[:count]:
            worker.acknowledge(token)
        if turn:
            worker.turn()

    @precondition(lambda self: any(worker.outbox for worker in self.world.awake))
    @rule(which=pick, permanent=st.booleans(), landed=st.booleans())
    def refuse(self, which, permanent, landed):
        messages = [(worker, token) for worker in self.world.awake for token in worker.outbox]
        worker, token = messages[which % len(messages)]
        worker.refuse(token, permanent=permanent, landed=landed)
        worker.turn()

    @precondition(lambda self: any(worker.transaction for worker in self.world.awake))
    @rule(
        which=pick,
        fate=st.sampled_from([EndFate.FINE, EndFate.FINE, *EndFate]),
        send=st.sampled_from([SendFate.FINE] * 4 + [SendFate.NOT_LANDED, SendFate.LANDED_BUT_FAILED]),
    )
    def end_transaction(self, which, fate, send):
        busy = [worker for worker in self.world.awake if worker.transaction]
        worker = busy[which % len(busy)]
        worker.end_transaction(fate, send)
        worker.turn()

    @rule(which=pick, fate=st.sampled_from([*CommitFate, "poll", "committed"]))
    def fail_soon(self, which, fate):
        if not self.world.awake:
            return
        faults = self.awake(which).client.faults
        if isinstance(fate, CommitFate):
            faults.commits.append(fate)
        else:
            (faults.polls if fate == "poll" else faults.committed).append(KafkaError("told to fail"))

    @precondition(lambda self: any(worker.client.delayed_commits for worker in self.world.awake))
    @rule(which=pick)
    def release_commit(self, which):
        worker = next(worker for worker in self.world.awake if worker.client.delayed_commits)
        worker.client.release_commit()
        self.world.look()

    @rule(seconds=st.sampled_from([0.05, 1.0, 1.0, 6.0, 40.0, 320.0]))
    def time(self, seconds):
        self.world.pass_time(seconds)

    @rule(
        which=pick,
        what=st.sampled_from(DISTURBANCES),
        flag=st.booleans(),
    )
    def disturb(self, which, what, flag):
        """One rule for all that is rare, so that some work gets done in between."""
        world = self.world
        numbers = [number for number, worker in world.workers.items() if not worker.frozen]
        if what == "thaw":
            for number in [number for number, worker in world.workers.items() if worker.frozen]:
                world.thaw(number, deaf=flag)
        elif what == "start":
            for number in {0, 1, 2} - world.workers.keys():
                world.start(number)
        elif what == "retention":
            world.trim(world.sources()[which % 3], keep=which % 5)
        elif what == "slow":
            world.transactions_end_in_time = flag
        elif what == "grow" and world.broker.count("listings.new") == 2:
            world.broker.add_partitions("listings.new", 3)
        elif numbers:
            self.disturb_one(numbers[which % len(numbers)], what, flag)
        world.turn()

    def disturb_one(self, number, what, flag):
        world = self.world
        if what in ("crash", "restart"):
            world.crash(number, landed=flag)
            if what == "restart":
                world.start(number)
        elif what == "stop":
            world.stop(number, 5.0 if flag else 0.0)
        elif what == "freeze":
            world.freeze(number)
            if flag:
                world.pass_time(20.0)
        elif what == "evict":
            world.evict(number)
        elif what == "interrupt" and (missing := {0, 1, 2} - world.workers.keys()):
            world.interrupt(min(missing), number)
        elif what == "replace":
            world.workers[number].replace_client(leave=flag)
        elif what == "capacity":
            world.workers[number].inbox.put(CapacityChanged(6 if flag else 2, 3))

    @precondition(lambda self: any(worker.stale for worker in self.world.awake))
    @rule(which=pick)
    def stale(self, which):
        late = [(worker, signal) for worker in self.world.awake for signal in worker.stale]
        worker, signal = late[which % len(late)]
        worker.turn()
        before = worker.engine.status()
        assert worker.engine.handle(self.world.broker.now, [signal]) == []
        assert worker.engine.status() == before

    def teardown(self):
        if hasattr(self, "world") and self.world.broken is None:
            self.world.settle()
            self.world.check_end()


class TransactionalGroupMachine(GroupMachine):
    transactional = True


EXAMPLES = int(os.environ.get("VITRINE_SOAK_EXAMPLES", "300"))
BOUNDS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow],
)
TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.settings = BOUNDS
TestTransactionalGroupMachine = TransactionalGroupMachine.TestCase
TestTransactionalGroupMachine.settings = BOUNDS
