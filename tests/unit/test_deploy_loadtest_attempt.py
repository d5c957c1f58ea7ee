"""One run over children and services that are not there: what ends it, and what is judged then."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from deploy.errors import ServiceFailed
from deploy.loadtest import attempt
from deploy.loadtest.attempt import Attempt
from deploy.loadtest.faults.conductor import Mark
from deploy.loadtest.faults.kinds import KillConsumer
from deploy.loadtest.faults.timeline import Strike
from deploy.loadtest.inputs import Inputs
from deploy.loadtest.judging.evidence import Evidence
from deploy.loadtest.judging.judge import judge
from deploy.loadtest.judging.slo import Slo
from deploy.loadtest.measuring.moment import Moment
from deploy.loadtest.measuring.observations import Answer, Observation, Place, Sent, Taken, Unsent
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.output import OutputFolder
from deploy.loadtest.workload.arrivals import Arrivals
from deploy.loadtest.workload.mix import Mix
from deploy.loadtest.workload.planned import Kind
from deploy.loadtest.workload.schedule_file import open_schedule
from serve.schemas.outcome import Outcome

EVENTS = 40
MIX = Mix(new_listings=1, first={Kind.BARE: 1})


class FakeChildren:
    """Sends all at once when it is told to go, and sees the answers that the test wants."""

    broken: str | None = None
    lost: frozenset[int] = frozenset()
    unacknowledged: frozenset[int] = frozenset()
    unsent: frozenset[int] = frozenset()

    def __init__(self, options: RunOptions, schedule: Path, env: object, kafka: object, logs: Path) -> None:
        self._schedule = schedule
        self._seen: list[Observation] = []
        self.finished = False
        self.cpu_s = 0.0
        self.asked: Mapping[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to stop."""

    def go(self, at_ns: int) -> None:
        for due in open_schedule(self._schedule)[1]:
            event, at = due.event, at_ns + round(due.at_s * 1e9)
            place = Place("new", 0, event.number)
            self._seen.append(Sent(event.number, at))
            if event.number in self.unsent:
                self._seen.append(Unsent(event.number, at, "not_acknowledged"))
                continue
            if event.number not in self.unacknowledged:
                self._seen.append(Taken(event.number, at + 1000, place))
            if event.number not in self.lost:
                self._seen.append(self._answer(event.event_id, event.listing or "", place, at + 5_000_000))
        self.finished = True

    @staticmethod
    def _answer(event_id: str, listing: str, place: Place, at_ns: int) -> Answer:
        return Answer(
            at_ns=at_ns,
            place=place,
            result_id=f"result-{place.offset}",
            event_id=event_id,
            listing=listing,
            revision=2,
            outcome=Outcome.REJECTED,
        )

    def read(self) -> Iterator[Observation]:
        seen, self._seen = self._seen, []
        yield from seen
        if self.broken:
            raise ServiceFailed(self.broken)

    def places_of(self, wanted: Mapping[int, str]) -> Iterator[tuple[int, Place]]:
        self.asked = wanted
        yield from ((number, Place("new", 0, number)) for number in wanted if number not in self.unsent)


class FakeSystem:
    env: Mapping[str, str] = {}
    recipes = ("light",)

    def __init__(self) -> None:
        self.released = 0
        self.died: list[str] = []
        self.at_release: Callable[[], None] = lambda: None

    @property
    def photos(self) -> "FakeSystem":
        return self

    def url(self, name: str) -> str:
        return f"http://photos/{name}"

    def settings(self) -> None:
        return None

    def processes(self) -> dict[str, Any]:
        return {}

    def scene(self) -> Any:
        return _Nobody()

    def release(self) -> None:
        self.released += 1
        self.at_release()

    def check(self) -> list[str]:
        died, self.died = self.died, []
        return died


class _Nobody:
    """A scene without anybody to hit."""

    def __getattr__(self, name: str) -> Any:
        raise ServiceFailed("there is nobody on the scene")


class View:
    def __init__(self, at_update: Callable[[], None] = lambda: None) -> None:
        self.said: list[str] = []
        self.moments: list[Moment] = []
        self._at_update = at_update

    def say(self, text: str) -> None:
        self.said.append(text)

    def mark(self, mark: Mark) -> None:
        self.said.append(mark.fault)

    def update(self, moment: Moment) -> None:
        self.moments.append(moment)
        self._at_update()


