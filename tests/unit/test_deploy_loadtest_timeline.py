"""The chaos file: what it says comes at its times, and what cannot be is refused with a reason."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import DeployError
from deploy.loadtest import faults
from deploy.loadtest.faults.kinds import FreezeConsumer
from deploy.loadtest.faults.program import FAULTS
from deploy.loadtest.faults.scene import Part, Scene, absent
from deploy.loadtest.faults.timeline import Strike, load_timeline, plan_strikes

ALL = tuple(Part)
TEN_MINUTES = Path(faults.__file__).with_name("ten_minutes.yaml")


def told(strikes: list[Strike]) -> list[tuple[float, str]]:
    return [(strike.at_s, strike.fault.name) for strike in strikes]


def scene() -> Scene:
    nothing = absent(Part.STORE)
    return Scene(crew=nothing, brokers=nothing, serving=nothing, store=nothing, session_timeout_s=6.0)


def test_a_timeline_is_sorted_by_time() -> None:
    document = {"timeline": [{"at": 120, "fault": "slow_store", "seconds": 20}, {"at": 60, "fault": "kill_consumer"}]}
    strikes = plan_strikes(document, 1, 600, ALL)
    assert told(strikes) == [(60, "kill_consumer"), (120, "slow_store")]
    assert strikes[1].fault.hold_s(scene()) == 20
    assert strikes[0].fault.hold_s(scene()) == 2


def test_a_freeze_lasts_as_long_as_the_file_says() -> None:
    [strike] = plan_strikes({"timeline": [{"at": 1, "fault": "freeze_consumer", "seconds": 3}]}, 1, 600, ALL)
    assert strike.fault.hold_s(scene()) == 3
    assert FreezeConsumer().hold_s(scene()) > 6


def test_named_faults_come_at_regular_times() -> None:
    document = {"first_at": 10, "every_s": 45, "faults": ["kill_consumer", "cut_store", "kill_consumer"]}
    assert told(plan_strikes(document, 1, 600, ALL)) == [
        (10, "kill_consumer"),
        (55, "cut_store"),
        (100, "kill_consumer"),
    ]


@given(st.integers(0, 1000), st.integers(1, 40), st.sets(st.sampled_from(ALL), min_size=1))
def test_drawn_faults_fit_the_run_and_each_kind_comes_before_one_comes_twice(
    seed: int, count: int, parts: set[Part]
) -> None:
    document = {"first_at": 5, "every_s": 2, "count": count}
    strikes = plan_strikes(document, seed, 600, parts)
    assert strikes == plan_strikes({**document, "seed": seed}, seed + 1, 600, parts)
    assert len(strikes) == count
    names = [strike.fault.name for strike in strikes]
    kinds = {fault.name for fault in FAULTS if fault.part in parts and not fault.transactional}
    assert set(names) <= kinds
    assert set(names[: len(kinds)]) == (kinds if count >= len(kinds) else set(names))


def test_the_seed_decides_the_order() -> None:
    document = {"every_s": 1, "count": 10}
    assert plan_strikes(document, 1, 600, ALL) != plan_strikes(document, 2, 600, ALL)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"timeline": [{"at": 1, "fault": "rain"}]}, "no fault 'rain'; there are kill_consumer, "),
        ({"timeline": [{"at": 1, "fault": "cut_store", "second": 3}]}, r"timeline.0.second: Extra inputs"),
        ({"timeline": [{"at": -1, "fault": "cut_store"}]}, "timeline.0.at: "),
        ({"timeline": [{"at": float("nan"), "fault": "cut_store"}]}, "timeline.0.at: "),
        (
            {"timeline": [{"at": 600, "fault": "cut_store"}]},
            "cut_store at 600 s comes after the run",
        ),
        ({"timeline": [], "seed": 3}, "with a timeline nothing is drawn: leave out seed"),
        ({"every_s": 5}, "either faults or count"),
        ({"every_s": 5, "count": 3, "faults": ["cut_store"]}, "either faults or count"),
        ({"every_s": 100, "count": 20}, "comes after the run"),
        ({"timeline": [{"at": 1, "fault": "kill_transaction_coordinator"}]}, "needs transactional delivery"),
        (None, "valid dictionary"),
        (["kill_consumer"], "valid dictionary"),
    ],
)
def test_what_cannot_be_is_refused(document: Any, said: str) -> None:
    with pytest.raises(DeployError, match=said):
        plan_strikes(document, 1, 600, ALL)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not fault.transactional], ids=lambda one: one.name)
def test_what_a_run_does_not_have_cannot_be_disturbed(fault: Any) -> None:
    document = {"timeline": [{"at": 1, "fault": fault.name}]}
    with pytest.raises(DeployError, match=f"{fault.name} needs "):
        plan_strikes(document, 1, 600, set(ALL) - {fault.part})
    assert plan_strikes(document, 1, 600, {fault.part})


def test_with_one_broker_brokers_are_left_alone() -> None:
    with pytest.raises(DeployError, match="kill_broker needs three brokers: --driver kafka --kafka real"):
        plan_strikes({"timeline": [{"at": 1, "fault": "kill_broker"}]}, 1, 600, {Part.CONSUMERS, Part.STORE})


def test_the_file_is_named_in_what_is_said(tmp_path: Path) -> None:
    file = tmp_path / "chaos.yaml"
    with pytest.raises(DeployError, match=r"chaos\.yaml cannot be read"):
        load_timeline(file, 1, 600)
    file.write_text("timeline: [")
    with pytest.raises(DeployError, match=r"chaos\.yaml cannot be read"):
        load_timeline(file, 1, 600)
    file.write_text("timeline: [{at: 1, fault: rain}]")
    with pytest.raises(DeployError, match=r"chaos\.yaml: no fault 'rain'"):
        load_timeline(file, 1, 600)


def test_the_ten_minutes_leave_time_to_recover() -> None:
    strikes = load_timeline(TEN_MINUTES, 1, 600)
    names = {strike.fault.name for strike in strikes}
    assert names >= {"kill_consumer", "freeze_consumer", "kill_replica", "freeze_replica", "kill_broker"}
    assert names >= {"freeze_broker", "slow_store", "throttle_store", "reset_store", "redeploy_serve"}
    ends = [strike.at_s + strike.fault.hold_s(scene()) for strike in strikes]
    pauses = [after.at_s - end for after, end in zip(strikes[1:], ends, strict=False)]
    assert min(pauses) >= 15
    assert ends[-1] <= 540
