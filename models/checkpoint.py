"""Loading of weights: safetensors only, listed in a manifest, checked against their sha256.

The manifest `weights.json` lies beside the files: name -> file, sha256, version, architecture, config, licence, card.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor

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
class Weights:
    """Tensors that were found as the manifest describes them."""

    name: str
    entry: WeightsEntry
    tensors: dict[str, Tensor]


def bundled_folder() -> Path:
    """Where the bundled weights lie: in the package, also once installed."""
    return Path(str(files("models"))) / "weights"


def load_weights(name: str, architecture: str, source: str | Path | None = None) -> Weights:
    """Read and check weights; bundled ones where `source` is None.

    `source` is a folder with a manifest, or a `.safetensors` file that the manifest beside it lists.
    Raise `WeightsError` where anything is missing, altered, or of another architecture.
    """
    source = bundled_folder() if source is None else Path(source)
    folder = source.parent if source.suffix == ".safetensors" else source
    entries = read_manifest(folder)
    if source.suffix == ".safetensors":
        found = [key for key, entry in entries.items() if entry.file == source.name]
        if not found:
            raise WeightsError(f"{source} is not listed in {folder / MANIFEST}")
        name = found[0]
    if name not in entries:
        raise WeightsError(f"{folder / MANIFEST} lists no weights named {name!r}, only: {', '.join(sorted(entries))}")
    entry = entries[name]
    if entry.architecture != architecture:
        raise WeightsError(f"{entry.file} holds a net {entry.architecture!r}, not {architecture!r}")
    return Weights(name=name, entry=entry, tensors=_read_tensors(folder / entry.file, entry.sha256))


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


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """The bytes that were checked are the bytes that are parsed."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        raise WeightsError(f"{path} was altered: sha256 {found}, the manifest says {sha256}")
    try:
        return parse_safetensors(body)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from error
