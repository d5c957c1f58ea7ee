"""The conductor strikes in the middle of work, heals what it struck, and does the same again with the same seed."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import DeployError, ServiceFailed
from deploy.loadtest.faults.backstage import Backstage
from deploy.loadtest.faults.cluster import office
from deploy.loadtest.faults.conductor import Conductor, Phase, TimedConductor
from deploy.loadtest.faults.kinds import Fault, FreezeConsumer, KillBroker, KillConsumer
from deploy.loadtest.faults.program import FAULTS, program
from deploy.loadtest.faults.scene import Part, Scene, absent
from deploy.loadtest.faults.store_kinds import CutStore
from deploy.loadtest.faults.timeline import Strike
from deploy.loadtest.proxy.toxics import Toxic

EVENTS = 400


@dataclass
class Everything:
    """Consumers, brokers, Serve and store in one: it notes what is done to it and what is wrong now."""

    story: list[str] = field(default_factory=list)
    workers: set[str] = field(default_factory=lambda: {"worker-1", "worker-2", "worker-3"})
    frozen: set[str | int] = field(default_factory=set)
    fallen: set[int] = field(default_factory=set)
    pids: list[int] = field(default_factory=lambda: [11, 12])
    toxics: list[str] = field(default_factory=list)
    cut: bool = False
    started: int = 3

    def working(self) -> Sequence[str]:
        return sorted(self.workers)

    def start(self) -> str:
        self.started += 1
        self.workers.add(f"worker-{self.started}")
        self.story.append("start")
        return f"worker-{self.started}"

    def kill(self, whom: str | int) -> None:
        self.story.append(f"kill {whom}")
        if isinstance(whom, str):
            self.workers.remove(whom)
        else:
            assert not self.fallen, "two brokers at a time would leave no majority"
            self.fallen.add(whom)

    def freeze(self, whom: str | int) -> None:
        self.story.append(f"freeze {whom}")
        self.frozen.add(whom)

    def thaw(self, whom: str | int) -> None:
        self.frozen.remove(whom)

    def ask_to_stop(self, name: str) -> None:
        self.story.append(f"ask {name}")
        self.workers.remove(name)

    def nodes(self) -> Sequence[int]:
        return [1, 2, 3]

    def restart(self, node: int) -> None:
        self.fallen.remove(node)

    def group_coordinator(self) -> int:
        return 2

    def move_group_coordinator(self) -> str:
        self.story.append("move")
        return "from 2 to 3"

    def transaction_coordinator(self) -> int:
        return 3

    def replicas(self) -> Sequence[int]:
        return self.pids

    def kill_replica(self, pid: int) -> None:
        self.story.append(f"kill replica {pid}")
        self.pids.remove(pid)

    def freeze_replica(self, pid: int) -> None:
        assert pid in self.pids
        self.freeze(pid)

    def thaw_replica(self, pid: int) -> None:
        self.thaw(pid)

    def redeploy(self) -> None:
        self.story.append("redeploy")
        self.pids.clear()

    def settle(self) -> None:
        self.pids = [21, 22]

    def disable(self) -> None:
        self.story.append("cut")
        self.cut = True

    def deny(self) -> None:
        self.disable()

    def throttle(self) -> None:
        self.disable()

    def add(self, toxic: Toxic) -> None:
        self.story.append(toxic.title)
        self.toxics.append(toxic.title)

    def reset(self) -> None:
        self.toxics.clear()
        self.cut = False

    @property
    def well(self) -> bool:
        return not (self.frozen or self.fallen or self.toxics or self.cut) and len(self.pids) == 2

    def scene(self) -> Scene:
        return Scene(crew=self, brokers=self, serving=self, store=self, session_timeout_s=6.0)


@dataclass
class Clock:
    """The time, and how many events are answered."""

    now: float = 0.0
    answered: int = 0


def conductor(world: Everything, clock: Clock, faults: list[Fault], seed: int = 1, events: int = EVENTS) -> Conductor:
    return Conductor(
        world.scene(), faults, seed, events=events, answered=lambda: clock.answered, clock=lambda: clock.now
    )


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_every_fault_harms_and_heals(fault: Fault) -> None:
    world, scene = Everything(), Everything().scene()
    scene = world.scene()
    whom = fault.strike(scene, random.Random(1))
    assert world.story, "nothing was struck"
    assert whom
    assert fault.heal(scene, whom)
    assert world.well
    assert len(world.workers) == 3
    assert fault.hold_s(scene) >= 0


def test_a_frozen_worker_stays_so_past_its_session() -> None:
    assert FreezeConsumer().hold_s(Everything().scene()) > 6.0


def test_the_first_fault_waits_for_progress() -> None:
    world, clock = Everything(), Clock()
    running = conductor(world, clock, [KillConsumer()])
    clock.answered = 49
    running.tick()
    assert world.story == []
    assert running.released == 100
    clock.answered = 50
    running.tick()
    assert running.released == 200
    assert world.story[0].startswith("kill worker")
    assert running.now_on == "kill_consumer"


def test_without_progress_it_comes_all_the_same_after_a_while() -> None:
    world, clock = Everything(), Clock()
    running = conductor(world, clock, [KillConsumer()])
    clock.now = 29.9
    running.tick()
    assert world.story == []
    clock.now = 30.0
    running.tick()
    assert len(world.story) == 1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_one_fault_at_a_time_all_in_order_and_well_in_the_end(seed: int, chance: random.Random) -> None:
    world, clock = Everything(), Clock()
    faults = program("12", seed, transactional=True)
    running = conductor(world, clock, faults, seed)
    for _ in range(150):
        clock.now += chance.uniform(0.1, 15)
        clock.answered = min(clock.answered + chance.randint(0, 20), running.released)
        assert running.now_on or world.well
        running.tick()
        assert clock.answered <= running.released <= EVENTS
    running.heal()
    assert world.well
    phases = [mark.phase for mark in running.marks]
    assert phases == [Phase.STRIKE, Phase.HEAL] * (len(phases) // 2)
    struck = [mark.fault for mark in running.marks if mark.phase is Phase.STRIKE]
    assert struck == [fault.name for fault in faults[: len(struck)]]
    assert running.done == (len(struck) == len(faults))


@settings(deadline=None)
@given(st.integers(200, 5000), st.integers(1, 19))
def test_every_fault_hits_work_and_all_events_are_sent(events: int, count: int) -> None:
    """Answers that come at once, and no time at all: each fault strikes before the events are used up."""
    world, clock = Everything(), Clock()
    running = conductor(world, clock, program(str(count), 1, transactional=False), events=events)
    for _ in range(200):
        if running.done:
            break
        before = running.now_on
        clock.answered = running.released
        running.tick()
        if before is None and running.now_on is not None:
            assert running.marks[-1].answered < events
        clock.now += 20 if running.now_on else 0
    assert running.done
    assert running.released == events


def test_the_same_seed_hits_the_same() -> None:
    def story(seed: int) -> list[str]:
        world, clock = Everything(), Clock()
        running = conductor(world, clock, program("20", seed, transactional=False), seed)
        for _ in range(200):
            clock.now += 15
            running.tick()
        assert running.done
        return world.story

    assert story(5) == story(5)
    assert story(5) != story(6)


def test_healing_at_the_end_of_a_run_ends_the_fault() -> None:
    world, clock = Everything(), Clock()
    running = conductor(world, clock, program("cut_store", 1, transactional=False))
    clock.answered = 100
    running.tick()
    assert world.cut
    running.heal()
    assert running.done
    assert world.well


def test_a_program_has_every_kind_before_one_comes_twice() -> None:
    kinds = {fault.name for fault in FAULTS if not fault.transactional}
    once = program(str(len(kinds)), 3, transactional=False)
    assert {fault.name for fault in once} == kinds
    assert len(program("30", 3, transactional=False)) == 30
    assert "kill_transaction_coordinator" in {fault.name for fault in program(str(len(FAULTS)), 3, transactional=True)}


def test_faults_by_name() -> None:
    chosen = program("kill_broker, cut_store", 1, transactional=False)
    assert [fault.name for fault in chosen] == ["kill_broker", "cut_store"]
    with pytest.raises(DeployError, match="no fault 'rain'"):
        program("rain", 1, transactional=False)


def timed(world: Everything, clock: Clock, strikes: list[Strike], began: float = 100.0) -> TimedConductor:
    return TimedConductor(world.scene(), strikes, 1, clock=lambda: clock.now, began=began)


def test_a_timed_fault_comes_at_its_time_whatever_is_answered() -> None:
    world, clock = Everything(), Clock(now=90.0)
    running = timed(world, clock, [Strike(5.0, CutStore(seconds=3.0))])
    for now, on in ((104.9, False), (105.0, True), (107.9, True), (108.0, False)):
        clock.now = now
        running.tick()
        assert world.cut is on
        assert (running.now_on == "cut_store") is on
    assert running.done
    assert [(mark.phase, mark.at_s) for mark in running.marks] == [(Phase.STRIKE, 5.0), (Phase.HEAL, 8.0)]


def test_a_fault_that_is_due_while_another_is_on_comes_late_and_says_so() -> None:
    world, clock = Everything(), Clock(now=100.0)
    running = timed(world, clock, [Strike(1.0, CutStore(seconds=10.0)), Strike(4.0, KillConsumer())])
    clock.now = 101.0
    running.tick()
    clock.now = 106.0
    running.tick()
    assert running.now_on == "cut_store"
    for clock.now in (111.0, 112.0):
        running.tick()
    assert running.now_on == "kill_consumer"
    assert running.healed == 1
    assert "8 s late, after cut_store" in running.marks[-1].what
    assert "late" not in running.marks[0].what


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 300), st.sampled_from(FAULTS)), max_size=8), st.integers(1, 40))
def test_timed_faults_all_come_none_early_one_at_a_time(planned: list[tuple[float, Fault]], step: int) -> None:
    world, clock = Everything(), Clock(now=100.0)
    strikes = [Strike(at, fault) for at, fault in sorted(planned, key=lambda one: one[0])]
    running = timed(world, clock, strikes)
    while not running.done:
        assert clock.now < 100 + 300 + len(strikes) * (30 + 2 * step) + step
        clock.now += step
        assert running.now_on or world.well
        running.tick()
    assert world.well
    struck = [mark for mark in running.marks if mark.phase is Phase.STRIKE]
    assert [mark.fault for mark in struck] == [strike.fault.name for strike in strikes]
    assert all(mark.at_s >= strike.at_s for mark, strike in zip(struck, strikes, strict=True))


def test_a_conductor_of_its_own_thread_heals_in_the_end() -> None:
    world, clock = Everything(), Clock(now=200.0)
    running = timed(world, clock, [Strike(1.0, CutStore())])
    with Backstage(running) as stage:
        for _ in range(200):
            if running.now_on:
                break
            time.sleep(0.05)
        assert world.cut
        stage.check()
    assert world.well
    assert running.done


def test_a_fault_that_goes_wrong_is_told() -> None:
    world, clock = Everything(), Clock(now=200.0)
    scene = replace(world.scene(), brokers=absent(Part.BROKERS))
    running = TimedConductor(scene, [Strike(1.0, KillBroker())], 1, clock=lambda: clock.now, began=0.0)
    with pytest.raises(ServiceFailed, match="no brokers"), Backstage(running):
        time.sleep(1)
    assert not running.now_on


@pytest.mark.parametrize(("key", "partition"), [("", 0), ("hello", 22), ("vitrine", 39), ("größe-😀", 21)])
def test_offices_are_found_as_java_hashes_strings(key: str, partition: int) -> None:
    assert office(key, 50) == partition


def test_the_number_that_java_cannot_negate_is_office_0() -> None:
    # The well-known string whose hash is the smallest number.
    assert office("polygenelubricants", 7) == 0
