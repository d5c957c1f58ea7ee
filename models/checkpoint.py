"""Loading of weights: safetensors only, listed in a manifest, checked against their sha256."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor

from models.manifest import WeightsEntry, WeightsError, find_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Tensors that were found as the manifest describes them."""

    name: str
    entry: WeightsEntry
    tensors: dict[str, Tensor]


def load_weights(name: str, architecture: str, source: str | Path | None = None) -> Weights:
    """Find, read and check weights, see `find_weights`; raise `WeightsError` where anything is amiss."""
    found = find_weights(name, architecture, source)
    tensors = _read_tensors(found.folder / found.entry.file, found.entry.sha256)
    return Weights(name=found.name, entry=found.entry, tensors=tensors)


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
