"""What `vitrine up` leaves for `status` and `down`: one JSON file in the state folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from deploy.errors import StateConflict
from deploy.services.atomic import write_atomically
from deploy.services.interface import Endpoints
from deploy.services.processes import ProcessRecord

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """The services that were left running, in the order in which they were started."""

    endpoints: Endpoints
    processes: list[ProcessRecord]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: int = _VERSION


_SCHEMA = TypeAdapter(StackState)


class StateFile:
    """`state.json` in the state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "state.json"

    def exists(self) -> bool:
        """Whether there is a state folder at all; `StateConflict` where something else has its name."""
        if self.folder.exists() and not self.folder.is_dir():
            raise StateConflict(f"{self.folder} is not a folder")
        return self.folder.is_dir()

    def read(self) -> StackState | None:
        """What was left running; None where nothing was, `StateConflict` where the file cannot be understood."""
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StateConflict(f"{self.path} cannot be read: {error}") from error
        try:
            state = _SCHEMA.validate_json(text)
        except ValidationError as error:
            raise StateConflict(f"{self.path} is not a state file: {error.errors()[0]['msg']}") from error
        if state.version != _VERSION:
            raise StateConflict(f"{self.path} has version {state.version}; this program knows version {_VERSION}")
        return state

    def write(self, state: StackState) -> None:
        """Replace the file."""
        write_atomically(self.path, _SCHEMA.dump_json(state, indent=2).decode() + "\n")

    def remove(self) -> None:
        """Forget the services."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other commands; `StateConflict` at once where one holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateConflict(f"{self.folder} cannot be the state folder: {error.strerror}") from error
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateConflict(f"another vitrine command is just starting or stopping {self.folder}") from error
            yield
