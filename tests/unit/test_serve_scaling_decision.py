"""The decision: what holds for every load, and what it does in each situation."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.scaling.decision import Decision, Memory, Scene, decide, load
from serve.scaling.figures import Figures
from serve.scaling.rate import Pace
from serve.scaling.settings import ScalingSettings

SETTINGS = ScalingSettings.read(
    {"metrics_urls": ["http://w/metrics"], "events_per_s": 1.0, "hold_s": 100, "idle_s": 200, "drain_s": 100}
)
COUNTS = st.floats(0, 1e9)
RATES = st.floats(0, 1e6)


@st.composite
def loads(draw: st.DrawFn) -> Figures:
    backlog = draw(st.one_of(st.just(0.0), COUNTS))
    return Figures(
        at=0.0,
        backlog=backlog,
        in_flight=draw(st.floats(0, 1)) * backlog,
        arrival_rate=draw(st.one_of(st.just(0.0), RATES)),
        service_rate=draw(RATES),
        oldest_s=draw(st.floats(0, 1e9)),
        served=draw(st.one_of(st.none(), COUNTS)),
        outage=draw(st.booleans()),
        complete=draw(st.booleans()),
    )


@st.composite
def scenes(draw: st.DrawFn, least: int = 0) -> Scene:
    least = draw(st.integers(least, 20))
    return Scene(
        target=draw(st.integers(0, 50)),
        running=draw(st.integers(0, 50)),
        least=least,
        most=draw(st.integers(max(1, least), 40)),
        room=draw(st.one_of(st.none(), st.integers(0, 50))),
        ongoing=draw(st.floats(0, 100)),
    )


def story(chapters: list[tuple[Figures | None, float]], scene: Scene, settings: ScalingSettings) -> list[Decision]:
    """One decision after another; Serve takes each target over, and time passes as said."""
    now, memory, told = 0.0, Memory.fresh(settings), []
    for figures, seconds in chapters:
        now += seconds
        seen = figures and replace(figures, at=now)
        decision = decide(seen, now, scene, memory, settings)
        memory, scene = decision.memory, replace(scene, target=decision.replicas)
        told.append(decision)
    return told


CHAPTERS = st.lists(st.tuples(st.one_of(st.none(), loads()), st.floats(0, 1000)), min_size=1, max_size=12)


@given(chapters=CHAPTERS, scene=scenes())
def test_never_out_of_bounds_unless_nothing_is_known(chapters, scene):
    before = scene.target
    for decision in story(chapters, scene, SETTINGS):
        if decision.reason == "stale":
            assert decision.replicas == before
        else:
            assert decision.replicas == scene.bound(decision.replicas)
            assert scene.room is None or decision.replicas <= scene.room
        before = decision.replicas


@given(figures=loads(), more=COUNTS, scene=scenes())
def test_a_larger_backlog_never_asks_for_fewer(figures, more, scene):
    larger = replace(figures, backlog=figures.backlog + more)
    memory = Memory.fresh(SETTINGS)
    assert load(larger, 1.0, SETTINGS) >= load(figures, 1.0, SETTINGS)
    smaller, bigger = (decide(one, 0.0, scene, memory, SETTINGS).replicas for one in (figures, larger))
    assert bigger >= smaller


@given(chapters=CHAPTERS, scene=scenes(), late=st.floats(30.001, 1e6))
def test_what_is_stale_changes_nothing(chapters, scene, late):
    last = story(chapters, scene, SETTINGS)[-1]
    figures = Figures(at=0.0, backlog=1e6)
    for old in (None, figures):
        decision = decide(old, late, replace(scene, target=last.replicas), last.memory, SETTINGS)
        assert (decision.replicas, decision.reason) == (last.replicas, "stale")
        assert decision.memory.pace == last.memory.pace


@given(chapters=CHAPTERS, scene=scenes().filter(lambda scene: scene.room != 0))
def test_the_last_replica_goes_only_when_there_was_no_work_for_long(chapters, scene):
    scene = replace(scene, target=max(scene.target, 1))
    now, idle_since, before = 0.0, None, scene.target
    for (figures, seconds), decision in zip(chapters, story(chapters, scene, SETTINGS), strict=True):
        now += seconds
        idle = figures is not None and figures.complete and not (figures.backlog or figures.arrival_rate)
        idle = idle and scene.ongoing < 0.5
        idle_since = (now if idle_since is None else idle_since) if idle else None
        if decision.replicas == 0 < before:
            assert idle_since is not None
            assert now - idle_since >= SETTINGS.idle_s - 1e-6
        before = decision.replicas


@given(chapters=CHAPTERS)
def test_the_measured_rate_stays_near_the_guess_and_memory_stays_small(chapters):
    scene = Scene(target=3, running=3, least=0, most=10)
    for decision in story(chapters * 4, scene, SETTINGS):
        rate = decision.memory.pace.rate(SETTINGS)
        assert SETTINGS.events_per_s / SETTINGS.trust <= rate <= SETTINGS.events_per_s * SETTINGS.trust
        assert len(decision.memory.needs) <= 40


def steady(seconds: float, every: float = 5.0, **figures: float) -> list[tuple[Figures | None, float]]:
    return [(Figures(at=0.0, **{"backlog": 0.0, **figures}), every)] * int(seconds / every)


def scene(target: int, **more: int) -> Scene:
    return Scene(**{"target": target, "running": target, "least": 0, "most": 10, **more})


def targets(told: list[Decision]) -> list[int]:
    return [decision.replicas for decision in told]


def test_there_are_replicas_for_what_comes_and_for_what_waits():
    (told,) = story(steady(5, backlog=300, arrival_rate=2.5), scene(1), SETTINGS)
    assert (told.replicas, told.reason) == (math.ceil(2.5 + 300 / 100), "more")


def test_an_old_event_makes_it_work_faster_but_four_times_at_most():
    for oldest, wanted in ((900, 1), (1800, 2), (3600, 4), (1e9, 4)):
        (told,) = story(steady(5, backlog=100, oldest_s=oldest), scene(1), SETTINGS)
        assert told.replicas == wanted


def test_one_event_that_never_ends_asks_for_nothing():
    (told,) = story(steady(5, backlog=1, in_flight=1, oldest_s=1e9), scene(1), SETTINGS)
    assert told.replicas == 1


def test_the_first_event_brings_a_replica_back():
    told = story([*steady(5), *steady(5, backlog=1)], scene(0), SETTINGS)
    assert targets(told) == [0, 1]


def test_replicas_go_when_fewer_were_enough_for_long():
    told = story([*steady(50, arrival_rate=4.0), *steady(200, arrival_rate=2.0)], scene(5), SETTINGS)
    assert targets(told)[:28] == [5] * 28
    assert targets(told)[-1] == 3
    assert sorted(set(targets(told))) == [3, 5]


def test_between_too_many_and_too_few_nothing_happens():
    swinging = [*steady(10, arrival_rate=2.6), *steady(10, arrival_rate=3.0)] * 30
    assert set(targets(story(swinging, scene(3), SETTINGS))) == {3}


def test_the_last_replica_goes_after_the_idle_time():
    told = story(steady(400), scene(2), SETTINGS)
    gone = targets(told).index(0) * 5.0
    assert 195 <= gone <= 205
    assert {decision.reason for decision in told[-5:]} == {"enough"}


def test_requests_of_others_keep_a_replica():
    busy = Scene(target=1, running=1, least=0, most=10, ongoing=3.0)
    assert set(targets(story(steady(1000), busy, SETTINGS))) == {1}


def test_an_outage_adds_no_replicas_and_takes_none_but_wakes_one():
    outage = [(Figures(at=0.0, backlog=1e6, arrival_rate=50, outage=True), 5.0)] * 50
    assert set(targets(story(outage, scene(2), SETTINGS))) == {2}
    assert targets(story(outage, scene(0), SETTINGS))[0] == 1


def test_while_a_worker_is_silent_no_replica_is_taken_away():
    partly = [(Figures(at=0.0, backlog=0, complete=False), 5.0)] * 200
    told = story([*steady(200, arrival_rate=4.8), *partly], scene(5), SETTINGS)
    assert targets(told)[-1] == 5
    assert told[-1].reason == "incomplete"
    crowd = [(Figures(at=0.0, backlog=1e6, complete=False), 5.0)]
    assert targets(story(crowd, scene(5), SETTINGS)) == [10]


def test_stale_figures_forget_how_long_less_was_enough():
    told = story([*steady(95), (None, 5.0), *steady(95)], scene(4), SETTINGS)
    assert set(targets(told)) == {4}


def test_less_room_in_the_cluster_takes_replicas_away_at_once():
    told = story(steady(5, backlog=1e6), scene(8, room=6), SETTINGS)
    assert (told[0].replicas, told[0].reason) == (6, "no room for more")
    assert story(steady(5, backlog=1e6), scene(2, room=6), SETTINGS)[0].replicas == 6


def busy(at: float, served: float | None, **more: float) -> Figures:
    return Figures(at=at, **{"backlog": 1000, "in_flight": 16, "service_rate": 4.0, "served": served, **more})


def learned(all_figures: list[Figures], replicas: int = 2) -> float:
    pace = Pace.guess(SETTINGS)
    for figures in all_figures:
        pace = pace.after(figures, replicas, SETTINGS)
    return pace.rate(SETTINGS)


def test_the_rate_is_measured_under_full_load():
    assert learned([busy(at, 20.0) for at in range(0, 3000, 5)]) == pytest.approx(2.0, rel=0.02)
    assert learned([busy(at, None) for at in range(0, 3000, 5)]) == pytest.approx(2.0, rel=0.02)


def test_nothing_is_learned_of_idle_replicas_outages_or_the_same_figures_twice():
    assert learned([busy(at, 20.0, backlog=17) for at in range(0, 3000, 5)]) == 1.0
    assert learned([busy(at, 20.0, outage=True) for at in range(0, 3000, 5)]) == 1.0
    assert learned([busy(0, 20.0)] * 500) == 1.0
    assert learned([busy(at, 20.0) for at in range(0, 3000, 5)], replicas=0) == 1.0


def test_a_rate_over_time_counts_only_when_the_replicas_were_the_same_all_the_time():
    pace = Pace.guess(SETTINGS)
    for step in range(200):
        pace = pace.after(busy(step * 5, None), 1 + step // 6, SETTINGS)
    assert pace.rate(SETTINGS) == 1.0
