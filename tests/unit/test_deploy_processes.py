"""Children stop with all they started, and nobody else's process is ever touched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import ServiceFailed
from deploy.services.processes import Child, ProcessRecord, alive, session_of, start_mark, stop_process, tail

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))
print('up', flush=True)
time.sleep(60)
"""
# Starts a grandchild that ignores SIGTERM too, and dies itself at once when asked.
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', {DEAF!r}])
print('child', child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.stop(0)


def start(children: list[Child], code: str, log: Path, *, leash: bool = True) -> Child:
    child = Child("probe", [sys.executable, "-c", code], log=log, leash=leash)
    children.append(child)
    child.start()
    return child


def said(child: Child, word: str) -> None:
    child.wait_ready(lambda: word in tail(child.log), 20)


def record_of(child: Child) -> ProcessRecord:
    assert child.record is not None
    return child.record


def killed(child: Child) -> bool:
    """Whether it ended by SIGKILL and not by itself."""
    return child._process is not None and child._process.returncode == -signal.SIGKILL


def gone(pid: int) -> bool:
    return start_mark(pid) is None


def test_a_polite_child_ends_without_being_killed(children: list[Child], tmp_path: Path) -> None:
    child = start(children, POLITE, tmp_path / "log")
    said(child, "up")
    child.stop(20)
    assert not child.running()
    assert "bye" in tail(child.log)


@pytest.mark.parametrize("leash", [True, False])
def test_a_child_that_ignores_sigterm_is_killed(children: list[Child], tmp_path: Path, leash: bool) -> None:
    child = start(children, DEAF, tmp_path / "log", leash=leash)
    said(child, "up")
    child.stop(0.3)
    assert gone(record_of(child).pid)
    assert killed(child)


def test_a_child_may_be_given_less_patience_than_others(tmp_path: Path) -> None:
    child = Child("probe", [sys.executable, "-c", DEAF], log=tmp_path / "log", patience_s=0.2)
    child.start()
    said(child, "up")
    # Left in peace, it would end by itself long before the hour is over.
    child.stop(3600)
    assert gone(record_of(child).pid)
    assert killed(child)


def test_grandchildren_go_with_their_parent(children: list[Child], tmp_path: Path) -> None:
    child = start(children, PARENT, tmp_path / "log")
    said(child, "up")
    grandchild = int(next(line for line in tail(child.log).splitlines() if line.startswith("child")).split()[1])
    assert not gone(grandchild)
    child.stop(5)
    assert gone(grandchild)


def test_a_session_is_the_process_and_all_that_it_started(children: list[Child], tmp_path: Path) -> None:
    child = start(children, PARENT, tmp_path / "log")
    said(child, "up")
    grandchild = int(next(line for line in tail(child.log).splitlines() if line.startswith("child")).split()[1])
    members = {member.pid: member.name for member in session_of(record_of(child))}
    assert members.keys() == {record_of(child).pid, grandchild}
    assert "SIG_IGN" in members[grandchild]
    child.stop(5)
    assert session_of(record_of(child)) == []


def test_grandchildren_go_although_their_parent_crashed(children: list[Child], tmp_path: Path) -> None:
    child = start(children, PARENT, tmp_path / "log")
    said(child, "up")
    grandchild = int(next(line for line in tail(child.log).splitlines() if line.startswith("child")).split()[1])
    os.kill(record_of(child).pid, signal.SIGKILL)
    while child.running():
        time.sleep(0.01)
    child.stop(5)
    assert gone(grandchild)


def test_a_reused_process_id_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        mark = start_mark(stranger.pid)
        assert mark is not None
        boot, _, ticks = mark.partition(":")
        stale = ProcessRecord(name="kafka", pid=stranger.pid, started=f"{boot}:{int(ticks) - 1}")
        rebooted = replace(stale, started=f"another-boot:{ticks}")
        for record in (stale, rebooted):
            assert not alive(record)
            stop_process(record, 0.1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_child_that_dies_early_is_reported_with_its_last_words(children: list[Child], tmp_path: Path) -> None:
    child = start(children, "import sys; print('cannot find the moon'); sys.exit(3)", tmp_path / "log")
    with pytest.raises(ServiceFailed, match=r"status 3(?s:.*)cannot find the moon"):
        child.wait_ready(lambda: False, 20)


def test_a_child_that_takes_too_long_is_reported(children: list[Child], tmp_path: Path) -> None:
    child = start(children, DEAF, tmp_path / "log")
    with pytest.raises(ServiceFailed, match=r"not ready after 0\.2 s"):
        child.wait_ready(lambda: False, 0.2)


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    child = Child("probe", ["/nonexistent/program"], log=tmp_path / "log", leash=False)
    with pytest.raises(ServiceFailed, match="probe cannot be started"):
        child.start()


def test_a_leashed_child_dies_with_us(tmp_path: Path) -> None:
    script = f"""
import os, sys
from pathlib import Path
from deploy.services.processes import Child, tail
child = Child("probe", [sys.executable, "-c", {DEAF!r}], log=Path({str(tmp_path / "log")!r}))
child.start()
child.wait_ready(lambda: "up" in tail(child.log), 20)
print(child.record.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    answer = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    pid = int(answer.stdout)
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(pid)
