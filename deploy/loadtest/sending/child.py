"""The frame of a child process: its line to the parent, an interpreter that does not stall, a death with the parent."""

import gc
import os
import resource
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

#: A thread that computes hands the interpreter on after this time, instead of 5 ms.
_SWITCH_S = 0.0005
#: Young objects before a collection; old ones are frozen.
_GC = (20_000, 20, 100)
#: The lowest of the real-time ones: what the kernel itself runs as such comes first.
_PRIORITY = 1


def connect(address: str) -> Connection:
    """The line to the parent."""
    connection = Client(address, "AF_UNIX")
    assert isinstance(connection, Connection)  # noqa: S101 - on Linux it is
    return connection


def listen(connection: Connection, obey: Callable[[Any], None]) -> None:
    """Obey orders in a thread; a parent that has gone ends this process at once."""
    threading.Thread(target=_listen, args=(connection, obey), name="orders", daemon=True).start()


def _listen(connection: Connection, obey: Callable[[Any], None]) -> None:
    while True:
        try:
            order = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        obey(order)


def calm() -> None:
    """Call when everything is loaded: from here on the interpreter shall not stall."""
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC)
    _come_first()


def _come_first() -> None:
    """Be woken in time, where the system lets us: only root, or who has CAP_SYS_NICE, may.

    Six busy processes on two cores: lag p99 3.9 ms as an ordinary thread, 3.9 with nice -20, 0.2 as a real-time one.
    All threads, for one that is held up while it has the interpreter holds up the pacer. Linux keeps a policy per
    thread: those started later have that of their parent, processes started before, such as a Studio, keep theirs.
    """
    try:
        for task in Path("/proc/self/task").iterdir():
            # A thread may have ended meanwhile.
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(_PRIORITY))
    except OSError:
        return


def raise_file_limit() -> int:
    """As many open files as the system allows this process; give how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
