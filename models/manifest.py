"""The manifest of a folder of weights: which files there are and what they should be. Needs no torch.

`weights.json` lies beside the files: name -> file, sha256, version, architecture, config, licence, card.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

MANIFEST = "weights.json"


class WeightsError(Exception):
    """Weights are missing, altered, or do not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsEntry:
    """What the manifest says of one weights file."""

    #: File name, relative to the manifest.
    file: str
    sha256: str
    version: str
    #: Which net the tensors belong to.
    architecture: str
    #: The net's configuration, as JSON values.
    config: Mapping[str, Any]
    licence: str
    #: File name of the model card, relative to the manifest.
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry, and where it was found."""

    name: str
    folder: Path
    entry: WeightsEntry


def bundled_folder() -> Path:
    """Where the bundled weights lie: in the package, also once installed."""
    return Path(str(files("models"))) / "weights"


def find_weights(name: str, architecture: str, source: str | Path | None = None) -> Found:
    """Look weights up without reading them; the bundled ones where `source` is None.

    `source` is a folder with a manifest, or a `.safetensors` file that the manifest beside it lists.
    Raise `WeightsError` where there is no such entry, or it is of another architecture.
    """
    source = bundled_folder() if source is None else Path(source)
    folder = source.parent if source.suffix == ".safetensors" else source
    entries = read_manifest(folder)
    if source.suffix == ".safetensors":
        listed = [key for key, entry in entries.items() if entry.file == source.name]
        if not listed:
            raise WeightsError(f"{source} is not listed in {folder / MANIFEST}")
        name = listed[0]
    if name not in entries:
        raise WeightsError(f"{folder / MANIFEST} lists no weights named {name!r}, only: {', '.join(sorted(entries))}")
    entry = entries[name]
    if entry.architecture != architecture:
        raise WeightsError(f"{entry.file} holds a net {entry.architecture!r}, not {architecture!r}")
    return Found(name=name, folder=folder, entry=entry)


def read_manifest(folder: Path) -> dict[str, WeightsEntry]:
    """All entries of the folder's manifest; raise `WeightsError` where it is missing or malformed."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text("utf-8"))
        return {name: WeightsEntry(**values) for name, values in content.items()}
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is not a manifest of weights: {error}") from error


def write_manifest(folder: Path, entries: Mapping[str, WeightsEntry]) -> None:
    """Write the manifest whole or not at all."""
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps({name: asdict(entry) for name, entry in entries.items()}, indent=2) + "\n", "utf-8")
    partial.replace(folder / MANIFEST)
