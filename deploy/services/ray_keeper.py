"""Keep our application on a Ray cluster that is not ours, and take it away on SIGTERM.

    python -m deploy.services.ray_keeper DASHBOARD NAME MARK [PARENT_PID]

A process, so that `vitrine down` and a demo that ends or dies find something to stop, as with a Ray of our own. With
PARENT_PID it stops when that process dies.
"""

import ctypes
import os
import signal
import sys
import time

from deploy.errors import ServiceFailed
from deploy.services.leash import PR_SET_PDEATHSIG
from deploy.services.ray_dashboard import RayDashboard
from deploy.services.ray_guest import departure

_LOOK_EVERY_S = 5.0
#: Replicas without work end at once.
_GONE_S = 20.0


def main(dashboard: str, name: str, mark: str, parent: str = "") -> None:
    """Wait for the signal, or until somebody else has removed the application; then see that it is gone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if parent:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent is gone already")
    cluster = RayDashboard(dashboard)
    print(f"keeping {name}", flush=True)  # noqa: T201 - the log
    try:
        _watch(cluster, name, mark)
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        remove(cluster, name, mark)


def _watch(cluster: RayDashboard, name: str, mark: str) -> None:
    seen = False
    while True:
        try:
            ours = departure(name, cluster.serve(), mark) is not None
        except ServiceFailed as error:
            # The head may be away for a moment; what runs there runs on.
            print(error, flush=True)  # noqa: T201
        else:
            if seen and not ours:
                sys.exit(f"somebody has removed or replaced the application {name}")
            seen = seen or ours
        time.sleep(_LOOK_EVERY_S)


def remove(cluster: RayDashboard, name: str, mark: str) -> None:
    """Delete our application; those of others stay, and so does Serve."""
    request = departure(name, cluster.serve(), mark)
    if request is None:
        return
    cluster.apply(request)
    deadline = time.monotonic() + _GONE_S
    while name in cluster.serve().applications and time.monotonic() < deadline:
        time.sleep(0.5)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ServiceFailed as error:
        sys.exit(str(error))
