"""What a process of ours takes, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """A look at a process; all 0 where it has ended."""

    #: Resident memory in bytes, shared pages included.
    resident: int = 0
    #: CPU time since its start.
    cpu_s: float = 0.0


def usage(pid: int) -> Usage:
    """What the process takes now, and what it has used."""
    try:
        # The name of a program may hold spaces and brackets; the fields begin behind the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return Usage()
    return Usage(int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICKS)


def reset_peak(pid: int) -> None:
    """Let `peak_bytes` begin anew."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        # Some containers forbid it; then the peak is that of all jobs so far.
        return


def peak_bytes(pid: int) -> int:
    """The largest resident memory since the last reset; 0 where the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
