"""Run a command that the kernel kills when our parent dies.

    python -I leash.py PARENT_PID COMMAND [ARGUMENT...]

A program of its own, not a `preexec_fn`: code between fork and exec is unsafe in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, then become the command; process id and start time stay."""
    parent = int(sys.argv[1])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - running the given command is the purpose


if __name__ == "__main__":
    main()
