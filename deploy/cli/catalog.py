"""`vitrine recipes` and `vitrine channels`: what can be made, and what the sales channels accept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel
from rich.table import Table

from deploy.cli.console import out, print_error, print_json
from deploy.cli.options import JsonOption
from deploy.errors import DeployError
from serve.catalog.catalog import Catalog
from serve.catalog.channel import Channel
from serve.catalog.loader import CatalogInvalid, Fault, load_catalog, read_file
from serve.catalog.recipe import Recipe
from serve.settings import ServeSettings

NameArgument = Annotated[str, typer.Argument(help="Name, as `list` shows it.")]
FilesArgument = Annotated[list[Path], typer.Argument(help="YAML files to check.", metavar="FILE...")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of catalog entry, as the commands handle it."""

    name: str
    help: str
    model: type[BaseModel]
    #: The entries by name.
    items: Callable[[Catalog], Mapping[str, BaseModel]]
    #: Name, what it is, more about it.
    row: Callable[[Any], tuple[str, str, str]]
    #: Names in an entry that nobody has defined.
    look_up: Callable[[Any, Path], Iterator[Fault]]


def register(app: typer.Typer) -> None:
    """Add the two groups."""
    for kind in (_RECIPES, _CHANNELS):
        group = typer.Typer(name=kind.name, help=kind.help, no_args_is_help=True)
        _add_list(group, kind)
        _add_show(group, kind)
        _add_validate(group, kind)
        app.add_typer(group)


def load() -> Catalog:
    """The built-in catalog with the folder of VITRINE_SERVE_CATALOG_DIR."""
    settings = ServeSettings()
    try:
        return load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe)
    except CatalogInvalid as error:
        raise DeployError(str(error)) from error


def _recipe_row(recipe: Recipe) -> tuple[str, str, str]:
    return f"{recipe.recipe}@{recipe.version}", f"{len(recipe.variants)} variants", recipe.description


def _channel_row(channel: Channel) -> tuple[str, str, str]:
    return channel.ref, channel.title, channel.source


def _unknown_channels(recipe: Recipe, file: Path) -> Iterator[Fault]:
    known = load().channels
    for number, variant in enumerate(recipe.variants):
        for position, name in enumerate(variant.channels):
            if name not in known:
                yield Fault(file, f"variants[{number}].channels[{position}]", f"there is no channel {name!r}")


def _nothing(_channel: Channel, _file: Path) -> Iterator[Fault]:
    yield from ()


_RECIPES = _Kind(
    name="recipes",
    help="Recipes: what to make of a listing.",
    model=Recipe,
    items=lambda catalog: catalog.recipes,
    row=_recipe_row,
    look_up=_unknown_channels,
)
_CHANNELS = _Kind(
    name="channels",
    help="Channel profiles: what a sales channel accepts.",
    model=Channel,
    items=lambda catalog: catalog.channels,
    row=_channel_row,
    look_up=_nothing,
)


def _add_list(group: typer.Typer, kind: _Kind) -> None:
    @group.command("list")
    def list_(json_: JsonOption = False) -> None:
        """Name, version and purpose of each."""
        rows = [kind.row(item) for _, item in sorted(kind.items(load()).items())]
        if json_:
            print_json([{"name": name, "what": what, "about": about} for name, what, about in rows])
            return
        table = Table("name", "what", "about", box=None)
        for cells in rows:
            table.add_row(*cells)
        out.print(table)


def _add_show(group: typer.Typer, kind: _Kind) -> None:
    @group.command()
    def show(name: NameArgument, json_: JsonOption = False) -> None:
        """Everything in one of them, with defaults filled in."""
        known = kind.items(load())
        if name not in known:
            raise DeployError(f"there is no {name!r}; known are {', '.join(sorted(known))}")
        content = known[name].model_dump(mode="json", exclude_none=True)
        if json_:
            print_json(content)
        else:
            typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).rstrip())


def _add_validate(group: typer.Typer, kind: _Kind) -> None:
    @group.command()
    def validate(files: FilesArgument, json_: JsonOption = False) -> None:
        """Check files; every fault is named with file, path and reason. Exit code 1 if there is one."""
        faults = [fault for file in files for fault in _faults(file, kind)]
        if json_:
            found = [{"file": str(fault.file), "path": fault.path, "reason": fault.reason} for fault in faults]
            print_json({"valid": not faults, "faults": found})
        else:
            for fault in faults:
                print_error(str(fault))
            out.print(f"{len(files)} files checked, {len(faults)} faults")
        if faults:
            raise typer.Exit(1)


def _faults(file: Path, kind: _Kind) -> list[Fault]:
    item, faults = read_file(file, kind.model)
    return faults if item is None else [*faults, *kind.look_up(item, file)]
