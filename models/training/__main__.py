"""Command line of the trainer: `python -m models.training style --data DIR --out DIR`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cv2
import torch
import typer
from rich.console import Console

from models.training import recipes
from models.training.run import StyleRun
from models.training.scenes import HELP, DataError

app = typer.Typer(add_completion=False, help="Train the nets that are bundled.")
console = Console(highlight=False)


@app.callback()
def _main() -> None:
    """Train the nets that are bundled."""


@app.command()
def style(  # noqa: PLR0917 -- one parameter per option
    data: Annotated[Path | None, typer.Option(help=HELP)] = None,
    out: Annotated[Path, typer.Option(help="Where checkpoint, curve, samples and run.json go.")] = Path("out/style"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:0, ...")] = "auto",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the whole run; the recipe's own by default.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves the choice to torch.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in --out.")] = False,
    export: Annotated[bool, typer.Option(help="Train no further: export the checkpoint in --out as it is.")] = False,
    weights: Annotated[
        Path | None, typer.Option(help="Folder for weights, manifest and model card; --out/weights by default.")
    ] = None,
) -> None:
    """Train the style net to redraw photos as the drawing filters do, then measure and export it."""
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    recipe = recipes.style() if steps is None else replace(recipes.style(), steps=steps)
    chosen = torch.device("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else torch.device(device)
    try:
        run = StyleRun(recipe=recipe, data=data, out=out, device=chosen, console=console)
        run.execute(resume=resume or export, train=not export, weights=weights or out / "weights")
    except DataError as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(2)


if __name__ == "__main__":
    app()
