"""`vitrine loadtest compare`: two runs read, held against each other, shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from deploy.cli.console import err, out, print_error, print_json
from deploy.cli.loadtest_exit import INVALID, MET, MISSED, inputs_read
from deploy.loadtest.document import RunDocument
from deploy.loadtest.inputs import BadInput
from deploy.loadtest.judging.comparison import Comparison, Line, compare
from deploy.loadtest.measuring.hlog import Stretch, read_hlog
from deploy.loadtest.report.words import NONE, figure

_STYLES = {"better": "green", "worse": "bold red", "unknown": "yellow"}


def held_against(before: Path, after: Path, *, tolerance: float, force: bool, as_json: bool) -> int:
    """Compare them and show it; the exit code. `BadInput` where one is no run."""
    with inputs_read():
        (a, histograms_a), (b, histograms_b) = _run(before), _run(after)
    found = compare(a, b, histograms_a, histograms_b, tolerance, force=force)
    if as_json:
        print_json({"a": str(before), "b": str(after), "tolerance": tolerance, **asdict(found)})
    elif found.lines:
        out.print(table(found))
    if found.refused is not None:
        print_error(f"not comparable: {found.refused}" + ("" if force else " (--force compares nevertheless)"))
        if not force:
            return INVALID
    for line in found.lines:
        if line.verdict == "worse":
            err.print(f"worse: {line.name} {_figure(line.a)} -> {_figure(line.b)}", soft_wrap=True)
    return MISSED if found.regressed else MET


def _run(path: Path) -> tuple[RunDocument, Mapping[str, Sequence[Stretch]]]:
    file = path / "run.json" if path.is_dir() else path
    try:
        document = RunDocument.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BadInput(f"{file} is no run of a load test: {error.errors()[0]['msg']}") from error
    histograms = file.with_suffix(".hlog")
    return document, read_hlog(histograms) if histograms.exists() else {}


def table(found: Comparison) -> Table:
    """A row per figure."""
    made = Table(box=None)
    made.add_column("figure", overflow="fold")
    for name in ("A", "B", "B / A", "95 %"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("")
    for line in found.lines:
        made.add_row(*_row(line))
    return made


def _row(line: Line) -> list[Text | str]:
    interval = "" if line.low is None or line.high is None else f"{line.low:.2f} to {line.high:.2f}"
    ratio = NONE if line.ratio is None else f"{line.ratio:.2f}"
    verdict = Text(line.verdict, style=_STYLES.get(line.verdict, ""))
    return [line.name, _figure(line.a), _figure(line.b), ratio, interval, verdict]


def _figure(value: float | None) -> str:
    return NONE if value is None else figure(value)
