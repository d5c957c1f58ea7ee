"""Where a run was made: machine, versions, revision, settings. No name of the machine, no secret."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from consumers.settings import ConsumerSettings
from deploy.loadtest.options import DriverKind, RunOptions
from deploy.services.stack import KafkaKind, StoreKind
from deploy.services.tools import KAFKA_VERSION, VERSITYGW_VERSION
from serve.schemas.redaction import HIDDEN, Redaction, secrets_of
from serve.settings import ServeSettings

_ROOT = Path(__file__).parents[3]
_PACKAGES = (
    "kafka-python",
    "httpx",
    "ray",
    "fastapi",
    "boto3",
    "numpy",
    "torch",
    "opencv-python-headless",
    "pydantic",
    "hdrhistogram",
)
_SETTINGS = ("VITRINE_CONSUMERS_", "VITRINE_SERVE_", "VITRINE_DEPLOY_")
_SECRET = ("_KEY", "_PASSWORD", "_TOKEN", "_SECRET")
_TIMEOUT_S = 10.0
_GIB = 2**30
UNKNOWN = "unknown"


def environment(options: RunOptions) -> dict[str, Any]:
    """Facts for the report, as JSON values."""
    return {
        "cpu": cpu_model(_text(Path("/proc/cpuinfo"))),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB, 1),
        "kernel": platform.release(),
        "system": platform.system(),
        "python": platform.python_version(),
        "gpu": _gpus(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "services": _services(options),
        "settings": redacted_settings(os.environ),
    }


def revision(folder: Path = _ROOT) -> str:
    """The git revision of the code, with `+changes` where files differ from it; `unknown` without git."""
    commit = _said("git", "-C", str(folder), "rev-parse", "HEAD")
    if not commit:
        return UNKNOWN
    return f"{commit}+changes" if _said("git", "-C", str(folder), "status", "--porcelain") else commit


def cpu_model(cpuinfo: str) -> str:
    """The model from the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine() or UNKNOWN


def redacted_settings(env: Mapping[str, str]) -> dict[str, str]:
    """The settings that somebody has set, without the secrets among them."""
    redaction = Redaction((*secrets_of(ConsumerSettings()), *secrets_of(ServeSettings())))
    return {
        name: HIDDEN if name.endswith(_SECRET) else redaction(value)
        for name, value in sorted(env.items())
        if name.startswith(_SETTINGS)
    }


def _services(options: RunOptions) -> dict[str, str]:
    if options.bootstrap or options.serve_url:
        return {"given": "run by somebody else"}
    found = {}
    if options.driver is DriverKind.KAFKA:
        real = f"Apache Kafka {KAFKA_VERSION}"
        found["kafka"] = real if options.kafka is KafkaKind.REAL else f"librdkafka {_version('confluent-kafka')}, mock"
    if options.store is not StoreKind.NONE:
        real = f"versitygw {VERSITYGW_VERSION}"
        found["store"] = real if options.store is StoreKind.REAL else f"ministack {_version('ministack')}"
    if options.driver is not DriverKind.INPROCESS:
        found["serve"] = f"Ray Serve {_version('ray')}"
    return found


def _gpus() -> list[str]:
    return _said("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader").splitlines()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _said(program: str, *arguments: str) -> str:
    """What a program prints; nothing where it is missing or fails."""
    found = shutil.which(program)
    if found is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603 - found on the PATH
            [found, *arguments], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
