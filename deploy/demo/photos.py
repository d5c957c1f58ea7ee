"""The photos of the demo's listings: from folders of real ones, or drawn."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.products import render
from deploy.demo.recipes import in_poor_light
from deploy.errors import DeployError

_CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
}
#: Light of a lamp at dusk, as share of that of a bright room.
_EVENING = 0.28
_CONDITIONS = ("as new", "worn twice", "very good condition", "with label", "loved and well kept", "second hand")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPhoto:
    """A seller's photo and what the listing says of it."""

    #: File name under which it is served; unique within a run.
    name: str
    body: bytes
    content_type: str
    title: str
    category: str


def drawn(seed: int, limit: int) -> Iterator[ListingPhoto]:
    """Our own product photos, one by one; drawing one takes about 0.4 s."""
    for index in range(limit):
        photo = render(seed, index, brightness=_EVENING if in_poor_light(index + 1) else 1.0)
        yield ListingPhoto(
            name=f"photo-{index + 1:03d}.{photo.suffix}",
            body=photo.body,
            content_type=photo.content_type,
            title=photo.title,
            category=photo.kind,
        )


def from_folder(folder: Path, seed: int, limit: int) -> Iterator[ListingPhoto]:
    """Real photos, taken in turn from each sub-folder, whose name is the category.

    Raises:
        DeployError: where the folder holds no photo.
    """
    chance = random.Random(seed)  # noqa: S311
    for index, path in enumerate(draw_evenly(shelves(folder), chance, limit)):
        category = path.parent.name if path.parent != folder else "clothes"
        yield ListingPhoto(
            name=f"photo-{index + 1:03d}{path.suffix.lower()}",
            body=path.read_bytes(),
            content_type=_CONTENT_TYPES[path.suffix.lower()],
            title=f"{category.replace('_', ' ').capitalize()}, {chance.choice(_CONDITIONS)}",
            category=category,
        )


def shelves(folder: Path) -> dict[str, list[Path]]:
    """The photos per sub-folder (those right in the folder under its own name), sorted; empty ones are left out."""
    if not folder.is_dir():
        raise DeployError(f"there is no folder {folder}")
    found: dict[str, list[Path]] = {}
    for part in sorted([folder, *(path for path in folder.iterdir() if path.is_dir())]):
        photos = sorted(path for path in part.iterdir() if path.suffix.lower() in _CONTENT_TYPES)
        if photos:
            found[part.name] = photos
    if not found:
        raise DeployError(f"no photos ({', '.join(sorted(_CONTENT_TYPES))}) in {folder} or its sub-folders")
    return found


def draw_evenly(stock: dict[str, list[Path]], chance: random.Random, limit: int) -> list[Path]:
    """At most `limit` photos, one of each shelf in turn, so that the shelves' counts differ by one at most."""
    piles = [chance.sample(photos, len(photos)) for photos in stock.values()]
    chosen: list[Path] = []
    while piles and len(chosen) < limit:
        chosen += [pile.pop() for pile in piles]
        piles = [pile for pile in piles if pile]
    return chosen[:limit]
