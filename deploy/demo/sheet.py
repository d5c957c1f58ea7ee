"""What a contact sheet shows, apart from how it is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.demo.ledger import Entry
from deploy.demo.verify import Place, place_of
from serve.schemas.outcome import Verdict
from serve.schemas.result import ImageError, Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One variant: its picture, or why there is none."""

    variant: str
    verdict: str
    path: Path | None = None
    #: Width divided by height.
    ratio: float = 1.0
    reasons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The variant as people read it."""
        return readable(self.variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A listing: the seller's photo and the variants made of it."""

    listing_id: str
    title: str
    category: str
    outcome: str
    reason: str | None
    #: What it asked for; listings of one recipe have the same variants.
    recipe: str = ""
    original: bytes
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A troublesome event and its answer."""

    label: str
    ending: str
    code: str | None
    message: str | None
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Everything on a contact sheet."""

    rows: Sequence[Row]
    extras: Sequence[Extra] = ()
    #: Figures for the head of the page: label and value.
    figures: Mapping[str, str] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        """The variants of all rows, in the order in which they first come."""
        return list(dict.fromkeys(tile.variant for row in self.rows for tile in row.tiles))


def readable(name: str) -> str:
    """`studio-white` as `Studio white`."""
    return name.replace("-", " ").replace("_", " ").capitalize()


def row_of(entry: Entry, paths: Mapping[Place, Path]) -> Row | None:
    """The row of an ordinary listing; None for extras and unanswered ones. `paths` are the pictures of all outputs."""
    photo = entry.event.photo
    if photo is None or not entry.results:
        return None
    result = entry.results[0]
    tiles = [_made(output, paths.get(place_of(result, output))) for output in result.outputs]
    tiles += [_missing(error) for error in result.errors if error.variant is not None]
    return Row(
        listing_id=result.listing_id,
        title=photo.title,
        category=photo.category,
        outcome=result.outcome.value,
        reason=result.message or result.code,
        recipe=result.recipe or "",
        original=photo.body,
        tiles=tuple(tiles),
    )


def extra_of(entry: Entry) -> Extra | None:
    """The line of a troublesome event; None for ordinary listings."""
    if not entry.event.label:
        return None
    message = entry.results[0].message if entry.results else entry.dead[0].message if entry.dead else None
    return Extra(
        label=entry.event.label,
        ending=entry.ending or "no answer",
        code=entry.code,
        message=message,
        right=entry.problem is None,
    )


def _made(output: Output, path: Path | None) -> Tile:
    return Tile(
        variant=output.variant,
        verdict=output.quality.verdict.value,
        path=path,
        ratio=output.width / output.height,
        reasons=tuple(output.quality.reasons),
    )


def _missing(error: ImageError) -> Tile:
    reasons = tuple(error.quality.reasons) if error.quality and error.quality.reasons else (error.message,)
    verdict = Verdict.REJECT.value if error.quality else "failed"
    return Tile(variant=error.variant or "", verdict=verdict, reasons=reasons)
