"""A private Ray of this process, and applications on its Serve that are made of deploy/serve.yaml."""

import copy
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.services.ports import free_ports
from deploy.services.serve_host import deploy_again, start_ray
from serve.app.placement import parse_placement
from serve.schemas.exchange import EnrichItem
from tests.support.servers import StoreServer

ROOT = Path(__file__).parents[2]
PATIENCE_S = 600.0
Document = dict[str, Any]

#: One rule that every picture keeps: what is made here is small, and not to be judged.
LENIENT = {"fill": {"publish": {"min": 0.0}, "review": {"min": 0.0}, "reason": "no product"}}


def application(name: str, placement: Any, *, env: Mapping[str, str] | None = None, **more: Any) -> Document:
    """The application of deploy/serve.yaml under another name, one replica of each deployment; `more` goes on top."""
    document: Document = copy.deepcopy(yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())["applications"][0])
    document |= {"name": name, "route_prefix": f"/{name}", "runtime_env": {"env_vars": dict(env or {})}, **more}
    document["args"]["placement"] = placement
    deployments = {one["name"]: one for one in document["deployments"]}
    for host in parse_placement(placement).hosts:
        deployments[host] = {**copy.deepcopy(deployments["Studio"]), "name": host}
    for deployment in deployments.values():
        # Serve shall not wait for cores here: there are fewer than replicas.
        deployment |= {"num_replicas": 1, "ray_actor_options": {"num_cpus": 0}, "graceful_shutdown_timeout_s": 20}
    document["deployments"] = list(deployments.values())
    return document


def catalog(folder: Path, *recipes: Document, rules: Document | None = None) -> Path:
    """A folder for VITRINE_SERVE_CATALOG_DIR."""
    (folder / "recipes").mkdir(parents=True)
    for recipe in recipes:
        (folder / "recipes" / f"{recipe['recipe']}.yaml").write_text(yaml.safe_dump(recipe))
    kinds = {"any": {"operations": [], "rules": rules or LENIENT}}
    (folder / "quality.yaml").write_text(yaml.safe_dump({"version": 1, "kinds": kinds}))
    return folder


@dataclass
class Applications:
    """Serve in this process's Ray, and the file that says what runs there."""

    folder: Path
    ray_folder: Path
    port: int
    running: dict[str, Document] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """Where the application's door is."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def deploy(self, *documents: Document) -> None:
        """Have these run, besides those that do already; returns at once."""
        self.running |= {document["name"]: document for document in documents}
        whole: Document = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())
        whole["http_options"]["port"] = self.port
        whole["logging_config"] = {"log_level": "INFO"}
        whole["applications"] = list(self.running.values())
        file = self.folder / "serve.yaml"
        file.write_text(yaml.safe_dump(whole))
        deploy_again(str(file))

    def status(self, name: str) -> Any:
        """What `serve status` says of the application."""
        from ray import serve  # noqa: PLC0415 - seconds; those who only collect tests need it not

        return serve.status().applications[name]

    def wait(self, name: str, status: str = "RUNNING", patience_s: float = PATIENCE_S) -> Any:
        """Wait for the application to be so; give its status."""
        deadline = time.monotonic() + patience_s
        while (found := self.status(name)).status != status:
            assert time.monotonic() < deadline, found
            assert status in found.status or "FAILED" not in found.status, found
            time.sleep(0.5)
        return found

    def ready(self, name: str) -> None:
        """Wait until its door says so."""
        self.wait(name)
        deadline = time.monotonic() + PATIENCE_S
        while (answer := httpx.get(f"{self.url(name)}/readyz", timeout=60)).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.5)

    def enrich(self, name: str, *events: EnrichItem) -> dict[int, dict[str, Any]]:
        """The answer lines by `ref`."""
        body = {"items": [event.model_dump(mode="json") for event in events]}
        with httpx.stream("POST", f"{self.url(name)}/v1/enrich", json=body, timeout=PATIENCE_S) as response:
            assert response.status_code == 200, response.read()
            lines = [json.loads(line) for line in response.iter_lines() if line]
        return {line["ref"]: line for line in lines}

    def handle(self, name: str, deployment: str) -> Any:
        """A handle on a deployment."""
        from ray import serve  # noqa: PLC0415

        return serve.get_deployment_handle(deployment, name)

    def pids(self, name: str, deployment: str) -> list[int]:
        """Process ids of a deployment's replicas, of this Ray alone."""
        title = f"ServeReplica:{name}:{deployment}"
        mark = f"VITRINE_TEST_PORT={self.port}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if title in (folder / "cmdline").read_text() and mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


@contextmanager
def applications(
    store: StoreServer, folder: Path, *, fetch_allow: Sequence[str], env: Mapping[str, str]
) -> Iterator[Applications]:
    """Start Ray with an environment for its workers; stop it afterwards."""
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    port = free_ports(1)[0]
    ray_folder = tempfile.mkdtemp(prefix="vt-", dir="/tmp")
    workers = {
        "VITRINE_TEST_PORT": str(port),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ADDRESS": "",
        "VITRINE_SERVE_S3_ENDPOINT": store.endpoint,
        "VITRINE_SERVE_S3_ACCESS_KEY": store.access_key,
        "VITRINE_SERVE_S3_SECRET_KEY": store.secret_key,
        "VITRINE_SERVE_S3_BUCKET": store.bucket,
        "VITRINE_SERVE_FETCH_ALLOW": ",".join(fetch_allow),
        "VITRINE_SERVE_CAPACITY_TTL_S": "0.2",
        **env,
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in workers.items():
            patch.setenv(key, value)
        patch.chdir(ROOT)
        try:
            start_ray(ray_folder, attempts=6)
            yield Applications(folder, Path(ray_folder), port)
        finally:
            if ray.is_initialized():
                serve.shutdown()
            ray.shutdown()
            shutil.rmtree(ray_folder, ignore_errors=True)


def silent_server() -> socket.socket:
    """Takes connections and never answers: whoever fetches a photo from it is surely at work."""
    gate = socket.create_server(("127.0.0.1", 0))
    gate.settimeout(60)
    return gate


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still inside the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
