"""The contact sheet as one picture: a row per listing, the seller's photo first, a column per variant."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from deploy.demo.sheet import Row, Sheet, Tile, readable
from deploy.demo.thumbnails import thumbnail

#: Height of a tile; its width follows from the picture's shape.
_CELL = 232
_GAP = 14
_MARGIN = 36
_HEAD = 46
_CAPTION = 34
_BETWEEN = 26
#: Rows that every section shows, if it has them.
_LEAST = 2
_PAPER, _INK, _SOFT, _LINE = (247, 246, 243), (29, 28, 26), (120, 116, 109), (226, 223, 217)
_DOTS = {"publish": (58, 132, 96), "review": (206, 146, 38), "reject": (184, 66, 56), "failed": (184, 66, 56)}
_LEGEND = {"publish": "published", "review": "to review", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class _Column:
    """The variants of one name."""

    variant: str
    left: int
    width: int


@dataclass(frozen=True, slots=True)
class _Section:
    """The listings of one recipe: they have the same columns."""

    rows: list[Row]
    columns: list[_Column]

    @property
    def width(self) -> int:
        last = self.columns[-1] if self.columns else _Column("", _MARGIN, _CELL)
        return last.left + last.width + _MARGIN

    @property
    def height(self) -> int:
        return _HEAD + len(self.rows) * (_CELL + _CAPTION + _GAP)


def picture(sheet: Sheet, rows: int = 8) -> Image.Image:
    """The sheet, RGB; of many listings it shows about `rows`, some of every recipe, those with most pictures."""
    sections = [_section(chosen) for chosen in _chosen(sheet.rows, rows)]
    width = max((section.width for section in sections), default=2 * _MARGIN + _CELL)
    between = _BETWEEN * (len(sections) - 1)
    height = 2 * _MARGIN + sum(section.height for section in sections) + between + _CAPTION
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    top = _MARGIN
    for section in sections:
        _draw_section(image, draw, section, top)
        top += section.height + _BETWEEN
    _draw_legend(draw, height - _MARGIN - 12)
    return image


def _chosen(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """The rows to show, by recipe: the largest group gives way to the others."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.recipe, []).append(row)
    largest = max(groups.values(), key=len, default=[])
    others = sum(min(_LEAST, len(group)) for group in groups.values() if group is not largest)
    shares = {
        recipe: max(1, count - others) if group is largest else min(_LEAST, len(group))
        for recipe, group in groups.items()
    }
    return [_best(group, shares[recipe]) for recipe, group in groups.items()]


def _best(rows: Sequence[Row], count: int) -> list[Row]:
    def missing(row: Row) -> tuple[int, int]:
        made = [tile for tile in row.tiles if tile.path is not None]
        return -len(made), -sum(tile.verdict == "publish" for tile in made)

    ranked = sorted(rows, key=missing)[:count]
    return [row for row in rows if row in ranked]


def _section(rows: list[Row]) -> _Section:
    columns: list[_Column] = []
    left = _MARGIN + _CELL + 2 * _GAP
    for variant in dict.fromkeys(tile.variant for row in rows for tile in row.tiles):
        ratios = [tile.ratio for row in rows for tile in row.tiles if tile.variant == variant]
        columns.append(_Column(variant, left, round(_CELL * max(ratios))))
        left += columns[-1].width + _GAP
    return _Section(rows, columns)


def _draw_section(image: Image.Image, draw: ImageDraw.ImageDraw, section: _Section, top: int) -> None:
    head = ImageFont.load_default(19)
    draw.text((_MARGIN, top), "Seller's photo", fill=_INK, font=head)
    for column in section.columns:
        name = _fitted(draw, readable(column.variant), head, column.width)
        draw.text((column.left, top), name, fill=_INK, font=head)
    for number, row in enumerate(section.rows):
        _draw_row(image, draw, row, section.columns, top + _HEAD + number * (_CELL + _CAPTION + _GAP))


def _draw_row(image: Image.Image, draw: ImageDraw.ImageDraw, row: Row, columns: list[_Column], top: int) -> None:
    _place(image, draw, thumbnail(row.original, _CELL), (_MARGIN, top), _CELL)
    small = ImageFont.load_default(15)
    draw.text((_MARGIN, top + _CELL + 8), _fitted(draw, row.title, small, _CELL), fill=_SOFT, font=small)
    tiles = {tile.variant: tile for tile in row.tiles}
    for column in columns:
        if column.variant in tiles:
            _draw_tile(image, draw, tiles[column.variant], column, top)


def _draw_tile(image: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, column: _Column, top: int) -> None:
    small = ImageFont.load_default(15)
    if tile.path is None:
        draw.rectangle((column.left, top, column.left + column.width - 1, top + _CELL - 1), outline=_LINE)
        middle = (column.left + column.width / 2, top + _CELL / 2)
        draw.text(middle, "no picture", fill=_SOFT, font=small, anchor="mm")
    else:
        _place(image, draw, thumbnail(tile.path, column.width, _CELL), (column.left, top), column.width)
    y = top + _CELL + 17
    draw.ellipse((column.left, y - 4, column.left + 8, y + 4), fill=_DOTS.get(tile.verdict, _SOFT))
    text = "; ".join(tile.reasons) or _LEGEND.get(tile.verdict, tile.verdict)
    draw.text((column.left + 15, y), _fitted(draw, text, small, column.width - 16), fill=_SOFT, font=small, anchor="lm")


def _place(
    image: Image.Image, draw: ImageDraw.ImageDraw, small: Image.Image, corner: tuple[int, int], width: int
) -> None:
    x, y = corner[0] + (width - small.width) // 2, corner[1] + (_CELL - small.height) // 2
    image.paste(small, (x, y))
    draw.rectangle((x, y, x + small.width - 1, y + small.height - 1), outline=_LINE)


def _fitted(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    """The text, cut short to a width in pixels."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "…", font) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _draw_legend(draw: ImageDraw.ImageDraw, y: int) -> None:
    x = float(_MARGIN)
    font = ImageFont.load_default(15)
    for verdict, text in _LEGEND.items():
        draw.ellipse((x, y - 4, x + 8, y + 4), fill=_DOTS[verdict])
        draw.text((x + 15, y), text, fill=_SOFT, font=font, anchor="lm")
        x += 45 + draw.textlength(text, font)
