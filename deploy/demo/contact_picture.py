"""The contact sheet as one picture: a row per listing, the seller's photo first, a column per variant."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from deploy.demo.sheet import Row, Sheet, readable
from deploy.demo.thumbnails import thumbnail

_CELL = 232
_GAP = 14
_MARGIN = 36
_HEAD = 46
_CAPTION = 34
_PAPER, _INK, _SOFT, _LINE = (247, 246, 243), (29, 28, 26), (120, 116, 109), (226, 223, 217)
_DOTS = {"publish": (58, 132, 96), "review": (206, 146, 38), "reject": (184, 66, 56), "failed": (184, 66, 56)}
_LEGEND = {"publish": "published", "review": "to review", "reject": "rejected"}


def picture(sheet: Sheet, rows: int = 8) -> Image.Image:
    """The sheet, RGB; of many listings it shows `rows`, first those with most pictures, in their own order."""
    chosen = _best(sheet.rows, rows)
    variants = list(dict.fromkeys(tile.variant for row in chosen for tile in row.tiles))
    width = 2 * _MARGIN + (1 + len(variants)) * (_CELL + _GAP) - _GAP + _GAP
    height = 2 * _MARGIN + _HEAD + len(chosen) * (_CELL + _CAPTION + _GAP) + _CAPTION
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    for column, name in enumerate(["Seller's photo", *map(readable, variants)]):
        draw.text((_left(column), _MARGIN), name, fill=_INK, font=ImageFont.load_default(19))
    for number, row in enumerate(chosen):
        top = _MARGIN + _HEAD + number * (_CELL + _CAPTION + _GAP)
        _draw_row(image, draw, row, variants, top)
    _draw_legend(draw, height - _MARGIN - 12)
    return image


def _best(rows: Sequence[Row], count: int) -> list[Row]:
    ranked = sorted(rows, key=lambda row: -sum(tile.path is not None for tile in row.tiles))[:count]
    return [row for row in rows if row in ranked]


def _left(column: int) -> int:
    return _MARGIN + column * (_CELL + _GAP) + (_GAP if column else 0)


def _draw_row(image: Image.Image, draw: ImageDraw.ImageDraw, row: Row, variants: list[str], top: int) -> None:
    _place(image, draw, thumbnail(row.original, _CELL), (_left(0), top))
    small = ImageFont.load_default(15)
    draw.text((_left(0), top + _CELL + 8), _fitted(draw, row.title, small), fill=_SOFT, font=small)
    tiles = {tile.variant: tile for tile in row.tiles}
    for column, variant in enumerate(variants, 1):
        tile = tiles.get(variant)
        corner = (_left(column), top)
        if tile is None:
            continue
        if tile.path is None:
            draw.rectangle((*corner, corner[0] + _CELL - 1, top + _CELL - 1), outline=_LINE)
            draw.text((corner[0] + _CELL / 2, top + _CELL / 2), "no picture", fill=_SOFT, font=small, anchor="mm")
        else:
            _place(image, draw, thumbnail(tile.path, _CELL), corner)
        y = top + _CELL + 17
        draw.ellipse((corner[0], y - 4, corner[0] + 8, y + 4), fill=_DOTS.get(tile.verdict, _SOFT))
        text = _fitted(draw, "; ".join(tile.reasons) or _LEGEND.get(tile.verdict, tile.verdict), small, 16)
        draw.text((corner[0] + 15, y), text, fill=_SOFT, font=small, anchor="lm")


def _place(image: Image.Image, draw: ImageDraw.ImageDraw, small: Image.Image, corner: tuple[int, int]) -> None:
    x, y = corner[0] + (_CELL - small.width) // 2, corner[1] + (_CELL - small.height) // 2
    image.paste(small, (x, y))
    draw.rectangle((x, y, x + small.width - 1, y + small.height - 1), outline=_LINE)


def _fitted(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, less: int = 0
) -> str:
    """The text, cut short to the width of a cell."""
    if draw.textlength(text, font) <= _CELL - less:
        return text
    while text and draw.textlength(text + "…", font) > _CELL - less:
        text = text[:-1]
    return text.rstrip() + "…"


def _draw_legend(draw: ImageDraw.ImageDraw, y: int) -> None:
    x = float(_MARGIN)
    font = ImageFont.load_default(15)
    for verdict, text in _LEGEND.items():
        draw.ellipse((x, y - 4, x + 8, y + 4), fill=_DOTS[verdict])
        draw.text((x + 15, y), text, fill=_SOFT, font=font, anchor="lm")
        x += 45 + draw.textlength(text, font)
