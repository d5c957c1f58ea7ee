"""The manifest of a folder of weights: which files there are and what they should be. Needs no torch.

`weights.json` lies beside the files. It says for each name what its weights are, as the fields of `WeightsEntry`, or
lists several versions of them; the first one is meant where no version is asked for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from models.registry.sources import Place, Reader, Source, WeightsError, read_bytes, refuse_pickle, split, within

__all__ = ["MANIFEST", "Found", "Source", "WeightsEntry", "WeightsError", "bundled_folder", "enlist", "find_weights"]
__all__ += ["read_manifest", "read_versions", "write_manifest"]

MANIFEST = "weights.json"
_LARGEST_MANIFEST = 1_000_000
_SUFFIX = ".safetensors"


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
    #: Numbers that were learnt; 0 where nobody counted.
    parameters: int = 0
    #: The command that trains such weights.
    recipe: str = ""
    #: The few figures by which one would choose; the card has all.
    figures: Mapping[str, float] = field(default_factory=dict)


_FIELDS = tuple(each.name for each in fields(WeightsEntry))
_NEEDED = frozenset(
    each.name for each in fields(WeightsEntry) if each.default is MISSING and each.default_factory is MISSING
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry, and where it was found."""

    name: str
    folder: Place
    entry: WeightsEntry
    read: Reader | None = None

    @property
    def file(self) -> Place:
        """The weights, as path or URI."""
        return within(self.folder, self.entry.file)


def bundled_folder() -> Path:
    """Where the bundled weights lie: in the package, also once installed."""
    return Path(str(files("models"))) / "weights"


def find_weights(name: str, architecture: str, source: Source | Place | None = None) -> Found:
    """Look weights up without reading them; the bundled ones where `source` is None.

    `source` is a folder with a manifest, or a `.safetensors` file that the manifest beside it lists; a `Source` also
    says which version, and how URIs are read.
    Raise `WeightsError` where there is no such entry, or it is of another architecture.
    """
    source = source if isinstance(source, Source) else Source(source)
    folder: Place = bundled_folder() if source.place is None else source.place
    file = None
    refuse_pickle(str(folder))
    if str(folder).endswith(_SUFFIX):
        folder, file = split(folder)
    listed = read_versions(folder, source.read)
    if file is not None:
        name, versions = _of_file(listed, file, folder)
    elif name in listed:
        versions = listed[name]
    else:
        only = ", ".join(sorted(listed))
        raise WeightsError(f"{within(folder, MANIFEST)} lists no weights named {name!r}, only: {only}")
    entry = _of_version(name, versions, source.version, within(folder, MANIFEST))
    if entry.architecture != architecture:
        raise WeightsError(f"{entry.file} holds a net {entry.architecture!r}, not {architecture!r}")
    return Found(name=name, folder=folder, entry=entry, read=source.read)


def _of_file(
    listed: Mapping[str, Sequence[WeightsEntry]], file: str, folder: Place
) -> tuple[str, tuple[WeightsEntry, ...]]:
    for name, versions in listed.items():
        for entry in versions:
            if entry.file == file:
                return name, (entry,)
    raise WeightsError(f"{within(folder, file)} is not listed in {within(folder, MANIFEST)}")


def _of_version(name: str, versions: Sequence[WeightsEntry], version: str | None, manifest: Place) -> WeightsEntry:
    for entry in versions:
        if version is None or entry.version == version:
            return entry
    only = ", ".join(entry.version for entry in versions)
    raise WeightsError(f"{manifest} lists no version {version!r} of {name!r}, only: {only}")


def read_manifest(folder: Place, read: Reader | None = None) -> dict[str, WeightsEntry]:
    """The first version of each name; raise `WeightsError` as `read_versions`."""
    return {name: versions[0] for name, versions in read_versions(folder, read).items()}


def read_versions(folder: Place, read: Reader | None = None) -> dict[str, tuple[WeightsEntry, ...]]:
    """All entries of the folder's manifest; raise `WeightsError` where it is missing or malformed."""
    place = within(folder, MANIFEST)
    body = read_bytes(place, read, _LARGEST_MANIFEST)
    try:
        content = json.loads(body.decode("utf-8"))
        return {name: _versions(values) for name, values in content.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{place} is not a manifest of weights: {error}") from error


def _versions(values: object) -> tuple[WeightsEntry, ...]:
    entries = tuple(_entry(one) for one in (values if isinstance(values, list) else [values]))
    if not entries or len({entry.version for entry in entries}) < len(entries):
        raise ValueError("a name needs at least one version, and each version only once")
    return entries


def _entry(values: object) -> WeightsEntry:
    if not isinstance(values, dict):
        raise TypeError(f"an entry is an object, not {values!r}")
    if unknown := sorted(values.keys() - set(_FIELDS)):
        raise ValueError(f"unknown field {', '.join(unknown)}; known: {', '.join(_FIELDS)}")
    if missing := sorted(_NEEDED - values.keys()):
        raise ValueError(f"an entry without {', '.join(missing)}")
    for name, value in values.items():
        wanted = {"config": dict, "figures": dict, "parameters": int}.get(name, str)
        if not isinstance(value, wanted):
            raise TypeError(f"{name} is {value!r}, not of type {wanted.__name__}")
    _check_names(values["file"], values["card"])
    return WeightsEntry(**values)


def _check_names(file: str, card: str) -> None:
    """Files lie beside the manifest: no name leads out of the folder."""
    refuse_pickle(file)
    for name in (file, card):
        if split(name)[1] != name or name in {"", ".", ".."} or "\\" in name:
            raise ValueError(f"{name!r} is not the plain name of a file")
    if not file.endswith(_SUFFIX):
        raise ValueError(f"{file!r} is not a {_SUFFIX} file")


def write_manifest(folder: Path, entries: Mapping[str, WeightsEntry | Sequence[WeightsEntry]]) -> None:
    """Write the manifest whole or not at all."""
    content = {
        name: _plain(listed) if isinstance(listed, WeightsEntry) else [_plain(entry) for entry in listed]
        for name, listed in entries.items()
    }
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    partial.replace(folder / MANIFEST)


def _plain(entry: WeightsEntry) -> dict[str, Any]:
    """What was left out stays left out."""
    values = asdict(entry)
    return {name: value for name, value in values.items() if value or name in _NEEDED}


def enlist(folder: Path, name: str, entry: WeightsEntry, *, keep: int = 0) -> None:
    """Make the entry the first of its name, with at most `keep` other versions after it; other names stay."""
    listed: dict[str, Sequence[WeightsEntry]] = {}
    if (folder / MANIFEST).exists():
        listed |= read_versions(folder)
    others = [other for other in listed.get(name, ()) if other.version != entry.version]
    listed[name] = (entry, *others[:keep])
    write_manifest(folder, {key: values if len(values) > 1 else values[0] for key, values in listed.items()})
