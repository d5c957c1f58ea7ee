"""`vitrine recipes` and `vitrine channels`: what can be made, and what the sales channels accept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel
from rich.table import Table

from deploy.cli.channel_check import add_check
from deploy.cli.console import out, print_error, print_json
from deploy.cli.options import JsonOption
from deploy.cli.style_names import style_names
from deploy.errors import DeployError
from serve.catalog.catalog import Catalog
from serve.catalog.channel import Channel
from serve.catalog.loader import CatalogInvalid, Fault, load_catalog, read_file, unknown_names
from serve.catalog.recipe import Recipe
from serve.settings import ServeSettings

NameArgument = Annotated[str, typer.Argument(help="Name, or name@version as `list` shows it.")]
FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="YAML files to check; without any, the whole catalog is checked.", metavar="[FILE]..."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of catalog entry, as the commands handle it."""

    name: str
    help: str
    model: type[BaseModel]
    #: The entries by name.
    items: Callable[[Catalog], Mapping[str, BaseModel]]
    #: An entry as `list` gives it to programs: name and version come first.
    facts: Callable[[Any], dict[str, Any]]
    #: An entry as `list` shows it to people, after its name: what it is, more about it.
    words: Callable[[Any], tuple[str, str]]
    #: Names in an entry that nobody has defined.
    look_up: Callable[[Any, Path], Iterator[Fault]]


def register(app: typer.Typer) -> None:
    """Add the two groups."""
    for kind in (_RECIPES, _CHANNELS):
        group = typer.Typer(name=kind.name, help=kind.help, no_args_is_help=True)
        _add_list(group, kind)
        _add_show(group, kind)
        _add_validate(group, kind)
        if kind is _CHANNELS:
            add_check(group, load)
        app.add_typer(group)


def load() -> Catalog:
    """The built-in catalog with the folder of VITRINE_SERVE_CATALOG_DIR."""
    settings = ServeSettings()
    try:
        return load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe)
    except CatalogInvalid as error:
        raise DeployError(str(error)) from error


def _recipe_facts(recipe: Recipe) -> dict[str, Any]:
    facts = {"name": recipe.recipe, "version": recipe.version, "variants": len(recipe.variants)}
    return {**facts, "description": recipe.description}


def _recipe_words(recipe: Recipe) -> tuple[str, str]:
    return f"{len(recipe.variants)} variants", recipe.description


def _channel_facts(channel: Channel) -> dict[str, Any]:
    return {"name": channel.channel, "version": channel.version, "title": channel.title, "source": channel.source}


def _channel_words(channel: Channel) -> tuple[str, str]:
    return channel.title, channel.source


def _unknown_names(recipe: Recipe, file: Path) -> Iterator[Fault]:
    return unknown_names(file, recipe, load().channels, style_names(ServeSettings()))


def _nothing(_channel: Channel, _file: Path) -> Iterator[Fault]:
    yield from ()


_RECIPES = _Kind(
    name="recipes",
    help="Recipes: what to make of a listing.",
    model=Recipe,
    items=lambda catalog: catalog.recipes,
    facts=_recipe_facts,
    words=_recipe_words,
    look_up=_unknown_names,
)
_CHANNELS = _Kind(
    name="channels",
    help="Channel profiles: what a sales channel accepts.",
    model=Channel,
    items=lambda catalog: catalog.channels,
    facts=_channel_facts,
    words=_channel_words,
    look_up=_nothing,
)


def _add_list(group: typer.Typer, kind: _Kind) -> None:
    @group.command("list")
    def list_(json_: JsonOption = False) -> None:
        """Name, version and purpose of each."""
        items = [item for _, item in sorted(kind.items(load()).items())]
        if json_:
            print_json([kind.facts(item) for item in items])
            return
        table = Table("name", "what", "about", box=None)
        for item in items:
            table.add_row(_reference(kind, item), *kind.words(item))
        out.print(table)


def _add_show(group: typer.Typer, kind: _Kind) -> None:
    @group.command()
    def show(name: NameArgument, json_: JsonOption = False) -> None:
        """Everything in one of them, with defaults filled in."""
        known = kind.items(load())
        item = known.get(name.partition("@")[0])
        if item is None or name not in {kind.facts(item)["name"], _reference(kind, item)}:
            names = (_reference(kind, one) for one in known.values())
            raise DeployError(f"there is no {name!r}; known are {', '.join(sorted(names))}")
        content = item.model_dump(mode="json", exclude_none=True, by_alias=True)
        if json_:
            print_json(content)
        else:
            typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).rstrip())


def _add_validate(group: typer.Typer, kind: _Kind) -> None:
    @group.command()
    def validate(files: FilesArgument = None, json_: JsonOption = False) -> None:
        """Check files; every fault is named with file, path and reason. Exit code 1 if there is one.

        Without files it checks what serving would load: the built-in catalog and VITRINE_SERVE_CATALOG_DIR.
        """
        faults = [fault for file in files for fault in _faults(file, kind)] if files else _faults_of_catalog()
        if json_:
            found = [{"file": str(fault.file), "path": fault.path, "reason": fault.reason} for fault in faults]
            print_json({"valid": not faults, "faults": found})
        else:
            for fault in faults:
                print_error(str(fault))
            out.print(f"{f'{len(files)} files' if files else 'the catalog'} checked, {len(faults)} faults")
        if faults:
            raise typer.Exit(1)


def _reference(kind: _Kind, item: BaseModel) -> str:
    facts = kind.facts(item)
    return f"{facts['name']}@{facts['version']}"


def _faults_of_catalog() -> list[Fault]:
    settings = ServeSettings()
    try:
        load_catalog(settings.catalog_dir, default_recipe=settings.default_recipe, styles=style_names(settings))
    except CatalogInvalid as error:
        return list(error.faults)
    return []


def _faults(file: Path, kind: _Kind) -> list[Fault]:
    item, faults = read_file(file, kind.model)
    return faults if item is None else [*faults, *kind.look_up(item, file)]
