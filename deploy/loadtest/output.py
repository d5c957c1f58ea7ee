"""The folder that a run leaves."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError

#: Written first: a folder with this file was made by a load test, so the next one may empty it.
MARKER = ".vitrine-loadtest"


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where a run leaves what it found."""

    path: Path

    @property
    def schedule(self) -> Path:
        """What was sent when; a later run can replay it."""
        return self.path / "schedule.ndjson.gz"

    @property
    def document(self) -> Path:
        """The run for programs."""
        return self.path / "run.json"

    @property
    def histograms(self) -> Path:
        """Latencies by interval, for `compare` and for other tools."""
        return self.path / "run.hlog"

    @property
    def services(self) -> Path:
        """Logs and data of the services that the run started."""
        return self.path / "services"

    def require_ours(self) -> None:
        """`DeployError` where the folder holds somebody else's files."""
        try:
            foreign = any(self.path.iterdir()) and not (self.path / MARKER).is_file()
        except FileNotFoundError:
            return
        except OSError as error:
            raise DeployError(f"--out {self.path} cannot be used: {error.strerror}") from error
        if foreign:
            raise DeployError(f"{self.path} is not empty and was not made by `vitrine loadtest`; choose another --out")

    def clear(self) -> None:
        """Make it, empty; `DeployError` where that cannot be."""
        self.require_ours()
        try:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / MARKER).write_text("Made by `vitrine loadtest`, which may empty this folder.\n")
        except OSError as error:
            raise DeployError(f"--out {self.path} cannot be used: {error.strerror}") from error
