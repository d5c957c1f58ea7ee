"""The folder that a run leaves."""

from dataclasses import dataclass
from pathlib import Path

from deploy.own_folder import make_empty, require_own

#: Written first: a folder with this file was made by a load test, so the next one may empty it.
MARKER = ".vitrine-loadtest"
_MAKER = "vitrine loadtest"


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
        require_own(self.path, MARKER, _MAKER)

    def clear(self) -> None:
        """Make it, empty; `DeployError` where that cannot be."""
        make_empty(self.path, MARKER, _MAKER)
