"""Fetch every stored object and hold its bytes against its result."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from serve.schemas.result import ListingResult, Output

_SUFFIXES = {"jpeg": "jpg"}


@dataclass(slots=True)
class Verification:
    """What the comparison found."""

    verified: int = 0
    mismatches: list[str] = field(default_factory=list)
    #: Where each object lies on this machine, by object key.
    paths: dict[str, Path] = field(default_factory=dict)


def fetch_all(results: Iterable[ListingResult], get: Callable[[str], bytes], folder: Path) -> Verification:
    """Write each output as `folder/LISTING/VARIANT.suffix`; `get` brings an object and may raise `KeyError`."""
    found = Verification()
    for result in results:
        for output in result.outputs:
            path = folder / file_name(result, output)
            _fetch(output, get, path, found)
    return found


def file_name(result: ListingResult, output: Output) -> Path:
    """`LISTING/VARIANT.suffix`, with the source photo's name where the listing has several."""
    many = len({one.source_image_id for one in result.outputs}) > 1
    stem = f"{output.variant}-{output.source_image_id}" if many else output.variant
    return Path(_plain(result.listing_id)) / f"{_plain(stem)}.{_SUFFIXES.get(output.format, output.format)}"


def _plain(name: str) -> str:
    """A name that cannot leave its folder."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    return kept.lstrip(".") or "unnamed"


def _fetch(output: Output, get: Callable[[str], bytes], path: Path, found: Verification) -> None:
    try:
        body = get(output.key)
    except KeyError:
        found.mismatches.append(f"{output.key}: not in the store")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    found.paths[output.key] = path
    digest = hashlib.sha256(body).hexdigest()
    if digest == output.sha256:
        found.verified += 1
    else:
        found.mismatches.append(f"{output.key}: the result says sha256 {output.sha256}, the store has {digest}")
