"""Reads the YAML of recipes, channels, quality thresholds and policy, and reports every fault in it at once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from serve.catalog.catalog import Catalog
from serve.catalog.channel import Channel
from serve.catalog.operations import Style
from serve.catalog.quality import QualityRules
from serve.catalog.recipe import Recipe
from serve.catalog.unique_keys import UniqueKeys
from serve.policy.check import PolicyCheck
from serve.policy.rules import Policy

BUILT_IN = Path(__file__).parent
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in one file."""

    file: Path
    #: Where in the file, such as `variants[2].operations[0].colour`; empty for the file as a whole.
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.reason}" if self.path else f"{self.file}: {self.reason}"


class CatalogInvalid(ValueError):
    """The catalog cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


@dataclass(slots=True)
class _Reading:
    """What was read so far, and where it came from."""

    recipes: dict[str, tuple[Path, Recipe]] = field(default_factory=dict)
    channels: dict[str, tuple[Path, Channel]] = field(default_factory=dict)
    quality: QualityRules | None = None
    policy: Policy | None = None
    faults: list[Fault] = field(default_factory=list)


def load_catalog(
    extra: Path | None = None, *, default_recipe: str = "studio", styles: Collection[str] | None = None
) -> Catalog:
    """Load the built-in catalog and an extra folder of the same shape; raise `CatalogInvalid` with all faults.

    `styles` are the styles that the loaded style net knows; without them style names are not checked.
    """
    reading = _Reading()
    for folder in [BUILT_IN, *([extra] if extra else [])]:
        _read_folder(folder, reading)
    for file, recipe in reading.recipes.values():
        reading.faults += unknown_names(file, recipe, reading.channels, styles)
    if default_recipe not in reading.recipes:
        reading.faults.append(Fault(extra or BUILT_IN, "", f"the default recipe {default_recipe!r} does not exist"))
    if reading.quality is None:
        reading.faults.append(Fault(BUILT_IN / "quality.yaml", "", "no usable quality thresholds"))
    if reading.policy is None:
        reading.faults.append(Fault(BUILT_IN / "policy.yaml", "", "no usable policy"))
    if reading.faults or reading.quality is None or reading.policy is None:
        raise CatalogInvalid(reading.faults)
    return Catalog(
        recipes={name: recipe for name, (_, recipe) in reading.recipes.items()},
        channels={name: channel for name, (_, channel) in reading.channels.items()},
        quality=reading.quality,
        default_recipe=default_recipe,
        policy=PolicyCheck(reading.policy),
    )


def read_file(file: Path, model: type[M]) -> tuple[M | None, list[Fault]]:
    """Read one recipe or channel file by itself: its content, or everything wrong with it. Names are not looked up."""
    faults: list[Fault] = []
    return _parse(file, model, faults), faults


def _read_folder(folder: Path, reading: _Reading) -> None:
    if not folder.is_dir():
        reading.faults.append(Fault(folder, "", "the folder does not exist"))
        return
    for file in sorted((folder / "recipes").glob("*.y*ml")):
        _add(file, Recipe, "recipe", reading.recipes, reading.faults)
    for file in sorted((folder / "channels").glob("*.y*ml")):
        _add(file, Channel, "channel", reading.channels, reading.faults)
    quality = folder / "quality.yaml"
    if quality.is_file():
        # A folder's thresholds replace the built-in ones as a whole: half a set is nobody's intention.
        reading.quality = _parse(quality, QualityRules, reading.faults)
    policy = folder / "policy.yaml"
    if policy.is_file():
        reading.policy = _parse(policy, Policy, reading.faults)


def _add(file: Path, model: type[M], naming: str, known: dict[str, tuple[Path, M]], faults: list[Fault]) -> None:
    parsed = _parse(file, model, faults)
    if parsed is None:
        return
    name = str(getattr(parsed, naming))
    if name in known:
        faults.append(Fault(file, naming, f"{name!r} is already defined in {known[name][0]}"))
    else:
        known[name] = (file, parsed)


def _parse(file: Path, model: type[M], faults: list[Fault]) -> M | None:
    try:
        data = yaml.load(file.read_text(encoding="utf-8"), Loader=UniqueKeys)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(file, "", f"cannot be read: {error}"))
        return None
    except yaml.YAMLError as error:
        faults.append(Fault(file, "", f"is not YAML: {' '.join(str(error).split())}"))
        return None
    except RecursionError:
        faults.append(Fault(file, "", "is nested too deeply"))
        return None
    except Exception as error:  # noqa: BLE001 - PyYAML lets out whatever a wrong tag or date makes of its converters
        faults.append(Fault(file, "", f"has a value that is none of its kind: {type(error).__name__}"))
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults.extend(Fault(file, _yaml_path(one["loc"], data), one["msg"]) for one in error.errors())
        return None


def _yaml_path(location: tuple[int | str, ...], data: Any) -> str:
    """The path as one reads it in the file; the tags of pydantic's unions stand in no file and are left out."""
    path, here, tagged = "", data, False
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not tagged and isinstance(here, Mapping) and here.get("op") == step:
            # Once: `scene` and `style` have a field of their own name.
            tagged = True
            continue
        else:
            path += f".{step}" if path else step
        here, tagged = _child(here, step), False
    return path


def _child(here: Any, step: int | str) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None


def unknown_names(
    file: Path, recipe: Recipe, channels: Collection[str], styles: Collection[str] | None = None
) -> Iterator[Fault]:
    """The channels of a recipe that are not among `channels`, and its styles that are not among `styles`."""
    for number, variant in enumerate(recipe.variants):
        for position, channel in enumerate(variant.channels):
            if channel not in channels:
                yield Fault(file, f"variants[{number}].channels[{position}]", f"unknown channel {channel!r}")
        for step, operation in enumerate(variant.operations):
            if styles is not None and isinstance(operation, Style) and operation.style not in styles:
                place = f"variants[{number}].operations[{step}].style"
                yield Fault(file, place, f"unknown style {operation.style!r}; known: {', '.join(sorted(styles))}")
