"""Load traces against the decision, with replicas that take 30 s to start: no flapping, drained in time, not too dear.

The traces are synthetic; tests/data/load_traces/make.py makes them. The settings believe that a replica does 0.7 of
what it does, and the cluster has room for 10 of the 12 replicas allowed.
"""

import filecmp
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scaling_simulation import (
    GUESS,
    RATE,
    ROOM,
    START_UP_S,
    STEP_S,
    TRACES,
    Played,
    everything,
    play,
    quiet,
    settings,
    table,
)

DRAIN_S = settings().drain_s


@pytest.fixture(scope="module")
def played() -> dict[str, Played]:
    found = {one.trace: one for one in everything()}
    print(table(list(found.values())))
    return found


@pytest.mark.parametrize(
    ("trace", "turns_per_hour", "oldest_s", "cost"),
    [
        ("steady", 1, 60, 1.8),
        ("daily_wave", 0.5, 60, 2.2),
        ("daily_wave, rate known", 0.5, 60, 1.7),
        ("flash_crowd", 1, DRAIN_S / 2, 2.0),
        # 100,000 events at 10 a second cannot be done sooner than in 10,000 s, of which they take 600 to come.
        ("night_import", 1, 10_000, 1.1),
        # Every burst costs a start, and its replicas stay for hold_s and idle_s: six turns an hour are its own.
        ("stop_and_go", 6, DRAIN_S / 2, 6.0),
        ("flash_crowd, first 5 min unseen", 1, DRAIN_S + 60, 2.0),
    ],
)
def test_a_trace_is_worked_off(
    played: dict[str, Played], trace: str, turns_per_hour: float, oldest_s: float, cost: float
) -> None:
    one = played[trace]
    assert one.turns / one.hours <= turns_per_hour
    assert max(one.oldest) <= oldest_s
    assert max(one.targets) <= ROOM
    assert one.backlogs[-1] == 0
    assert one.targets[-1] == 0
    assert 1.0 <= one.replica_hours / one.ideal_hours <= cost


def test_an_import_is_done_as_fast_as_the_cluster_allows(played: dict[str, Played]) -> None:
    one = played["night_import"]
    at_best_s = 600 + one.events / (ROOM * RATE)
    last = max(step for step, backlog in enumerate(one.backlogs) if backlog > 0) * STEP_S
    assert last <= at_best_s + 2 * START_UP_S + 30


def test_a_backlog_is_drained_within_the_time_set(played: dict[str, Played]) -> None:
    one = played["flash_crowd, first 5 min unseen"]
    # As long as the crowd is there, it brings as much as all replicas together can do.
    over_s = 2400
    assert one.backlogs[over_s // STEP_S] > 1000
    drained = next(step for step in range(over_s // STEP_S, len(one.oldest)) if one.oldest[step] <= 2 * STEP_S)
    assert drained * STEP_S - over_s <= DRAIN_S


def test_full_load_shows_what_a_replica_does(played: dict[str, Played]) -> None:
    assert played["night_import"].rate == pytest.approx(RATE, rel=0.02)
    assert GUESS <= played["steady"].rate <= RATE


def test_nothing_moves_while_the_figures_are_stale() -> None:
    one = play("flash_crowd", silent=quiet(1805, 2105))
    begin, end = (1805 + 30) // STEP_S + 1, 2105 // STEP_S
    assert set(one.reasons[begin:end]) == {"stale"}
    assert len(set(one.targets[begin:end])) == 1
    blind = play("flash_crowd", silent=lambda _: True, start=2)
    assert set(blind.targets) == {2}


def test_a_least_number_stays_and_costs(played: dict[str, Played]) -> None:
    one = play("stop_and_go", least=2)
    assert min(one.targets[1:]) == 2
    assert one.replica_hours > played["stop_and_go"].replica_hours
    assert max(one.oldest) <= max(played["stop_and_go"].oldest)


def test_a_policy_that_only_watches_the_moment_would_flap(played: dict[str, Played]) -> None:
    """What the hold and the slack are for: without them the same load turns far more often."""
    nervous = play("steady", chosen=settings(hold_s=0, slack=1.0, rate_window_s=10))
    assert nervous.turns > 20 * max(1, played["steady"].turns)


def test_the_traces_are_what_the_script_makes(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(TRACES)!r}); import make; from pathlib import Path; "
    subprocess.run([sys.executable, "-c", code + f"make.main(Path({str(tmp_path)!r}))"], check=True)
    names = [path.name for path in TRACES.glob("*.csv")]
    assert len(names) == 5
    assert filecmp.cmpfiles(TRACES, tmp_path, names, shallow=False)[0] == names
