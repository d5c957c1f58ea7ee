"""The sampler: who uses what, from /proc; figures of GPUs; and no figure where something is away."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.loadtest.faults.scene import Part, Scene, absent
from deploy.loadtest.system import gauges
from deploy.loadtest.system.gauges import CapacityGauge, LagGauge, UsageGauge
from deploy.loadtest.system.gpu import GpuGauge, parse_line
from deploy.loadtest.system.sampler import Sampler, gauges_of
from deploy.loadtest.system.services import settings_of
from deploy.loadtest.system.usage import TICKS_PER_S, CpuMeter, Process, all_processes, by_role, parse_stat
from deploy.services.processes import ProcessRecord, start_mark

SECOND = 1_000_000_000
PATIENCE_S = 20.0


def process(pid: int, *, parent: int = 1, session: int = 1, started: int = 5, ticks: int = 0) -> Process:
    return Process(pid=pid, parent=parent, session=session, started=started, cpu_ticks=ticks, rss_bytes=4096)


def record(pid: int, started: int = 5) -> ProcessRecord:
    return ProcessRecord(name=f"p{pid}", pid=pid, started=f"boot:{started}")


@dataclass
class Away:
    """A system that runs elsewhere, or as records say."""

    env: Mapping[str, str] = field(default_factory=dict)
    recipes: Sequence[str] = ()
    records: Mapping[str, Sequence[ProcessRecord]] = field(default_factory=dict)

    @property
    def photos(self) -> "Away":
        return self

    def url(self, name: str) -> str:
        return name

    def processes(self) -> Mapping[str, Sequence[ProcessRecord]]:
        return self.records

    def scene(self) -> Scene:
        nothing = absent(Part.STORE)
        return Scene(crew=nothing, brokers=nothing, serving=nothing, store=nothing, session_timeout_s=1.0)

    def release(self) -> None: ...

    def check(self) -> list[str]:
        return []


@dataclass
class Script:
    """A gauge that gives one thing after the other; an error is raised."""

    steps: Iterator[Mapping[str, float] | Exception]
    every_s: float = 0.01
    closed: bool = False

    def look(self) -> Mapping[str, float]:
        step = next(self.steps, {})
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed = True


# -- /proc --


def test_a_stat_line_with_a_strange_name() -> None:
    fields = "S 7 9 9 0 -1 4194304 99 0 0 0 120 30 5 6 20 0 4 0 4711 1000000 256 18446744073709551615"
    assert parse_stat(f"42 (a) b (c) {fields}") == Process(
        pid=42, parent=7, session=9, started=4711, cpu_ticks=150, rss_bytes=256 * os.sysconf("SC_PAGE_SIZE")
    )


def test_what_has_ended_uses_nothing() -> None:
    assert parse_stat("42 (x) Z " + " ".join("0" for _ in range(40))) is None


def test_this_process_is_found_with_its_memory() -> None:
    [own] = [one for one in all_processes() if one.pid == os.getpid()]
    assert own.rss_bytes > 10_000_000
    assert own.parent == os.getppid()
    assert (start_mark(own.pid) or "").endswith(f":{own.started}")


def test_roles_are_the_sessions_of_their_records_and_the_rest_of_the_family_is_the_harness() -> None:
    every = [
        process(100, parent=1, session=100),  # ourselves
        process(101, parent=100, session=100),  # a generator
        process(102, parent=101, session=102),  # what it started, in a session of its own
        process(200, parent=100, session=200),  # Kafka, which we started
        process(201, parent=200, session=200),
        process(300, parent=100, session=300),  # a worker
        process(400, parent=1, session=400),  # a stranger
    ]
    found = by_role(every, {"kafka": [record(200)], "consumers": [record(300), record(301)]}, own=100)
    assert {role: sorted(one.pid for one in all_) for role, all_ in found.items()} == {
        "kafka": [200, 201],
        "consumers": [300],
        "harness": [100, 101, 102],
    }


def test_a_number_that_a_stranger_has_now_is_nobody() -> None:
    found = by_role([process(200, session=200, started=9)], {"kafka": [record(200, started=5)]}, own=100)
    assert found == {"harness": []}


def test_cores_are_what_was_used_between_two_looks() -> None:
    meter = CpuMeter()
    assert meter.read(0, {"a": [process(1, ticks=1000)]}) == {}
    now = {"a": [process(1, ticks=1000 + TICKS_PER_S), process(2, ticks=TICKS_PER_S)], "b": [process(3)]}
    assert meter.read(4 * SECOND, now) == {"a": 0.5, "b": 0.0}
    assert meter.read(6 * SECOND, {"a": [process(2, ticks=3 * TICKS_PER_S)]}) == {"a": 1.0}


def test_a_process_that_took_over_a_number_counts_from_its_own_beginning() -> None:
    meter = CpuMeter()
    meter.read(0, {"a": [process(1, started=5, ticks=9000)]})
    assert meter.read(SECOND, {"a": [process(1, started=8, ticks=TICKS_PER_S // 2)]}) == {"a": 0.5}


@given(st.lists(st.dictionaries(st.integers(1, 5), st.integers(0, 500), min_size=1), min_size=2, max_size=6))
def test_nobody_ever_uses_less_than_nothing(growth: list[dict[int, int]]) -> None:
    meter, used = CpuMeter(), dict.fromkeys(range(1, 6), 0)
    total = 0.0
    for second, grown in enumerate(growth):
        for pid, ticks in grown.items():
            used[pid] += ticks
        cores = meter.read(second * SECOND, {"a": [process(pid, ticks=ticks) for pid, ticks in used.items()]})
        assert cores.get("a", 0.0) >= 0
        total += cores.get("a", 0.0)
    assert total * TICKS_PER_S == pytest.approx(sum(used.values()) - sum(growth[0].values()))


def test_a_real_child_is_seen_at_work() -> None:
    busy = "import os\nprint(os.getpid(), flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, start_new_session=True) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            own = ProcessRecord(name="busy", pid=child.pid, started=start_mark(child.pid) or "")
            gone = ProcessRecord(name="gone", pid=child.pid, started="boot:1")
            gauge = UsageGauge(Away(records={"consumers": [own, gone]}))
            first = gauge.look()
            time.sleep(0.5)
            second = gauge.look()
        finally:
            child.kill()
    assert "cpu.consumers" not in first
    assert second["cpu.consumers"] > 0
    assert second["rss_mb.consumers"] > 1
    assert second["consumers"] == 1
    assert "replicas" not in second
    assert second["rss_mb.harness"] > 10


# -- GPUs --


def test_a_line_of_nvidia_smi() -> None:
    assert parse_line("0, 37, 1412, 98.21\n") == {
        "gpu.0.util": 37.0,
        "gpu.0.memory_mib": 1412.0,
        "gpu.0.power_w": 98.21,
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("1, 5, 10, [N/A]", {"gpu.1.util": 5.0, "gpu.1.memory_mib": 10.0}),
        ("", {}),
        ("No devices were found", {}),
        ("Failed to initialize NVML: Driver/library version mismatch", {}),
        ("0, 1, 2", {}),
    ],
)
def test_what_a_gpu_does_not_tell_is_left_out(line: str, found: Mapping[str, float]) -> None:
    assert parse_line(line) == found


def test_lines_are_read_from_the_program_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, 50, 100, 70.5'\necho '1, 51, 101, 71.5'\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    gauge = GpuGauge()
    assert gauge.there
    try:
        assert gauge.look()["gpu.0.util"] == 50
        assert gauge.look()["gpu.1.power_w"] == 71.5
    finally:
        gauge.close()
    monkeypatch.setenv("PATH", "")
    assert not GpuGauge().there
    assert GpuGauge().look() == {}


# -- the sampler --


def test_what_breaks_gives_nothing_that_time_and_goes_on() -> None:
    steps: list[Mapping[str, float] | Exception] = [{"a": 1.0}, OSError("away"), {}, {"a": 2.0}]
    broken, other = Script(iter(steps)), Script(iter([{"b": 3.0}]))
    found = []
    with Sampler(Away(), None, gauges=[broken, other]) as sampler:
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < 3 and time.monotonic() < deadline:
            found += sampler.drain()
            time.sleep(0.01)
    assert [sample.values["a"] for sample in found if "a" in sample.values] == [1.0, 2.0]
    assert [sample.values for sample in found if "b" in sample.values] == [{"b": 3.0}]
    assert all(0 < sample.at_ns <= time.monotonic_ns() for sample in found)
    assert sampler.drain() == []
    assert broken.closed
    assert other.closed


def test_a_look_that_hangs_keeps_no_other_waiting() -> None:
    held = threading.Event()

    class Hung:
        every_s = 0.01

        def look(self) -> Mapping[str, float]:
            held.wait(PATIENCE_S)
            return {}

        def close(self) -> None: ...

    quick = Script(iter([{"b": float(number)} for number in range(3)]))
    found = []
    with Sampler(Away(), None, gauges=[Hung(), quick]) as sampler:
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < 3 and time.monotonic() < deadline:
            found += sampler.drain()
            time.sleep(0.01)
        held.set()
    assert len(found) == 3


def test_what_is_sampled_fits_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    settings = settings_of({"VITRINE_CONSUMERS_BOOTSTRAP": "127.0.0.1:9"})

    def kinds(system: Away, *, kafka: bool) -> list[type]:
        return [type(one) for one in gauges_of(system, settings if kafka else None)]

    assert kinds(Away(), kafka=False) == [UsageGauge]
    assert kinds(Away(), kafka=True) == [UsageGauge, LagGauge, CapacityGauge]
    assert kinds(Away(records={"serve": [record(1)]}), kafka=True) == [UsageGauge, LagGauge]


@dataclass
class Reader:
    """Stands for the reader of a group."""

    rows: tuple[object, ...] = ()
    broken: bool = False
    closed: int = 0

    def read(self) -> "Reader":
        if self.broken:
            raise OSError("the broker has gone")
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


@dataclass
class Row:
    open: int
    age_s: float | None = None
    lag: int = 0
    done: int = 0
    removed: int = 0


def test_lag_is_what_is_open_and_how_long_the_oldest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = [Reader((Row(3, 1.5), Row(4, 9.0))), Reader((Row(0),))]
    made: list[Reader] = []

    def make(_: object) -> Reader:
        made.append(readers[len(made)])
        return made[-1]

    monkeypatch.setattr(gauges, "GroupReader", make)
    gauge = LagGauge(settings_of({}))
    assert gauge.look() == gauge.look() == {"lag_events": 7.0, "lag_age_s": 9.0}
    assert made == [readers[0]]
    readers[0].broken = True
    with pytest.raises(OSError, match="gone"):
        gauge.look()
    # What it knew is forgotten; the next look asks anew.
    assert readers[0].closed == 1
    assert gauge.look() == {"lag_events": 0.0, "lag_age_s": 0.0}
    gauge.close()
    assert readers[1].closed == 1
