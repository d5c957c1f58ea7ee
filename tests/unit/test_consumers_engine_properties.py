"""The engine against a hostile world: whatever comes in whatever order, the promises hold."""

import os

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from consumers.core.codes import REPLICA_LOST
from consumers.core.signals import Break, CapacityChanged
from serve.schemas.outcome import RetryClass
from tests.support.consumer_world import ALL_TPS, TPS, World

pick = st.integers(0, 10**6)
#: Shrinking a failure takes minutes here: switch it on when there is one.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


class EngineMachine(RuleBasedStateMachine):
    transactional = False
    world: World

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.world = World(seed, transactional=self.transactional)
        for tp in ALL_TPS:
            self.world.assign(tp)

    @rule(
        tp=st.sampled_from(TPS),
        listings=st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", ""]), min_size=1, max_size=8),
        gap=st.sampled_from([0, 0, 0, 2, 5000]),
        deleted=st.booleans(),
    )
    def produce(self, tp, listings, gap, deleted):
        for number, listing in enumerate(listings):
            self.world.produce(tp, listing, gap, deleted=deleted and number == len(listings) // 2)
        self.world.poll(tp)

    @rule(tp=st.sampled_from(ALL_TPS))
    def poll(self, tp):
        self.world.poll(tp)

    @precondition(lambda self: self.world.tries())
    @rule(which=pick, retry=st.sampled_from([None, None, None, *RetryClass]), code=st.sampled_from(["x", REPLICA_LOST]))
    def answer(self, which, retry, code):
        tries = self.world.tries()
        request_id, ref, _ = tries[which % len(tries)]
        self.world.answer(request_id, ref, RetryClass.TRANSIENT if retry and code == REPLICA_LOST else retry, code)

    @precondition(lambda self: self.world.tries())
    @rule(which=pick)
    def succeed(self, which):
        tries = self.world.tries()
        request_id, ref, _ = tries[which % len(tries)]
        before = set(self.world.outbox)
        self.world.answer(request_id, ref, None)
        for token in set(self.world.outbox) - before:
            self.world.acknowledge(token)

    @precondition(lambda self: self.world.requests)
    @rule(which=pick, kind=st.sampled_from([None, *Break]))
    def end_stream(self, which, kind):
        requests = list(self.world.requests)
        self.world.end(requests[which % len(requests)], kind)

    @precondition(lambda self: self.world.outbox)
    @rule(which=pick, count=st.integers(1, 3))
    def acknowledge(self, which, count):
        for _ in range(min(count, len(self.world.outbox))):
            tokens = list(self.world.outbox)
            self.world.acknowledge(tokens[which % len(tokens)])

    @precondition(lambda self: self.world.outbox)
    @rule(which=pick, permanent=st.booleans(), landed=st.booleans())
    def refuse(self, which, permanent, landed):
        tokens = list(self.world.outbox)
        self.world.refuse(tokens[which % len(tokens)], permanent=permanent, landed=landed)

    @precondition(lambda self: self.world.commits)
    @rule(which=pick, stored=st.booleans(), known=st.booleans())
    def finish_commit(self, which, stored, known):
        commits = list(self.world.commits)
        self.world.finish_commit(commits[which % len(commits)], stored=stored, known=known)

    @precondition(lambda self: self.world.transaction)
    @rule(committed=st.sampled_from([True, True, False]), known=st.sampled_from([True, True, False]))
    def end_transaction(self, committed, known):
        self.world.end_transaction(committed=committed, known=known)

    @rule(seconds=st.sampled_from([0.05, 1.0, 6.0, 40.0, 400.0]))
    def time(self, seconds):
        self.world.now += seconds
        self.world.tell()

    @rule(
        tp=st.sampled_from(ALL_TPS),
        what=st.sampled_from(["leave", "come back", "bounce", "replace", "crash", "fetch again", "capacity"]),
        flag=st.booleans(),
        number=st.integers(0, 6),
    )
    def disturb(self, tp, what, flag, number):
        """One rule for all that is rare, so that the engine gets some work done in between."""
        world = self.world
        if what == "crash":
            world.crash(landed=flag)
            for each in ALL_TPS:
                world.assign(each)
        elif what == "fetch again":
            world.rewind(tp, number + 1)
        elif what == "capacity":
            world.tell(CapacityChanged(number, 3))
        elif what != "come back" and tp in world.fetch:
            replaced = what == "replace"
            world.leave(tp, lost=flag or replaced, replaced=replaced)
        if what in ("come back", "bounce", "replace") and tp not in world.fetch:
            world.assign(tp)
        world.poll(tp)

    @precondition(lambda self: self.world.stale)
    @rule(which=pick)
    def stale(self, which):
        self.world.tell()
        before = self.world.engine.status()
        signal = self.world.stale[which % len(self.world.stale)]
        assert self.world.tell(signal) == []
        assert self.world.engine.status() == before

    def teardown(self):
        if hasattr(self, "world"):
            self.world.settle()
            self.world.check_end()


class TransactionalMachine(EngineMachine):
    transactional = True


EXAMPLES = int(os.environ.get("VITRINE_SOAK_EXAMPLES", "300"))
BOUNDS = settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None, phases=PHASES)
TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = BOUNDS
TestTransactionalMachine = TransactionalMachine.TestCase
TestTransactionalMachine.settings = BOUNDS
