"""Vitrine on a Ray cluster that somebody else runs: one more application there, and no other one touched."""

import os
import secrets
import socket
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from deploy.errors import ServiceFailed
from deploy.services.interface import Endpoints
from deploy.services.processes import Child, ProcessRecord
from deploy.services.ray_dashboard import RayDashboard, RayNode, ServeDetails
from deploy.services.ray_guest import arrival, lacking, require_place, require_reach, require_versions
from deploy.services.ray_serve import CONFIG
from deploy.settings import DeploySettings
from serve.doors.address import DoorOpen, require_closed

LOOPBACK = "127.0.0.1"
_ASK_EVERY_S = 0.5
_YES = frozenset(("1", "true", "yes", "on", "t", "y"))
#: What a cluster says of used resources is a few seconds old.
_ROOM_S = 12.0
_KEEPER_S = 30.0


def facing(address: str) -> str:
    """The address of this machine that all nodes of a cluster reach; loopback where they are all on this machine."""
    cluster = RayDashboard(address)
    if all(node.here for node in cluster.nodes()):
        return LOOPBACK
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        # Nothing is sent; the kernel chooses the way.
        probe.connect((cluster.host, 9))
        return str(probe.getsockname()[0])


class GivenRay:
    """The application of a Serve config on a running cluster. `check` looks without changing anything."""

    name = "serve"

    def __init__(
        self,
        address: str,
        folder: Path,
        settings: DeploySettings,
        *,
        port: int | None = None,
        config: Path = CONFIG,
        leash: bool = True,
    ) -> None:
        self._address = address
        self._folder = folder.absolute()
        self._settings = settings
        self._port = port
        self._config = config
        self._leash = leash
        #: What the replicas are told; for them the environment of this process counts as it does for a Ray of ours.
        self.env: dict[str, str] = {name: one for name, one in os.environ.items() if name.startswith("VITRINE_SERVE_")}
        self._mark = secrets.token_hex(8)
        self._url = ""
        self._keeper: Child | None = None

    def check(self) -> tuple[RayDashboard, list[RayNode], ServeDetails]:
        """Whether the cluster is there and fit for us; `ServiceFailed` with the reason if not."""
        cluster = RayDashboard(self._address)
        require_versions(*cluster.versions())
        serve, application = cluster.serve(), self._document()["applications"][0]
        require_place(application, serve)
        deadline = time.monotonic() + _ROOM_S
        while missing := lacking(application, nodes := cluster.nodes(), cluster.used()):
            if time.monotonic() > deadline:
                raise ServiceFailed(f"the cluster has no room for {self._config.name}: {missing}")
            time.sleep(1)
        return cluster, nodes, serve

    def start(self) -> None:
        """Deploy the application and wait until `/readyz` says yes."""
        cluster, nodes, serve = self.check()
        require_reach(nodes, self.env)
        document = self._document()
        http = self._http(document, serve, nodes)
        self._url = self._reached_at(cluster, http, nodes)
        name = document["applications"][0]["name"]
        # First of all somebody who takes away what comes now.
        self._keeper = self._start_keeper(cluster, name)
        cluster.apply(arrival(document, serve, self.env, http, self._mark))
        self._keeper.wait_ready(
            lambda: self._deployed(cluster, name), self._settings.serve_timeout_s, every_s=_ASK_EVERY_S
        )

    def _document(self) -> dict[str, Any]:
        try:
            document = yaml.safe_load(self._config.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise ServiceFailed(f"{self._config} cannot be read: {error}") from error
        return dict(document)

    def _http(self, document: Mapping[str, Any], serve: ServeDetails, nodes: Sequence[RayNode]) -> dict[str, Any]:
        """Where Serve listens: as it does already, else as the config says, on other machines on all addresses.

        `ServiceFailed` where that would leave the door open.
        """
        http = self._wanted_http(document, serve, nodes)
        try:
            require_closed(
                str(http.get("host") or LOOPBACK),
                guarded=bool(self.env.get("VITRINE_SERVE_DOOR_TOKENS")),
                open_door=self.env.get("VITRINE_SERVE_OPEN_DOOR", "").lower() in _YES,
            )
        except DoorOpen as error:
            raise ServiceFailed(str(error)) from error
        return http

    def _wanted_http(
        self, document: Mapping[str, Any], serve: ServeDetails, nodes: Sequence[RayNode]
    ) -> dict[str, Any]:
        if serve.http_options:
            if self._port not in {None, serve.http_options.get("port")}:
                raise ServiceFailed(f"Serve runs on the cluster already, on port {serve.http_options.get('port')}")
            return dict(serve.http_options)
        http = dict(document.get("http_options") or {})
        if self._port is not None:
            http["port"] = self._port
        if not all(node.here for node in nodes):
            http["host"] = "0.0.0.0"  # noqa: S104 - with tokens, or where whoever runs the cluster says so
        return http

    @staticmethod
    def _reached_at(cluster: RayDashboard, http: Mapping[str, Any], nodes: Sequence[RayNode]) -> str:
        host = str(http.get("host") or "127.0.0.1")
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - read, not opened
            host = cluster.host
        elif host in {"127.0.0.1", "localhost"} and not all(node.here for node in nodes):
            raise ServiceFailed("Serve on the cluster listens on 127.0.0.1 only, so nobody outside can reach it")
        return f"http://{host}:{http.get('port', 8000)}"

    def _start_keeper(self, cluster: RayDashboard, name: str) -> Child:
        command = [sys.executable, "-m", "deploy.services.ray_keeper", cluster.url, name, self._mark]
        log = self._folder / "keeper.log"
        # Not on the leash: killed by it, it would leave the application behind.
        child = Child(self.name, [*command, *([str(os.getpid())] if self._leash else [])], log=log, leash=False)
        began = log.stat().st_size if log.exists() else 0
        child.start()
        child.wait_ready(lambda: b"keeping" in log.read_bytes()[began:], _KEEPER_S)
        return child

    def _deployed(self, cluster: RayDashboard, name: str) -> bool:
        application = cluster.serve().applications.get(name, {})
        if application.get("status") == "DEPLOY_FAILED":
            raise ServiceFailed(f"the cluster could not start {name}: {_last_line(application.get('message'))}")
        return application.get("status") == "RUNNING" and self.healthy()

    def stop(self) -> None:
        """Remove our application from the cluster, which runs on."""
        if self._keeper is not None:
            self._keeper.stop(self._settings.stop_timeout_s)

    def healthy(self) -> bool:
        """Whether the ingress says that it is ready."""
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=5) as answer:  # noqa: S310 - http by construction
                return bool(answer.status == 200)
        except OSError:
            return False

    def processes(self) -> Sequence[ProcessRecord]:
        """The keeper: it removes the application when it is asked to stop."""
        return [self._keeper.record] if self._keeper and self._keeper.record else []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add the address."""
        return replace(endpoints, serve_url=self._url)


def _last_line(message: object) -> str:
    """The reason at the end of a stack that Serve reports."""
    lines = [line for line in str(message or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it does not say why"
