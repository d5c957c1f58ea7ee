"""Child processes: started in a session of their own, watched until ready, stopped with everything they started.

Linux only: identity and descendants are read from /proc.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import ServiceFailed
from deploy.services.interrupts import deferred

LEASH = Path(__file__).with_name("leash.py")
_PROC = Path("/proc")
_POLL_S = 0.05
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process that can be found again: process ids are reused, a pid with its start time is not."""

    name: str
    pid: int
    #: Boot id and clock ticks from boot to the start of the process.
    started: str
    log: str = ""
    #: It is killed after so long although the caller would wait longer.
    patience_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stat:
    pid: int
    state: str
    session: int
    start_ticks: str


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name stands in parentheses and may itself hold parentheses and blanks.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(pid=pid, state=fields[0], session=int(fields[3]), start_ticks=fields[19])


def _boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _identity(stat: _Stat | None) -> str | None:
    return None if stat is None else f"{_boot_id()}:{stat.start_ticks}"


def start_mark(pid: int) -> str | None:
    """When the process started, in a form that no other process shares; None where no such process runs."""
    stat = _stat(pid)
    return None if stat is None or stat.state == "Z" else _identity(stat)


def alive(record: ProcessRecord) -> bool:
    """Whether this very process still runs, not another one under its number."""
    return start_mark(record.pid) == record.started


def _holds_its_number(record: ProcessRecord) -> bool:
    """Whether the process runs or has ended without being reaped, so that its session is surely its own."""
    return _identity(_stat(record.pid)) == record.started


def _session(pid: int) -> list[ProcessRecord]:
    """The living processes of the session that `pid` leads."""
    found = []
    for entry in _PROC.iterdir():
        stat = _stat(int(entry.name)) if entry.name.isdigit() else None
        if stat is not None and stat.session == pid and (started := start_mark(stat.pid)) is not None:
            found.append(ProcessRecord(name=_title(stat.pid), pid=stat.pid, started=started))
    return found


def _title(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def session_of(record: ProcessRecord) -> list[ProcessRecord]:
    """The process and all that it started, named by their titles; none where it has gone."""
    return _session(record.pid) if _holds_its_number(record) else []


def send_signal(record: ProcessRecord, number: signal.Signals) -> None:
    """Signal the process if it is still this one."""
    if alive(record):
        with suppress(ProcessLookupError):
            os.kill(record.pid, number)


def _wait_gone(records: Sequence[ProcessRecord], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(map(alive, records)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def stop_process(record: ProcessRecord, timeout_s: float) -> None:
    """Ask the process to stop with SIGTERM, kill it after `timeout_s`, then kill what is left of its session.

    Does nothing where the process has gone: its number may belong to a stranger by now.
    """
    if not _holds_its_number(record):
        return
    family = _session(record.pid)
    send_signal(record, signal.SIGTERM)
    patience_s = timeout_s if record.patience_s is None else min(timeout_s, record.patience_s)
    deadline = time.monotonic() + patience_s
    while alive(record) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        # What it starts while stopping belongs to it too; once it is reaped the session cannot be trusted to be ours.
        newer = _session(record.pid)
        family = newer if _holds_its_number(record) else family
    for member in [record, *family]:
        send_signal(member, signal.SIGKILL)
    _wait_gone([record, *family], timeout_s=5)


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log file."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


class Child:
    """One child process in a session of its own, its output in a log file.

    With `leash` the kernel kills it when the *thread* that called `start` ends, which for the main thread means our
    process: start leashed children from the main thread. Without, it goes on when we exit.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        leash: bool = True,
        patience_s: float | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-I", str(LEASH), str(os.getpid()), *command] if leash else list(command)
        self._env = dict(env or {})
        self._cwd = cwd
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self.record: ProcessRecord | None = None

    def start(self) -> None:
        """Start the process; `ServiceFailed` where it cannot even be started."""
        # Interrupted half-way, it would run and nobody would know it.
        with deferred():
            self._start()

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                process = subprocess.Popen(  # noqa: S603 - a command of ours
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._env},
                    cwd=self._cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServiceFailed(f"{self.name} cannot be started: {error}") from error
        self._process = process
        self.record = ProcessRecord(
            name=self.name,
            pid=process.pid,
            started=_identity(_stat(process.pid)) or "",
            log=str(self.log),
            patience_s=self._patience_s,
        )

    def running(self) -> bool:
        """Whether the process runs. An ended one is not reaped before `stop`, which keeps its number from strangers."""
        return self.record is not None and alive(self.record)

    def _exit_code(self) -> int | None:
        if self.record is None:
            return None
        ended = os.waitid(os.P_PID, self.record.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if ended is None else ended.si_status

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float, every_s: float = _POLL_S) -> None:
        """Wait until `ready()`; `ServiceFailed` with the end of the log if it dies or takes longer than `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.running():
                code = self._exit_code()
                raise ServiceFailed(f"{self.name} ended (status {code}) before it was ready. {self._last_words()}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{self.name} was not ready after {timeout_s:g} s. {self._last_words()}")
            time.sleep(every_s)

    def _last_words(self) -> str:
        return f"The end of {self.log}:\n{tail(self.log)}"

    def stop(self, timeout_s: float) -> None:
        """Stop it with all it started, politely first."""
        if self._process is None or self.record is None:
            return
        stop_process(self.record, timeout_s)
        self._process.wait()

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
