"""The output folder of a run."""

import base64
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo.contact_picture import picture
from deploy.demo.contact_sheet import html
from deploy.demo.ledger import DeadLetter, Entry
from deploy.demo.sheet import Sheet
from deploy.demo.verify import Verification, place_of
from deploy.errors import DeployError
from deploy.own_folder import require_own
from serve.schemas.result import ListingResult

#: Written first: a folder with this file was made by a run, so the next run may empty it.
MARKER = ".vitrine-demo"
_OURS = (
    "events.ndjson",
    "results.ndjson",
    "dead.ndjson",
    "summary.json",
    "contact-sheet.html",
    "contact-sheet.png",
)


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where a run leaves what it made."""

    path: Path

    @property
    def images(self) -> Path:
        """The folder of the pictures."""
        return self.path / "images"

    @property
    def sheet(self) -> Path:
        """The contact sheet."""
        return self.path / "contact-sheet.html"

    def require_ours(self, photos: Path | None = None) -> None:
        """`DeployError` where the folder holds somebody else's files, or the photos that the run is to read."""
        if photos is not None and photos.resolve().is_relative_to(self.path.resolve()):
            raise DeployError(f"the photos in {photos} lie in the output folder {self.path}; choose another --out")
        require_own(self.path, MARKER, "vitrine demo")

    def clear(self) -> None:
        """Make the folder, and remove what an earlier run left in it; other files stay. `DeployError` as above."""
        self.require_ours()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / MARKER).write_text("Made by `vitrine demo`, which may empty this folder.\n")
            for name in _OURS:
                (self.path / name).unlink(missing_ok=True)
            if self.images.exists():
                shutil.rmtree(self.images)
        except OSError as error:
            raise DeployError(f"--out {self.path} cannot be used: {error}") from error

    def write_events(self, entries: Sequence[Entry]) -> None:
        """The events as they were sent, one per line; the broken ones too."""
        lines = [(entry.event.message.value or b"").replace(b"\n", b" ") for entry in entries]
        (self.path / "events.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))

    def write_answers(self, entries: Sequence[Entry], found: Verification) -> None:
        """Results and dead letters, one line per event, in the order of the events."""
        results = [result_line(result, entry, found, self.path) for entry in entries for result in entry.results]
        dead = [dead_line(letter, entry) for entry in entries for letter in entry.dead]
        _write_lines(self.path / "results.ndjson", results)
        _write_lines(self.path / "dead.ndjson", dead)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """`summary.json`."""
        (self.path / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")

    def write_sheets(self, sheet: Sheet) -> None:
        """Both contact sheets; the picture only if there is a picture to show."""
        self.sheet.write_text(html(sheet))
        if sheet.rows:
            picture(sheet).save(self.path / "contact-sheet.png")


def result_line(result: ListingResult, entry: Entry, found: Verification, root: Path) -> dict[str, Any]:
    """The result as a line of `results.ndjson`: all its fields, and the path of each picture."""
    line = result.model_dump(mode="json")
    for output, written in zip(result.outputs, line["outputs"], strict=True):
        path = found.paths.get(place_of(result, output))
        written["path"] = str(path.relative_to(root)) if path else None
    return {
        "event_id": line.pop("event_id"),
        "outcome": line.pop("outcome"),
        "label": entry.event.label or None,
        **line,
    }


def dead_line(letter: DeadLetter, entry: Entry) -> dict[str, Any]:
    """The dead letter as a line of `dead.ndjson`; the original bytes as text where they are UTF-8, else as base64."""
    value = letter.value or b""
    try:
        original = {"value": value.decode()}
    except UnicodeDecodeError:
        original = {"value_base64": base64.b64encode(value).decode()}
    return {
        "event_id": letter.event_id,
        "code": letter.code,
        "message": letter.message,
        "label": entry.event.label or None,
        "position": letter.position.model_dump(),
        **original,
    }


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
