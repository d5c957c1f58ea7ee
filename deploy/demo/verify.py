"""Fetch every stored object and hold its bytes against its result."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from serve.schemas.result import ListingResult, Output

_SUFFIXES = {"jpeg": "jpg"}
#: Listing, source photo and variant. Not the object's key: listings with the same photo share their objects.
Place = tuple[str, str, str]


@dataclass(slots=True)
class Verification:
    """What the comparison found."""

    verified: int = 0
    mismatches: list[str] = field(default_factory=list)
    #: Where each output lies on this machine.
    paths: dict[Place, Path] = field(default_factory=dict)


def place_of(result: ListingResult, output: Output) -> Place:
    """What tells an output from all others of a run."""
    return (result.listing_id, output.source_image_id, output.variant)


def fetch_all(results: Iterable[ListingResult], get: Callable[[str], bytes], folder: Path) -> Verification:
    """Write each output as `folder/LISTING/VARIANT.suffix`; `get` brings an object and may raise `KeyError`."""
    found = Verification()
    for result in results:
        for output in result.outputs:
            path = folder / file_name(result, output)
            if _fetch(output, get, path, found):
                found.paths[place_of(result, output)] = path
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


def _fetch(output: Output, get: Callable[[str], bytes], path: Path, found: Verification) -> bool:
    """Write the object and compare it; whether there is one."""
    try:
        body = get(output.key)
    except KeyError:
        found.mismatches.append(f"{output.key}: not in the store")
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    if digest == output.sha256:
        found.verified += 1
    else:
        found.mismatches.append(f"{output.key}: the result says sha256 {output.sha256}, the store has {digest}")
    return True
