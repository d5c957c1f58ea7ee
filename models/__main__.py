"""Command line of the weights: `python -m models list | show NAME | verify`."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from models.registry.manifest import MANIFEST, WeightsEntry, bundled_folder, read_versions
from models.registry.sources import WeightsError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="The weights that are bundled, or those of a folder."
)
console = Console(highlight=False)
_Folder = Annotated[
    Path | None, typer.Option("--weights", help=f"Folder with a {MANIFEST}; the bundled one by default.")
]


@app.command("list")
def show_all(weights: _Folder = None) -> None:
    """List all weights; the first version of a name is the one that is served unless another is asked for."""
    folder = weights or bundled_folder()
    table = Table(title=f"{folder}", title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("name", "version", "net"):
        table.add_column(column, no_wrap=True)
    for column in ("parameters", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("licence", "figures"):
        table.add_column(column)
    for name, versions in _listed(folder).items():
        for entry in versions:
            table.add_row(name, *_row(folder, entry))
    console.print(table)


def _row(folder: Path, entry: WeightsEntry) -> tuple[str, ...]:
    file = folder / entry.file
    size = f"{file.stat().st_size / 1e6:.1f}" if file.is_file() else "missing"
    parameters = f"{entry.parameters:,}" if entry.parameters else "-"
    figures = ", ".join(f"{name} {value:g}" for name, value in entry.figures.items())
    return entry.version, entry.architecture, parameters, size, entry.licence, figures or "-"


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Of the weights, or name@version.")], weights: _Folder = None
) -> None:
    """Show the model card."""
    folder = weights or bundled_folder()
    wanted, _, version = name.partition("@")
    versions = _listed(folder).get(wanted, ())
    cards = [entry.card for entry in versions if version in {"", entry.version}]
    if not cards:
        known = ", ".join(f"{key}@{entry.version}" for key, listed in _listed(folder).items() for entry in listed)
        _give_up(f"no weights {name!r} in {folder}, only: {known}")
    try:
        text = (folder / cards[0]).read_text("utf-8")
    except (OSError, ValueError) as error:
        _give_up(f"the card cannot be read: {error}")
    console.print(Markdown(text) if console.is_terminal else text, soft_wrap=not console.is_terminal, markup=False)


@app.command()
def verify(weights: _Folder = None) -> None:
    """Check hashes, formats, values, nets, cards, and that nothing is unlisted; exit with 1 where a fault is found."""
    # Only this command needs torch, which takes seconds to import.
    from models.registry.served import faults  # noqa: PLC0415

    folder = weights or bundled_folder()
    found = faults(folder)
    for fault in found:
        console.print(f"[red]fault[/red]  {fault}", soft_wrap=True)
    if found:
        sys.exit(1)
    count = sum(len(versions) for versions in _listed(folder).values())
    console.print(f"[green]all well[/green]  {count} weights in {folder}", soft_wrap=True)


def _listed(folder: Path) -> dict[str, tuple[WeightsEntry, ...]]:
    try:
        return read_versions(folder)
    except WeightsError as error:
        _give_up(str(error))


def _give_up(reason: str) -> NoReturn:
    sys.stderr.write(f"{reason}\n")
    sys.exit(1)


if __name__ == "__main__":
    app()
