"""Command line of the trainer: `python -m models.training RECIPE --data DIR --out DIR`, `... compare DIR DIR`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.training.loop import TrainingError
from models.training.recipe import Recipe
from models.training.recipes import RECIPES
from models.training.report import PAGE, write_comparison
from models.training.run import Settings, execute, export_only, with_rate, with_steps
from models.training.scenes import HELP, DataError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train the nets that are bundled.")
console = Console(highlight=False, soft_wrap=True)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, each with its run.json.")],
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("out/compare"),
) -> None:
    """Show several runs side by side: curves, figures, samples, and where their recipes differ."""
    try:
        write_comparison(runs, out)
    except (OSError, ValueError) as error:
        _refuse(error)
    console.print(f"{out / PAGE}")


def _add(name: str) -> None:
    def command(  # noqa: PLR0917 -- one parameter per option
        data: Annotated[Path | None, typer.Option(help=HELP)] = None,
        out: Annotated[Path, typer.Option(help="Folder of the run; a run that was begun there goes on.")] = Path("out")
        / name,
        device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:0, ...")] = "auto",
        steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; the recipe's own by default.")] = None,
        rate: Annotated[float | None, typer.Option(min=0, help="Learning rate; the recipe's own by default.")] = None,
        begin: Annotated[Path | None, typer.Option(help="Weights to begin with: fine-tuning.")] = None,
        threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves the choice to torch.")] = 0,
        readers: Annotated[int, typer.Option(min=1, help="Processes that make batches; 1: a thread.")] = 1,
        resume: Annotated[bool, typer.Option(help="Refuse to start from nothing.")] = False,
        export: Annotated[bool, typer.Option(help="Train no further: export the checkpoint as it is.")] = False,
        half: Annotated[
            bool | None, typer.Option(help="Export as float16; the recipe's own choice by default.")
        ] = None,
        weights: Annotated[Path | None, typer.Option(help="Folder for weights; --out/weights by default.")] = None,
        cache: Annotated[Path, typer.Option(help="Prepared examples, shared between runs.")] = Path("out/cache"),
        tensorboard: Annotated[bool, typer.Option(help="Write the curves for TensorBoard, too.")] = False,
        ray: Annotated[bool, typer.Option(help="Run on Ray Train, data parallel.")] = False,
        workers: Annotated[int, typer.Option(min=1, help="Workers with --ray.")] = 1,
    ) -> None:
        recipe = RECIPES[name]() if steps is None else with_steps(RECIPES[name](), steps)
        recipe = recipe if rate is None else with_rate(recipe, rate)
        settings = Settings(
            out=out,
            data=data,
            cache=cache,
            weights=weights,
            device=device,
            threads=threads,
            readers=readers,
            resume=resume,
            begin=begin,
            tensorboard=tensorboard,
            half=half,
        )
        _run(recipe, settings, export=export, ray=ray, workers=workers)

    app.command(name, help=RECIPES[name].__doc__)(command)


for _name in RECIPES:
    _add(_name)


def _run(recipe: Recipe, settings: Settings, *, export: bool, ray: bool, workers: int) -> None:
    try:
        if export:
            export_only(recipe, settings, console)
        elif ray:
            from models.training.ray_train import execute_on_ray  # noqa: PLC0415 -- Ray Train is an extra

            execute_on_ray(recipe, settings, console, workers)
        else:
            execute(recipe, settings, console)
    except (DataError, TrainingError) as error:
        _refuse(error)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last checkpoint")
        sys.exit(130)


def _refuse(error: Exception) -> None:
    console.print(f"[red]{error}[/red]")
    sys.exit(2)


if __name__ == "__main__":
    app()
