"""A Ray cluster of two nodes on this machine, as `ray start` makes them: nodes are killed and come back.

Both have addresses of their own (127.0.0.2 is this machine too), a folder each, and ask for a token.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.services.ports import free_ports

RAY = Path(sys.executable).with_name("ray")
SERVE = Path(sys.executable).with_name("serve")
HEAD, SECOND = "head", "second"
_MARK = "VITRINE_TEST_NODE"
#: Ray gives a node 30 s to start, and no setting for it; a busy machine may need another try.
_STARTS = 3
_STORE_BYTES = 100_000_000
_ADDRESS = {HEAD: "127.0.0.1", SECOND: "127.0.0.2"}


class RayCluster:
    """Nodes by name. Each offers one CPU; `door` is a resource that only the head has."""

    def __init__(self) -> None:
        # Ray puts sockets here, and their paths must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="vt-", dir="/tmp"))
        self.gcs_port, self.dashboard_port, self.serve_port, self._client_port, *agents = free_ports(6)
        self._agents = dict(zip(_ADDRESS, agents, strict=True))
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        # A small application of somebody else, which the nodes can import.
        (self.folder / "neighbour.py").write_text(_NEIGHBOUR)
        #: What whoever talks to the cluster must have in its environment.
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
        self._headers = {"Authorization": f"Bearer {token.read_text()}"}

    @property
    def dashboard(self) -> str:
        """Where `serve deploy` goes."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def url(self) -> str:
        """Where Serve answers, once something is deployed with `serve_port`."""
        return f"http://127.0.0.1:{self.serve_port}"

    # -- nodes --

    def start(self, name: str) -> None:
        """Start a node, the head first; return once it belongs to the cluster."""
        for _ in range(_STARTS):
            done = self._run([RAY, "start", *self._options(name)], self._node_env(name))
            if done.returncode == 0:
                return
            self.kill(name)
        raise AssertionError(f"the {name} node did not start {_STARTS} times:\n{done.stdout[-3000:]}")

    def _node_env(self, name: str) -> dict[str, str]:
        return {**_NODE_ENV, _MARK: self._mark(name), "PYTHONPATH": str(self.folder)}

    def _options(self, name: str) -> list[str]:
        options = ["--node-ip-address", _ADDRESS[name], "--num-cpus", "1", "--disable-usage-stats"]
        options += ["--object-store-memory", str(_STORE_BYTES), "--temp-dir", str(self.folder / name)]
        options += ["--dashboard-agent-listen-port", str(self._agents[name])]
        if name != HEAD:
            return [*options, "--address", f"{_ADDRESS[HEAD]}:{self.gcs_port}"]
        options += ["--head", "--port", str(self.gcs_port), "--ray-client-server-port", str(self._client_port)]
        options += ["--include-dashboard", "true", "--dashboard-host", "127.0.0.1"]
        options += ["--dashboard-port", str(self.dashboard_port)]
        return [*options, "--resources", '{"door": 1}']

    def kill(self, name: str) -> None:
        """SIGKILL to all of its processes at once, as when the machine goes."""
        while found := self.family(name):
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)

    def family(self, name: str) -> dict[int, str]:
        """Process ids and command lines of a node with all its workers, found by a mark in their environment."""
        mark = f"{_MARK}={self._mark(name)}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def _mark(self, name: str) -> str:
        return f"{self.folder.name}-{name}"

    def stop(self) -> None:
        """Kill all of it and remove its folder."""
        for name in reversed(_ADDRESS):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what runs there --

    def deploy(self, config: Path) -> None:
        """`serve deploy` of a file."""
        done = self._run([SERVE, "deploy", str(config), "--address", self.dashboard], {})
        assert done.returncode == 0, done.stdout[-3000:]

    def applications(self) -> dict[str, dict[str, object]]:
        """What Serve says of its applications."""
        answer = httpx.get(f"{self.dashboard}/api/serve/applications/", headers=self._headers, timeout=60)
        answer.raise_for_status()
        found = answer.json()["applications"]
        assert isinstance(found, dict)
        return found

    def calls(self, node: str, deployment: str = "Studio", method: str = "answer") -> dict[str, int]:
        """Calls that each replica on a node has finished well, from the access logs there: file name -> number."""
        logs = (self.folder / node).glob(f"session_2*/logs/serve/replica_*_{deployment}_*.log")
        return {log.name: log.read_text().count(f"CALL {method} OK") for log in logs}

    def _run(self, command: list[object], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, command)),
            check=False,
            env={**os.environ, **self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )


_NEIGHBOUR = """
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0})
class Neighbour:
    def __call__(self, request):
        return "here"

app = Neighbour.bind()
"""
_NODE_ENV = {
    # A minute else, and many processes to start.
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "180",
    # A node that went counts as gone after five seconds, not after fifteen; less, and a busy one seems gone too.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}
