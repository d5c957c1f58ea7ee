"""Vitrine as a guest on somebody's Ray cluster: what must hold there, and what is sent to it. Pure but for a clock."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from deploy.errors import ServiceFailed
from deploy.services.ray_dashboard import RayNode, ServeDetails

#: In the environment of our application, so that we remove no other one that has its name.
MARK = "VITRINE_GUEST"


def require_versions(ray: str, python: str) -> None:
    """`ServiceFailed` unless the cluster has our Ray and our Python: its nodes run another Vitrine than this one."""
    ours, minor = version("ray"), ".".join(platform.python_version_tuple()[:2])
    if ray != ours:
        raise ServiceFailed(f"the cluster runs Ray {ray}, and this Vitrine is made for Ray {ours}")
    if python.split(".")[:2] != minor.split("."):
        raise ServiceFailed(f"the cluster runs Python {python}, and this Vitrine runs Python {minor}")


def require_place(application: Mapping[str, Any], serve: ServeDetails) -> None:
    """`ServiceFailed` where an application has our name or our route."""
    name, route = application["name"], application.get("route_prefix", "/")
    if name in serve.applications:
        raise ServiceFailed(f"the cluster already has an application `{name}`: it may be in use, so it stays as it is")
    for other, details in serve.applications.items():
        if details.get("route_prefix") == route:
            raise ServiceFailed(f"the application `{other}` of the cluster already has the route {route}")


def lacking(application: Mapping[str, Any], nodes: Sequence[RayNode], used: Mapping[str, float]) -> str:
    """Which resources the replicas would wait for; empty where there is room for all of them."""
    total: dict[str, float] = {}
    wanted: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.resources.items():
            total[name] = total.get(name, 0.0) + amount
    for deployment in application.get("deployments", ()):
        for name, amount in _per_replica(deployment).items():
            wanted[name] = wanted.get(name, 0.0) + amount * _replicas(deployment)
    return ", ".join(
        f"{name}: {total.get(name, 0.0) - used.get(name, 0.0):g} of {total.get(name, 0.0):g} free, {amount:g} wanted"
        for name, amount in wanted.items()
        if amount > total.get(name, 0.0) - used.get(name, 0.0)
    )


def _per_replica(deployment: Mapping[str, Any]) -> dict[str, float]:
    options = deployment.get("ray_actor_options") or {}
    asked = {"CPU": options.get("num_cpus", 1), "GPU": options.get("num_gpus", 0), **(options.get("resources") or {})}
    return {name: float(amount) for name, amount in asked.items() if amount}


def _replicas(deployment: Mapping[str, Any]) -> int:
    scaling = deployment.get("autoscaling_config") or {}
    asked = scaling.get("min_replicas", 1) if scaling else deployment.get("num_replicas", 1)
    return int(asked) if isinstance(asked, int) else 1


def require_reach(nodes: Sequence[RayNode], env: Mapping[str, str]) -> None:
    """`ServiceFailed` where nodes on other machines are told of what is only here."""
    far = sorted(node.ip for node in nodes if not node.here)
    if not far:
        return
    if not env.get("VITRINE_SERVE_INDEX_URL"):
        raise ServiceFailed(
            f"the cluster has nodes on other machines ({far[0]}), so the result index must be a PostgreSQL that all "
            "of them reach: VITRINE_SERVE_INDEX_URL=postgresql+psycopg://..."
        )
    endpoint = env.get("VITRINE_SERVE_S3_ENDPOINT", "")
    if "127.0.0.1" in endpoint or "localhost" in endpoint:
        raise ServiceFailed(f"nodes of the cluster ({far[0]}) cannot reach the store at {endpoint}: give --endpoint")


def arrival(
    document: Mapping[str, Any], serve: ServeDetails, env: Mapping[str, str], http: Mapping[str, Any], mark: str
) -> dict[str, Any]:
    """The request that adds the first application of a Serve config to those that are there."""
    application = dict(document["applications"][0])
    runtime = dict(application.get("runtime_env") or {})
    runtime["env_vars"] = {**(runtime.get("env_vars") or {}), **env, MARK: mark}
    application["runtime_env"] = runtime
    # At the top it would be that of everybody on the cluster.
    application.setdefault("logging_config", document.get("logging_config"))
    request = _surroundings(serve, document.get("proxy_location"), http)
    return {**request, "applications": [*serve.others(application["name"]), application]}


def departure(name: str, serve: ServeDetails, mark: str) -> dict[str, Any] | None:
    """The request that takes our application away and leaves the others; None where it is not there, or not ours."""
    config = serve.applications.get(name, {}).get("deployed_app_config") or {}
    if (config.get("runtime_env") or {}).get("env_vars", {}).get(MARK) != mark:
        return None
    return {**_surroundings(serve, serve.proxy_location, serve.http_options), "applications": serve.others(name)}


def _surroundings(serve: ServeDetails, proxy_location: str | None, http: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to all applications, as it is there already."""
    request: dict[str, Any] = {"http_options": dict(serve.http_options or http)}
    request["proxy_location"] = (serve.proxy_location if serve.http_options else proxy_location) or "EveryNode"
    if serve.target_capacity is not None:
        request["target_capacity"] = serve.target_capacity
    return request
