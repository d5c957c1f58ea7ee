"""What processes use, read from /proc: CPU time, memory, who belongs to whom. Linux only."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.services.processes import ProcessRecord

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: CPU time is counted in these, usually 10 ms.
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One line of /proc/PID/stat."""

    pid: int
    parent: int
    session: int
    #: Clock ticks from boot to its start: with the pid it tells a process from all others.
    started: int
    cpu_ticks: int
    rss_bytes: int


def parse_stat(text: str) -> Process | None:
    """A process from the text of its stat file; None for one that has ended and is not reaped."""
    # The name stands in parentheses and may itself hold parentheses and blanks.
    fields = text[text.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    return Process(
        pid=int(text[: text.index(" ")]),
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        rss_bytes=int(fields[21]) * _PAGE,
    )


def all_processes() -> list[Process]:
    """Everything that runs on this machine."""
    return [one for entry in _PROC.iterdir() if entry.name.isdigit() and (one := _process(entry.name)) is not None]


def _process(pid: str) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - read 100 times a second
            return parse_stat(file.read())
    except OSError:
        return None


def title(pid: int) -> str:
    """The command line of a process; empty where it has gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def by_role(
    every: Iterable[Process], roles: Mapping[str, Sequence[ProcessRecord]], own: int
) -> dict[str, list[Process]]:
    """The processes of each role: the session that each record leads. `harness`: our own and what it started."""
    processes = list(every)
    leaders = {one.pid: one for one in processes if one.pid == one.session}
    role_of = {
        record.pid: role
        for role, records in roles.items()
        for record in records
        if (leader := leaders.get(record.pid)) is not None and record.started.endswith(f":{leader.started}")
    }
    found: dict[str, list[Process]] = defaultdict(list)
    for one in processes:
        if (role := role_of.get(one.session)) is not None:
            found[role].append(one)
    found["harness"] = _family([one for one in processes if one.session not in role_of], own)
    return dict(found)


def _family(processes: Sequence[Process], root: int) -> list[Process]:
    """A process and its descendants."""
    children: dict[int, list[Process]] = defaultdict(list)
    for one in processes:
        children[one.parent].append(one)
    family = [one for one in processes if one.pid == root]
    for one in family:
        # It grows while it is read: children of children.
        family += children[one.pid]
    return family


class CpuMeter:
    """Cores that roles use, from one look to the next."""

    def __init__(self) -> None:
        self._ticks: dict[tuple[int, int], int] = {}
        self._at_ns: int | None = None

    def read(self, at_ns: int, roles: Mapping[str, Sequence[Process]]) -> dict[str, float]:
        """Cores by role since the last call; nothing the first time.

        A process that came since counts with all that it has used; what one used last before it ended is not seen.
        """
        before, since = self._ticks, self._at_ns
        self._ticks = {(one.pid, one.started): one.cpu_ticks for all_ in roles.values() for one in all_}
        self._at_ns = at_ns
        if since is None or at_ns <= since:
            return {}
        window = TICKS_PER_S * (at_ns - since) / 1e9
        return {
            role: sum(one.cpu_ticks - before.get((one.pid, one.started), 0) for one in all_) / window
            for role, all_ in roles.items()
        }