@pytest.fixture(autouse=True)
def children(monkeypatch: pytest.MonkeyPatch) -> type[FakeChildren]:
    class Own(FakeChildren):
        pass

    monkeypatch.setattr(attempt, "Children", Own)
    monkeypatch.setattr(attempt, "_LEAD_NS", 0)
    monkeypatch.setattr(attempt, "_TICK_S", 0.01)
    monkeypatch.setattr(attempt, "_CLOCKS_EVERY_S", 0.0)
    monkeypatch.setattr(attempt, "_AFTERMATH_S", dict.fromkeys(DriverKind, 0.02))
    return Own


def evidence(folder: Path, system: FakeSystem | None = None, view: View | None = None, **changed: Any) -> Evidence:
    strikes = changed.pop("strikes", ())
    options = RunOptions(
        driver=DriverKind.KAFKA,
        rate=400.0,
        duration_s=EVENTS / 400,
        warmup_s=0.0,
        drain_s=0.3,
        arrivals="constant",
        seed=1,
        out=folder,
        namespace="lt",
    )
    options = replace(options, **changed)
    out = OutputFolder(folder / "out")
    out.clear()
    inputs = Inputs(arrivals=Arrivals.parse(options.arrivals), mix=MIX, slo=Slo(), strikes=strikes)
    return Attempt(system or FakeSystem(), options, inputs, view or View(), out).run()


def test_a_run_without_trouble_is_valid_and_complete(tmp_path: Path) -> None:
    view = View()
    found = judge(evidence(tmp_path, view=view))
    assert found.valid, found.invalid
    assert (found.ledger.sent, found.ledger.rejected, found.ledger.missing) == (EVENTS, EVENTS, 0)
    assert found.slo.met
    assert found.latency_ms.p50 == pytest.approx(5.0, abs=0.01)
    assert view.moments[-1].answered == EVENTS


def test_what_is_lost_is_waited_for_and_then_missing(tmp_path: Path, children: type[FakeChildren]) -> None:
    children.lost = frozenset({3, 7})
    found = judge(evidence(tmp_path))
    assert found.valid, found.invalid
    assert found.ledger.missing == 2
    assert not found.slo.met


def test_an_event_that_was_taken_without_a_word_is_found_in_the_log(
    tmp_path: Path, children: type[FakeChildren]
) -> None:
    children.unacknowledged = frozenset({5})
    found = judge(evidence(tmp_path))
    assert (found.ledger.sent, found.ledger.rejected, found.ledger.unknown) == (EVENTS, EVENTS, 0)


def test_too_many_that_could_not_be_sent_make_it_invalid(tmp_path: Path, children: type[FakeChildren]) -> None:
    children.unsent = frozenset({1, 2, 3})
    found = judge(evidence(tmp_path))
    assert not found.valid
    assert (found.ledger.sent, found.ledger.unsent) == (EVENTS - 3, 3)


def test_a_child_that_breaks_makes_it_invalid_and_is_named_once(tmp_path: Path, children: type[FakeChildren]) -> None:
    children.broken = "receiver ended."
    found = judge(evidence(tmp_path))
    assert not found.valid
    assert found.invalid.count("receiver ended.") == 1
    # What it had said before is judged all the same.
    assert found.ledger.rejected == EVENTS


def test_ctrl_c_makes_it_invalid_and_is_judged(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    found = judge(evidence(tmp_path, view=View(interrupt)))
    assert any(reason.startswith(attempt.INTERRUPTED) for reason in found.invalid)
    assert found.ledger.sent == EVENTS


def test_a_fault_that_cannot_be_struck_makes_it_invalid(
    tmp_path: Path, children: type[FakeChildren], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody must wait for the fault.
    children.lost = frozenset({1})
    chaos = tmp_path / "chaos.yaml"
    found = judge(evidence(tmp_path, strikes=(Strike(0.0, KillConsumer()),), chaos=chaos, drain_s=5.0))
    assert any("nobody on the scene" in reason for reason in found.invalid)


def test_a_backlog_is_released_once_when_all_is_sent(tmp_path: Path) -> None:
    system = FakeSystem()
    found = evidence(tmp_path, system, mode=Mode.BACKLOG)
    assert system.released == 1
    assert found.released_ns is not None


def test_who_dies_is_told_and_stands_among_the_errors(tmp_path: Path) -> None:
    system, view = FakeSystem(), View()
    system.died = ["consumer-1 ended by itself"]
    found = judge(evidence(tmp_path, system, view))
    assert "consumer-1 ended by itself" in view.said
    assert [(one.where, one.count) for one in found.errors if one.where == "system"] == [("system", 1)]
    # It is the system that failed, not the measurement.
    assert found.valid
