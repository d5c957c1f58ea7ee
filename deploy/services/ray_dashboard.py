"""A running Ray cluster through the REST interface of its dashboard, where `serve deploy` goes too.

Nothing of Ray needs to run on this machine, and only the dashboard's port must be open.
"""

import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from deploy.errors import ServiceFailed

_APPLICATIONS = "/api/serve/applications/"
_TIMEOUT_S = 30.0
_SIGN_IN = "it asks for a token: RAY_AUTH_MODE=token, and RAY_AUTH_SIGN_IN or RAY_AUTH_TOKEN_PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class RayNode:
    """A node that is alive."""

    ip: str
    head: bool
    #: `CPU`, `GPU` and others, by name.
    resources: Mapping[str, float]

    @property
    def here(self) -> bool:
        """Whether it is this machine: one can only listen on an address of one's own."""
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            try:
                probe.bind((self.ip, 0))
            except OSError:
                return False
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeDetails:
    """What Serve does there."""

    #: Empty where Serve has not been started yet; they cannot be changed afterwards.
    http_options: Mapping[str, Any] = field(default_factory=dict)
    proxy_location: str | None = None
    target_capacity: float | None = None
    #: Details of each application by its name.
    applications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def others(self, name: str) -> list[Mapping[str, Any]]:
        """The configs of all applications but this one, as far as they were deployed by REST.

        Serve deletes what is missing in a request. Those that a program has started (`serve.run`) it leaves alone.
        """
        configs = (one.get("deployed_app_config") for app, one in self.applications.items() if app != name)
        return [config for config in configs if config]


class RayDashboard:
    """The dashboard of one cluster. All methods raise `ServiceFailed` with what is wrong."""

    def __init__(self, address: str) -> None:
        """`address`: `auto`, `host:port` of the cluster's head (its GCS), or `http://host:8265` of its dashboard."""
        # Ray needs a second to be imported, and only here somebody wants it.
        from ray.dashboard.modules.dashboard_sdk import SubmissionClient  # noqa: PLC0415

        self.url = address.rstrip("/") if "://" in address else _dashboard_of(address)
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise ServiceFailed(f"{address}: give auto, HOST:PORT of the cluster, or http://HOST:8265 of its dashboard")
        self._client: Any = SubmissionClient(self.url)

    @property
    def host(self) -> str:
        """Name or address of the machine that it runs on, as seen from here."""
        return urlsplit(self.url).hostname or ""

    def versions(self) -> tuple[str, str]:
        """Of Ray and of Python."""
        data = self._ask("GET", "/api/v0/cluster_metadata")["data"]
        return str(data["rayVersion"]), str(data["pythonVersion"])

    def nodes(self) -> list[RayNode]:
        """Those that are alive."""
        listed = self._ask("GET", "/api/v0/nodes?detail=1&limit=10000")["data"]["result"]["result"]
        return [
            RayNode(ip=str(one["node_ip"]), head=bool(one["is_head_node"]), resources=one["resources_total"])
            for one in listed
            if one["state"] == "ALIVE"
        ]

    def used(self) -> dict[str, float]:
        """How much of each resource is taken, a few seconds ago; empty where the cluster does not say."""
        status = self._ask("GET", "/api/cluster_status")["data"].get("clusterStatus") or {}
        usage = (status.get("loadMetricsReport") or {}).get("usage") or {}
        return {name: float(pair[0]) for name, pair in usage.items()}

    def serve(self) -> ServeDetails:
        """What Serve does; nothing where it was never started."""
        found = self._ask("GET", _APPLICATIONS)
        return ServeDetails(
            http_options=found.get("http_options") or {},
            proxy_location=found.get("proxy_location"),
            target_capacity=found.get("target_capacity"),
            applications=found.get("applications") or {},
        )

    def apply(self, config: Mapping[str, Any]) -> None:
        """Deploy the applications of a Serve config, and delete those that REST deployed and that are not in it."""
        self._ask("PUT", _APPLICATIONS, config)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        import requests  # noqa: PLC0415 - comes with Ray
        from ray.exceptions import AuthenticationError  # noqa: PLC0415

        try:
            # Ray's own client adds the token.
            answer = self._client._do_request(method, path, json_data=body, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise ServiceFailed(f"no Ray dashboard answers at {self.url}: {type(error).__name__}") from error
        except AuthenticationError as error:
            raise ServiceFailed(f"the Ray dashboard at {self.url} refuses us: {_SIGN_IN}") from error
        if answer.status_code in {401, 403}:
            raise ServiceFailed(f"the Ray dashboard at {self.url} refuses us: {_SIGN_IN}")
        if answer.status_code == 404:
            raise ServiceFailed(f"{self.url} is no Ray dashboard, or that of a very old Ray")
        if answer.status_code != 200:
            raise ServiceFailed(f"{method} {self.url}{path} gave {answer.status_code}: {answer.text[:1000]}")
        try:
            found = answer.json() if answer.text else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ServiceFailed(f"{self.url} is no Ray dashboard")
        return found


def _dashboard_of(address: str) -> str:
    """The address of the dashboard, asked from the cluster itself."""
    from ray.dashboard.utils import ray_address_to_api_server_url  # noqa: PLC0415

    try:
        return str(ray_address_to_api_server_url(address))
    except Exception as error:
        # Ray raises all sorts of errors here, with pages of text.
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ServiceFailed(f"no Ray cluster found at {address}: {first}") from error
