"""`python -m deploy.bench [--only NAME] [--json FILE] [--strict]`: run the benches and show their figures."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deploy.bench.figure import Figure
from deploy.bench.registry import BENCHES
from deploy.bench.report import table, write_json
from deploy.errors import DeployError

_FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all were measured, whatever they show; with `--strict` 1 if a goal is missed; 2 if one cannot run."""
    options = _options().parse_args(arguments)
    console = Console(highlight=False)
    try:
        figures = _run(options.only or list(BENCHES), Console(stderr=True))
    except DeployError as error:
        Console(stderr=True).print(f"bench: {error}", markup=False)
        return _FAILED
    console.print(table(figures))
    if options.json is not None:
        write_json(options.json, figures)
    missed = [figure.name for figure in figures if figure.missed]
    if missed:
        console.print(f"missed: {', '.join(missed)}", style="bold red")
    return 1 if missed and options.strict else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description="Figures as ratios within one run.")
    parser.add_argument("--only", action="append", choices=list(BENCHES), help="run this bench; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a goal is missed")
    return parser


def _run(names: Sequence[str], console: Console) -> list[Figure]:
    columns = (TextColumn("{task.description:13}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        return [BENCHES[name].run(partial(_show, bars, bars.add_task(name, total=1))) for name in dict.fromkeys(names)]


def _show(bars: Progress, bar: TaskID, done: int, planned: int) -> None:
    bars.update(bar, completed=done, total=planned)


if __name__ == "__main__":
    sys.exit(main())
