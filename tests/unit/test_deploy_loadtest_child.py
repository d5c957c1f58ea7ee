"""How the processes that send and receive are scheduled: they come first, what they started before does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

_POLICIES = """
import json, os, subprocess, sys, threading
from pathlib import Path
from deploy.loadtest.sending.child import calm

def policies():
    return [os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()]

ended = threading.Event()
threading.Thread(target=ended.wait).start()
before = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
calm()
threading.Thread(target=ended.wait).start()
print(json.dumps({"own": policies(), "started_before": os.sched_getscheduler(before.pid)}))
ended.set()
before.communicate(b"\\n")
"""


def _may_come_first() -> bool:
    asked = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    return subprocess.run([sys.executable, "-c", asked], check=False, stderr=subprocess.DEVNULL).returncode == 0


def test_all_threads_come_first_where_the_system_lets_them() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _POLICIES], capture_output=True, check=True, cwd=root, timeout=60)
    found = json.loads(done.stdout)
    assert found["own"] == [os.SCHED_RR if _may_come_first() else os.SCHED_OTHER] * 3
    assert found["started_before"] == os.SCHED_OTHER
