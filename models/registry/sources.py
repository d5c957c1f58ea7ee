"""Where weights are read from: a folder or file of this machine, or any URI through a reader that is handed in."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Gives the whole content behind a URI. What it raises reaches the caller, but for `FileNotFoundError`.
Reader = Callable[[str], bytes]
Place = str | Path

#: Larger files, in bytes, are refused unread.
LARGEST = 1_000_000_000
_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt"})


class WeightsError(Exception):
    """Weights are missing, altered, or do not fit."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights are taken from, for whoever needs more than a path."""

    #: A folder with a manifest, or a file that the manifest beside it lists; path or URI. None: the bundled folder.
    place: Place | None = None
    #: None: the version that the manifest lists first.
    version: str | None = None
    #: For URIs.
    read: Reader | None = None


def is_uri(place: Place) -> bool:
    """Whether only a reader can open it."""
    return "://" in str(place)


def within(folder: Place, file: str) -> Place:
    """A file of a folder."""
    return f"{str(folder).rstrip('/')}/{file}" if is_uri(folder) else Path(folder) / file


def split(place: Place) -> tuple[Place, str]:
    """Folder and name of a file."""
    if not is_uri(place):
        return Path(place).parent, Path(place).name
    folder, _, name = str(place).rpartition("/")
    return folder, name


def read_bytes(place: Place, read: Reader | None = None, largest: int = LARGEST) -> bytes:
    """The whole file; raise `WeightsError` where it is missing or holds more than `largest` bytes."""
    try:
        body = _through(read, str(place)) if is_uri(place) else _from_disk(Path(place), largest)
    except FileNotFoundError as error:
        raise WeightsError(f"{place} cannot be read: there is no such file") from error
    if len(body) > largest:
        raise _too_large(place, largest)
    return body


def _through(read: Reader | None, uri: str) -> bytes:
    if read is None:
        raise WeightsError(f"{uri} cannot be read: hand in a reader of such URIs as Source(place, read=...)")
    return read(uri)


def _from_disk(path: Path, largest: int) -> bytes:
    try:
        if path.stat().st_size > largest:
            raise _too_large(path, largest)
        with path.open("rb") as file:
            return file.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def _too_large(place: Place, largest: int) -> WeightsError:
    return WeightsError(f"{place} is larger than {largest:,} bytes")


def require_hash(place: Place, body: bytes, sha256: str, told_by: str) -> None:
    """Raise `WeightsError` unless the body is the one that was meant; `told_by` says who named the hash."""
    found = hashlib.sha256(body).hexdigest()
    if found != sha256.lower():
        raise WeightsError(f"{place} was altered: sha256 {found}, {told_by} says {sha256}")


def refuse_pickle(file: str) -> None:
    """Raise `WeightsError` for names of files that can run code when they are read."""
    if Path(file).suffix.lower() in _PICKLES:
        raise WeightsError(
            f"{file} is a pickle: reading it could run code, so it is never opened. Read it with "
            "torch.load(..., weights_only=True) where it came from and write safetensors.torch.save_file"
        )
