"""Ray Serve on this machine: `serve run` of deploy/serve.yaml, with our address and environment."""

import hashlib
import os
import shutil
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from deploy.errors import ServiceFailed
from deploy.services.atomic import write_atomically
from deploy.services.interface import Endpoints
from deploy.services.ports import free_ports, require_free
from deploy.services.processes import Child, ProcessRecord, send_signal, session_of
from deploy.settings import DeploySettings
from serve.doors.wary import INSTALL

CONFIG = Path(__file__).parents[1] / "serve.yaml"
_ASK_EVERY_S = 0.5
_ENV = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A relic in the environment must not lead us to somebody's cluster.
    "RAY_ADDRESS": "",
    "PYTHONUNBUFFERED": "1",
    # On a busy machine a proxy takes longer than Serve's 5 s, and Serve gives up after three tries.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    # The log is a file.
    "RAY_COLOR_PREFIX": "0",
    # Deadlines for headers and for clients that do not read, which uvicorn does not have.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": INSTALL,
}


def local_config(config: Path, port: int, deployment: int = 0) -> str:
    """The Serve config with the HTTP address of this machine, as YAML.

    Another number of `deployment` is another version of the application, so that Serve replaces its replicas.
    """
    try:
        document = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ServiceFailed(f"{config} cannot be read: {error}") from error
    document["http_options"] = {**document.get("http_options", {}), "host": "127.0.0.1", "port": port}
    if deployment:
        for application in document["applications"]:
            application["runtime_env"] = {"env_vars": {"VITRINE_DEPLOYMENT": str(deployment)}}
    return yaml.safe_dump(document, sort_keys=False)


def _ray_folder(folder: Path) -> Path:
    """An empty folder for Ray, the same for the same `folder`.

    Ray puts sockets into it as `session_DATE_TIME_PID/sockets/plasma_store`, and Linux allows 107 characters.
    """
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    chosen = Path(f"/tmp/vitrine-ray-{os.getuid()}-{name}")  # noqa: S108 - made anew, for this user alone
    shutil.rmtree(chosen, ignore_errors=True)
    chosen.mkdir(mode=0o700)
    return chosen


class RayServe:
    """A private Ray with the applications of a Serve config, reachable on loopback.

    It never joins a Ray that already runs here. For a cluster use `serve deploy deploy/serve.yaml` there.
    """

    name = "serve"

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        settings: DeploySettings,
        *,
        port: int | None = None,
        config: Path = CONFIG,
        leash: bool = True,
    ) -> None:
        self._folder = folder.absolute()
        self._env = env
        self._settings = settings
        self._port = port or 0
        self._config = config
        self._leash = leash
        self._child: Child | None = None
        self._deployment = 0

    @property
    def url(self) -> str:
        """Where the ingress answers."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until `/readyz` says yes."""
        self._port = self._port or free_ports(1)[0]
        require_free(self._port, "Ray Serve")
        config = self._write_config()
        self._child = Child(
            self.name,
            [sys.executable, "-m", "deploy.services.serve_host", str(config), str(_ray_folder(self._folder))],
            env={**_ENV, **self._env},
            log=self._folder / "serve.log",
            leash=self._leash,
        )
        self._child.start()
        self._child.wait_ready(self.healthy, self._settings.serve_timeout_s, every_s=_ASK_EVERY_S)

    def redeploy(self) -> None:
        """Have Serve replace all replicas, one by one, as with a new version; returns at once."""
        self._deployment += 1
        self._write_config()
        for record in self.processes():
            send_signal(record, signal.SIGHUP)

    def _write_config(self) -> Path:
        config = self._folder / "serve.yaml"
        write_atomically(config, local_config(self._config, self._port, self._deployment))
        return config

    def workers(self, title: str) -> list[ProcessRecord]:
        """The processes of its Ray whose titles hold this text, such as `ServeReplica:vitrine:Studio`."""
        return [one for record in self.processes() for one in session_of(record) if title in one.name]

    def stop(self) -> None:
        """Stop it with all its workers."""
        if self._child is not None:
            self._child.stop(self._settings.stop_timeout_s)

    def healthy(self) -> bool:
        """Whether the ingress says that it is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def processes(self) -> Sequence[ProcessRecord]:
        """The process that owns the whole Ray."""
        return [self._child.record] if self._child and self._child.record else []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add the address."""
        return replace(endpoints, serve_url=self.url)
